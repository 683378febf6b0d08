//! DICOMweb: QIDO-RS, WADO-RS and STOW-RS (PS3.18, 10).

use crate::client::json::{JsonObject, hex, read_json};
use crate::client::query::{MAX_MATCHES, RETURNED, StudyMatch, StudyQuery};
use crate::client::send::SendReport;
use crate::config::{Login, WebNode, certificates, provider};
use crate::dimse::status;
use crate::error::with_causes;
use crate::multipart::{Parts, boundary, frame};
use crate::store::Outcome;
use crate::{Error, ErrorKind, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dicom_dictionary_std::tags;
use multirnet_base::digest::sha256;
use multirnet_base::{PartialFile, StopToken, files};
use multirnet_dicom::FileIdentity;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::typestate::WithBody;
use ureq::{Agent, Body, RequestBuilder, SendBody};

/// Media type of DICOM JSON.
const JSON: &str = "application/dicom+json";
/// Longest answer in JSON, in bytes.
const MAX_JSON: u64 = 64 << 20;

/// A client of one DICOMweb server. It keeps connections open between requests.
pub struct WebClient {
    agent: Agent,
    node: WebNode,
}

impl WebClient {
    /// A client of `node`.
    ///
    /// # Errors
    /// `Read` or `Config` for the files of TLS.
    pub fn new(node: &WebNode) -> Result<Self> {
        let timeout = Some(Duration::from_secs(node.timeout_seconds));
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(timeout)
            .timeout_per_read(timeout)
            .timeout_per_write(timeout)
            .max_redirects(0)
            .user_agent("multirnet")
            .tls_config(tls_config(node)?)
            .build()
            .new_agent();
        Ok(Self {
            agent,
            node: node.clone(),
        })
    }

    /// The request with the node's login.
    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let authorization = match &self.node.login {
            Login::None => return request,
            Login::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
                format!("Basic {pair}")
            }
            Login::Bearer(token) => format!("Bearer {}", token.expose()),
        };
        request.header("Authorization", authorization)
    }

    /// A request of STOW-RS whose body has the parts that `boundary` divides.
    fn post(&self, boundary: &str) -> RequestBuilder<WithBody> {
        let kind = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
        let request = self
            .agent
            .post(format!("{}/studies", self.node.url))
            .header("Content-Type", kind)
            .header("Accept", JSON);
        self.authorized(request)
    }

    /// The body of an answer in JSON.
    fn body_of(&self, response: &mut Response<Body>) -> Result<Vec<u8>> {
        let body = response.body_mut().with_config().limit(MAX_JSON);
        body.read_to_vec()
            .map_err(|e| self.lost("read the answer", &e))
    }

    fn get(&self, path: &str, keys: &[(String, String)], accept: &str) -> Result<Response<Body>> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.node.url))
            .header("Accept", accept);
        for (key, value) in keys {
            request = request.query(key, value);
        }
        let answer = self.authorized(request).call();
        answer.map_err(|e| self.lost("ask", &e))
    }

    fn lost(&self, doing: &str, cause: &dyn std::error::Error) -> Error {
        Error::network(&self.node.url, doing, with_causes(cause))
            .hint("does the server run, and is the url right?")
    }

    fn refused(&self, status: StatusCode) -> Error {
        let error = Error::new(
            ErrorKind::Refused,
            format!("{} answers: {status}", self.node.url),
        );
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                error.hint("check user, password or token")
            }
            StatusCode::NOT_FOUND => error.hint("is it the root of the DICOMweb services?"),
            _ => error,
        }
    }

    /// The studies that match `query`, by QIDO-RS.
    ///
    /// # Errors
    /// `Network`, `Refused`, or `Protocol` for an answer that is not DICOM JSON.
    pub fn find_studies(&self, query: &StudyQuery) -> Result<Vec<StudyMatch>> {
        let keys = query.keys();
        let mut pairs: Vec<(String, String)> = keys
            .iter()
            .filter(|(_, _, value)| !value.is_empty())
            .map(|(tag, _, value)| (hex(*tag), (*value).to_owned()))
            .collect();
        let wanted = keys
            .iter()
            .map(|(tag, _, _)| *tag)
            .chain(RETURNED.iter().map(|(tag, _)| *tag));
        pairs.extend(wanted.map(|tag| ("includefield".to_owned(), hex(tag))));
        let found = self.query("/studies", &pairs)?;
        let of = |o: &JsonObject| StudyMatch::from_texts(|tag| o.text(tag));
        Ok(found.iter().filter_map(of).collect())
    }

    fn query(&self, path: &str, keys: &[(String, String)]) -> Result<Vec<JsonObject>> {
        let mut response = self.get(path, keys, JSON)?;
        match response.status() {
            StatusCode::NO_CONTENT => return Ok(Vec::new()),
            status if !status.is_success() => return Err(self.refused(status)),
            _ => {}
        }
        let body = self.body_of(&mut response)?;
        let found = read_json(&body).map_err(|reason| self.protocol(&reason))?;
        if found.len() > MAX_MATCHES {
            return Err(self.protocol("too many matches"));
        }
        Ok(found)
    }

    fn protocol(&self, reason: &str) -> Error {
        Error::new(ErrorKind::Protocol, format!("{}: {reason}", self.node.url))
    }

    /// Fetches a study, or one series of it, by WADO-RS into the folder `to`, which is made. Each object
    /// becomes a file of its own, in the transfer syntax that the server has. Gives the files.
    ///
    /// # Errors
    /// `Network`, `Refused`, `Protocol` for an answer that is not `multipart/related`, `Write`,
    /// `Stopped`. Files that are complete stay.
    pub fn fetch(
        &self,
        study_uid: &str,
        series_uid: Option<&str>,
        to: &Path,
        stop: &StopToken,
        told: &mut dyn FnMut(usize),
    ) -> Result<Vec<PathBuf>> {
        for uid in [Some(study_uid), series_uid].into_iter().flatten() {
            if !multirnet_dicom::is_uid(uid) {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("{uid:?} is not a UID"),
                ));
            }
        }
        let series = series_uid.map_or_else(String::new, |uid| format!("/series/{uid}"));
        let path = format!("/studies/{study_uid}{series}");
        let accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
        let mut response = self.get(&path, &[], accept)?;
        if !response.status().is_success() {
            return Err(self.refused(response.status()));
        }
        let kind = response
            .headers()
            .get("Content-Type")
            .and_then(|v| v.to_str().ok());
        let Some(boundary) = kind.and_then(boundary) else {
            return Err(self.protocol("the answer is not multipart/related"));
        };
        files::make_dir(to)?;
        let body = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut parts = Parts::new(body, &boundary);
        let mut written = Vec::new();
        let broken = |e: std::io::Error| self.lost("read the answer", &e);
        while parts.next_part().map_err(broken)? {
            if stop.is_raised() {
                return Err(Error::stopped());
            }
            let mut file = PartialFile::create(to)?;
            let mut failure = None;
            let copied = parts.copy_part(&mut |bytes| {
                if let Err(e) = file.write_all(bytes) {
                    failure = Some(Error::write(to, "write a file in it", e));
                    return Err(std::io::ErrorKind::Other.into());
                }
                Ok(())
            });
            if let Some(failure) = failure {
                return Err(failure);
            }
            copied.map_err(broken)?;
            file.flush()
                .map_err(|e| Error::write(to, "write a file in it", e))?;
            let identity = FileIdentity::read(file.path())?.object;
            let place = to.join(format!("{}.dcm", identity.sop_instance_uid));
            file.keep(&place)?;
            written.push(place);
            told(written.len());
        }
        Ok(written)
    }

    /// Sends files by STOW-RS, each in a request of its own, so that the answer is that object's.
    ///
    /// # Errors
    /// `Network` if the server cannot be reached, `Stopped`. Files that `told` did not hear of are not
    /// sent.
    pub fn store(
        &self,
        files: &[PathBuf],
        stop: &StopToken,
        told: &mut dyn FnMut(usize, &Outcome),
    ) -> Result<SendReport> {
        let mut report = SendReport::default();
        for (index, path) in files.iter().enumerate() {
            if stop.is_raised() {
                return Err(Error::stopped());
            }
            let outcome = match FileIdentity::read(path) {
                Ok(identity) => self.store_one(path, &identity)?,
                Err(e) => Outcome::Refused(e.to_string()),
            };
            report.count(&outcome);
            told(index, &outcome);
        }
        Ok(report)
    }

    fn store_one(&self, path: &Path, identity: &FileIdentity) -> Result<Outcome> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = match opened {
            Ok(opened) => opened,
            Err(e) => return Ok(Outcome::Refused(format!("cannot read the file: {e}"))),
        };
        // A digest of the UID does not occur in the object by chance.
        let boundary = sha256(identity.object.sop_instance_uid.as_bytes());
        let (head, tail) = frame(&boundary);
        let length = head.len() as u64 + length + tail.len() as u64;
        let mut body = head.as_slice().chain(file).chain(tail.as_slice());
        let request = self
            .post(&boundary)
            .header("Content-Length", length.to_string());
        let sent = request.send(SendBody::from_reader(&mut body));
        let mut response = sent.map_err(|e| self.lost("send", &e))?;
        let answer = self.body_of(&mut response)?;
        Ok(outcome_of(response.status(), &answer))
    }

    /// Whether the server takes objects at all: an empty request is refused as one, and not as
    /// forbidden or unknown.
    ///
    /// # Errors
    /// `Network`, or `Refused` with the reason.
    pub(crate) fn check_store(&self) -> Result<()> {
        let sent = self.post("empty").send("--empty--\r\n");
        let response = sent.map_err(|e| self.lost("ask", &e))?;
        match response.status() {
            status @ (StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED) => Err(self.refused(status)),
            _ => Ok(()),
        }
    }

    /// Asks for one study, to see whether queries are answered.
    ///
    /// # Errors
    /// As [`WebClient::find_studies`].
    pub(crate) fn check_query(&self) -> Result<()> {
        self.query("/studies", &[("limit".to_owned(), "1".to_owned())])
            .map(|_| ())
    }
}

/// What the answer to STOW-RS with one object says of it (PS3.18, 10.5.3).
fn outcome_of(http: StatusCode, body: &[u8]) -> Outcome {
    let objects = read_json(body).unwrap_or_default();
    let failed = objects
        .first()
        .and_then(|o| o.items(tags::FAILED_SOP_SEQUENCE).next());
    let code = failed.map(|item| item.text(tags::FAILURE_REASON).parse::<u16>());
    let reason = |code: std::result::Result<u16, std::num::ParseIntError>| {
        code.map_or_else(|_| "without a reason".to_owned(), status::describe)
    };
    match (http.as_u16(), code) {
        (_, Some(Ok(status::DUPLICATE))) => Outcome::Delivered,
        (200..=299 | 409, Some(code)) => Outcome::Refused(reason(code)),
        (200..=299, None) => Outcome::Delivered,
        // Wrong credentials, a busy server: these are not the object's fault.
        (401 | 403 | 404 | 408 | 429 | 500..=599, _) => Outcome::Failed(http.to_string()),
        _ => Outcome::Refused(http.to_string()),
    }
}

fn tls_config(node: &WebNode) -> Result<TlsConfig> {
    let builder = TlsConfig::builder().unversioned_rustls_crypto_provider(provider());
    let Some(tls) = &node.tls else {
        return Ok(builder.build());
    };
    let der = |c: &rustls::pki_types::CertificateDer| Certificate::from_der(c).to_owned();
    let roots: Vec<_> = certificates(tls.ca()?)?.iter().map(der).collect();
    let mut builder = builder.root_certs(RootCerts::new_with_certs(&roots));
    if let (Some(chain), Some(key)) = (&tls.certificate, &tls.key) {
        let chain: Vec<_> = certificates(chain)?.iter().map(der).collect();
        let pem = std::fs::read(key).map_err(|e| Error::io(key, "read the private key", e))?;
        let key = PrivateKey::from_pem(&pem)
            .map_err(|e| Error::new(ErrorKind::Config, with_causes(&e)).at(key))?;
        builder = builder.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_stow_is_that_of_its_object() {
        let failed =
            br#"{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[49152]}}]}}"#;
        let there = br#"{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[273]}}]}}"#;
        for (status, body, expected) in [
            (200, &b"{}"[..], "Delivered"),
            (202, b"", "Delivered"),
            (409, failed, "Refused"),
            (200, failed, "Refused"),
            (409, there, "Delivered"),
            (503, b"", "Failed"),
            (401, b"", "Failed"),
            (415, b"", "Refused"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let outcome = format!("{:?}", outcome_of(status, body));
            assert!(outcome.starts_with(expected), "{status} {outcome}");
        }
    }
}
