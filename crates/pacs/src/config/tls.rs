//! Certificates and keys for TLS.

use crate::error::with_causes;
use crate::{Error, ErrorKind, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files in PEM format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// This node's certificate, followed by those that signed it. A listener needs it.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate.
    pub key: Option<PathBuf>,
    /// The authorities that sign the peers' certificates. A client needs it; a listener that has it
    /// admits only peers with such a certificate.
    pub ca: Option<PathBuf>,
    /// The name in the peer's certificate, if it is not the host of its address.
    pub server_name: Option<String>,
}

impl TlsFiles {
    /// The same files, relative ones within `folder`.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        let paths = [&mut self.certificate, &mut self.key, &mut self.ca];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self
    }

    /// What a listener needs.
    ///
    /// # Errors
    /// `Config` if certificate or key are not given or do not belong together, `Read` for a file that
    /// cannot be read.
    pub fn server(&self) -> Result<Arc<ServerConfig>> {
        let (chain, key) = self.own()?.ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "TLS of the listener needs a certificate and a key",
            )
            .hint("set certificate and key")
        })?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(tls_error)?;
        let builder = match &self.ca {
            Some(ca) => {
                let roots = Arc::new(roots(ca)?);
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider())
                        .build()
                        .map_err(tls_error)?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain, key);
        Ok(Arc::new(config.map_err(|e| self.mismatch(e))?))
    }

    /// What a client needs.
    ///
    /// # Errors
    /// As [`TlsFiles::server`]; `Config` also if no authority is given.
    pub fn client(&self) -> Result<Arc<ClientConfig>> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(tls_error)?
            .with_root_certificates(roots(self.ca()?)?);
        let config = match self.own()? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| self.mismatch(e))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    /// The file with the authorities.
    pub(crate) fn ca(&self) -> Result<&Path> {
        self.ca.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "TLS needs the authorities that sign the peer's certificate",
            )
            .hint("set ca, e.g. to /etc/ssl/certs/ca-certificates.crt")
        })
    }

    /// Certificate chain and key of this node.
    pub(crate) fn own(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let private = PrivateKeyDer::from_pem_file(key)
                    .map_err(|e| pem_error(key, "private key", &e))?;
                Ok(Some((certificates(certificate)?, private)))
            }
            (None, None) => Ok(None),
            _ => Err(Error::new(
                ErrorKind::Config,
                "a certificate needs its key, and a key its certificate",
            )
            .hint("set both certificate and key")),
        }
    }

    fn mismatch(&self, error: rustls::Error) -> Error {
        let error = tls_error(error).hint("is the key that of the certificate?");
        match &self.certificate {
            Some(path) => error.at(path),
            None => error,
        }
    }
}

/// The certificates in a PEM file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|e| pem_error(path, "certificate", &e))?;
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "the file has no certificate in PEM format",
        )
        .at(path));
    }
    Ok(found)
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        return Err(Error::new(ErrorKind::Config, "no certificate in it can be used").at(path));
    }
    Ok(roots)
}

fn pem_error(path: &Path, what: &str, error: &rustls::pki_types::pem::Error) -> Error {
    match error {
        rustls::pki_types::pem::Error::Io(e) => {
            let cause = std::io::Error::new(e.kind(), e.to_string());
            Error::io(path, &format!("read the {what}"), cause)
        }
        other => {
            let reason = format!(
                "the file has no {what} in PEM format: {}",
                with_causes(other)
            );
            Error::new(ErrorKind::Config, reason).at(path)
        }
    }
}

fn tls_error(error: impl std::error::Error) -> Error {
    Error::new(ErrorKind::Config, with_causes(&error))
}
