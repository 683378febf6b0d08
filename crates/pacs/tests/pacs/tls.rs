//! TLS between listener and client, and the doctor's view of it.

use crate::network::node;
use crate::support::*;
use multirnet_pacs::client::echo;
use multirnet_pacs::config::TlsFiles;
use multirnet_pacs::doctor::{Verdict, examine};
use multirnet_pacs::{ErrorKind, Probe};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::path::Path;

/// An authority, and certificates of `node` and `scu` that it signed.
fn authority(folder: &Path) -> TlsFiles {
    fs::create_dir_all(folder).unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
    for name in ["node", "scu"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".into(), name.into()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    TlsFiles {
        certificate: Some(folder.join("scu.pem")),
        key: Some(folder.join("scu.key")),
        ca: Some(folder.join("ca.pem")),
        server_name: None,
    }
}

const LISTENER: &str = "idle_seconds = 5\n[[listener.allow]]\n[listener.tls]\n\
    certificate = \"own/node.pem\"\nkey = \"own/node.key\"\nca = \"own/ca.pem\"\n";

#[test]
fn peers_with_certificates_are_admitted_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let good = authority(&dir.path().join("own"));
    let other = authority(&dir.path().join("other"));
    let config = config(dir.path(), LISTENER, "");
    while_listening(&config, Probe::default(), |address, _| {
        let with = |tls: Option<TlsFiles>| {
            let mut node = node(address);
            node.tls = tls;
            echo(&node)
        };
        with(Some(good.clone())).unwrap();
        with(Some(TlsFiles {
            server_name: Some("node".into()),
            ..good.clone()
        }))
        .unwrap();
        let without = TlsFiles {
            certificate: None,
            key: None,
            ..good.clone()
        };
        let stranger = TlsFiles {
            ca: good.ca.clone(),
            ..other.clone()
        };
        let wrong_name = TlsFiles {
            server_name: Some("elsewhere".into()),
            ..good.clone()
        };
        for tls in [
            None,
            Some(without),
            Some(stranger),
            Some(other),
            Some(wrong_name),
        ] {
            let error = with(tls.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Network, "{tls:?}: {error}");
        }
        with(Some(good)).unwrap();
    });
}

#[test]
fn the_doctor_sees_keys_that_do_not_fit_and_files_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    authority(&dir.path().join("own"));
    let finding = |listener: &str| {
        let checks = examine(&config(dir.path(), listener, ""));
        let check = checks
            .into_iter()
            .find(|c| c.subject == "listener TLS")
            .unwrap();
        (check.verdict, check.finding)
    };
    assert_eq!(finding(LISTENER).0, Verdict::Fine);
    for (from, to, told) in [
        (
            "own/node.key",
            "own/scu.key",
            "is the key that of the certificate?",
        ),
        ("own/node.key", "own/none.key", "none.key"),
        ("own/node.pem", "own/node.key", "no certificate"),
        ("own/ca.pem", "own/ca.key", "ca.key"),
    ] {
        let (verdict, finding) = finding(&LISTENER.replace(from, to));
        assert_eq!(verdict, Verdict::Wrong);
        assert!(finding.contains(told), "{told}: {finding}");
    }
}

/// A server of DICOMweb by https that answers every request with an empty list.
fn https_server(folder: &Path) -> String {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::io::{Read, Write};
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(folder.join("node.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("node.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/dicom-web", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            // A client that does not trust the certificate sends no request.
            if stream.read(&mut request).is_ok_and(|n| n > 0) {
                let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n\
                              Connection: close\r\nContent-Length: 2\r\n\r\n[]";
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    url
}

#[test]
fn dicomweb_by_https_trusts_the_configured_authority_only() {
    use multirnet_pacs::client::{StudyQuery, WebClient};
    use multirnet_pacs::config::WebNode;
    let dir = tempfile::tempdir().unwrap();
    let own = authority(&dir.path().join("own"));
    let other = authority(&dir.path().join("other"));
    let url = https_server(&dir.path().join("own"));
    let ask = |ca: TlsFiles| {
        let tls = TlsFiles {
            certificate: None,
            key: None,
            ..ca
        };
        let node = WebNode {
            tls: Some(tls),
            ..WebNode::new(url.clone())
        };
        WebClient::new(&node)?.find_studies(&StudyQuery::default())
    };
    assert!(ask(own).unwrap().is_empty());
    let error = ask(other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn the_doctor_asks_nodes_by_tls() {
    let dir = tempfile::tempdir().unwrap();
    authority(&dir.path().join("own"));
    authority(&dir.path().join("other"));
    let listening = config(dir.path(), LISTENER, "");
    while_listening(&listening, Probe::default(), |address, _| {
        for (from, expected) in [("own", Verdict::Fine), ("other", Verdict::Wrong)] {
            let rest = format!(
                "[[node]]\nname = \"a\"\nprotocol = \"dimse\"\nae_title = \"NODE\"\n\
                 address = \"{address}\"\n[node.tls]\nca = \"own/ca.pem\"\n\
                 certificate = \"{from}/scu.pem\"\nkey = \"{from}/scu.key\"\n"
            );
            let asking = config(dir.path(), "[[listener.allow]]\n", &rest);
            let checks = examine(&asking);
            let worst = |v| {
                checks
                    .iter()
                    .any(|c| c.subject == "node a" && c.verdict == v)
            };
            assert_eq!(
                worst(Verdict::Wrong),
                expected == Verdict::Wrong,
                "{checks:?}"
            );
        }
    });
}
