//! Nodes of the network that this one talks to.

use crate::config::{Secret, SecretSource, TlsFiles};
use serde::Deserialize;

/// An archive or workstation, by the way it is spoken to.
#[derive(Debug, Clone)]
pub enum Node {
    /// A DICOM node that is spoken to by DIMSE.
    Dimse(DimseNode),
    /// A DICOMweb server.
    Dicomweb(WebNode),
}

/// A DICOM node.
#[derive(Debug, Clone)]
pub struct DimseNode {
    /// The title that the node is called by.
    pub ae_title: String,
    /// `host:port`.
    pub address: String,
    /// The title that this node calls itself.
    pub calling_ae_title: String,
    /// Files for TLS; `None` for a plain connection.
    pub tls: Option<TlsFiles>,
    /// Seconds to wait for a connection and for each answer.
    pub timeout_seconds: u64,
}

/// A DICOMweb server.
#[derive(Debug, Clone)]
pub struct WebNode {
    /// The root of its services, without a final slash: `https://pacs.example/dicom-web`.
    pub url: String,
    /// How this node names itself.
    pub login: Login,
    /// Files for TLS; needed for `https`.
    pub tls: Option<TlsFiles>,
    /// Seconds to wait for a connection and for each answer.
    pub timeout_seconds: u64,
}

/// How a request to a DICOMweb server proves who sends it.
#[derive(Debug, Clone)]
pub enum Login {
    /// Not at all.
    None,
    /// By name and password.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// By a token.
    Bearer(Secret),
}

/// A node as the configuration has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeTable {
    pub name: String,
    pub protocol: Protocol,
    pub ae_title: Option<String>,
    pub address: Option<String>,
    pub url: Option<String>,
    pub user: Option<String>,
    pub password: Option<SecretSource>,
    pub token: Option<SecretSource>,
    pub tls: Option<TlsFiles>,
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Dimse,
    Dicomweb,
}

fn default_timeout() -> u64 {
    30
}

impl Node {
    /// The address or URL, for messages.
    pub fn place(&self) -> String {
        match self {
            Self::Dimse(node) => node.place(),
            Self::Dicomweb(node) => node.url.clone(),
        }
    }
}

impl DimseNode {
    /// A plain node with usual settings.
    pub fn new(
        ae_title: impl Into<String>,
        address: impl Into<String>,
        calling_ae_title: impl Into<String>,
    ) -> Self {
        Self {
            ae_title: ae_title.into(),
            address: address.into(),
            calling_ae_title: calling_ae_title.into(),
            tls: None,
            timeout_seconds: default_timeout(),
        }
    }

    /// `AE@host:port`, for messages.
    pub fn place(&self) -> String {
        format!("{}@{}", self.ae_title, self.address)
    }
}

impl WebNode {
    /// A server without login and TLS.
    pub fn new(url: impl Into<String>) -> Self {
        let url: String = url.into();
        Self {
            url: url.trim_end_matches('/').to_owned(),
            login: Login::None,
            tls: None,
            timeout_seconds: default_timeout(),
        }
    }
}
