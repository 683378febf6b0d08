//! The configuration: one TOML file. `configs/pacs.toml` is an example with every field.

mod listener;
mod network;
mod node;
mod secret;
mod tls;

pub use network::Network;
pub use node::{DimseNode, Login, Node, WebNode};
pub use secret::{Secret, SecretSource};
pub use tls::TlsFiles;
pub(crate) use tls::{certificates, provider};

use crate::{Error, ErrorKind, Result};
use multirnet_base::{Ranges, files, toml_text};
use node::{NodeTable, Protocol};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Settings of the listener, its destinations, and the nodes that this one talks to.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may send objects, and how.
    pub listener: ListenerConfig,
    /// Where received objects lie, and when a study is complete.
    pub store: StoreConfig,
    /// The model, and how often an analysis is tried.
    pub analysis: AnalysisConfig,
    /// How results are written.
    pub results: ResultsConfig,
    /// Where results go, and how often that is tried.
    pub delivery: DeliveryConfig,
    /// When received objects are removed.
    pub retention: RetentionConfig,
    /// The audit log; `None` for none.
    pub audit_file: Option<PathBuf>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
}

/// Settings of the listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// The title that peers call, 1 to 16 characters.
    pub ae_title: String,
    /// Address and port: `0.0.0.0:11112`. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Who may open an association. A peer must match one entry.
    #[serde(default)]
    pub allow: Vec<AllowedPeer>,
    /// Most associations at a time; further peers are asked to come again.
    #[serde(default = "default_associations")]
    pub max_associations: usize,
    /// Most associations of one address at a time; three quarters of all if it is left out. The others are
    /// for further peers.
    pub max_associations_per_address: Option<usize>,
    /// A message, for example an object, that takes longer than so many seconds ends its association.
    #[serde(default = "default_message")]
    pub message_seconds: u64,
    /// An association that is older than so many seconds ends after the message that is coming in.
    #[serde(default = "default_association")]
    pub association_seconds: u64,
    /// Longest PDU in bytes.
    #[serde(default = "default_pdu")]
    pub max_pdu_bytes: u32,
    /// Largest object in MiB.
    #[serde(default = "default_object")]
    pub max_object_mib: u64,
    /// An association that is silent for so many seconds is aborted.
    #[serde(default = "default_idle")]
    pub idle_seconds: u64,
    /// What happens with objects that are not CT.
    #[serde(default)]
    pub other_objects: OtherObjects,
    /// Files for TLS; without it, connections are plain.
    pub tls: Option<TlsFiles>,
}

/// An entry of the allow-list. A field that is left out allows any.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedPeer {
    /// The title that the peer calls itself.
    pub ae_title: Option<String>,
    /// Its addresses.
    pub addresses: Option<Vec<Network>>,
}

impl AllowedPeer {
    /// Whether a peer at `address` may be this one.
    pub fn has_address(&self, address: IpAddr) -> bool {
        let inside = |networks: &Vec<Network>| networks.iter().any(|n| n.contains(address));
        self.addresses.as_ref().is_none_or(inside)
    }

    /// Whether a peer that calls itself `title` may be this one.
    pub fn has_title(&self, title: &str) -> bool {
        self.ae_title.as_ref().is_none_or(|own| own == title)
    }
}

/// What happens with objects that are not CT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherObjects {
    /// They are stored, and never start an analysis.
    #[default]
    Store,
    /// They are refused.
    Refuse,
}

/// Settings of the store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The folder of received objects, jobs and results.
    pub folder: PathBuf,
    /// A study is complete when no object of any of its series has come for so many seconds.
    #[serde(default = "default_quiet")]
    pub quiet_seconds: u64,
}

/// Settings of the analysis.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisConfig {
    /// Studies analysed at a time.
    pub workers: usize,
    /// How often a failing analysis is tried.
    pub attempts: u32,
    /// Seconds before the second attempt; doubled for each further one.
    pub retry_seconds: u64,
    /// Name or folder of the model; the caller's default if left out.
    pub model: Option<String>,
    /// File with options of the analysis.
    pub options: Option<PathBuf>,
    /// A scan that needs more MiB is refused.
    pub memory_limit_mib: Option<u64>,
}

/// Settings of the results. The caller that makes them follows these.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResultsConfig {
    /// Name of this installation in the objects, 1 to 64 characters.
    pub station: String,
    /// The segmentation is a label map.
    pub labelmap: bool,
    /// The segmentation has frames without voxels too.
    pub all_frames: bool,
    /// The report is an Enhanced SR.
    pub enhanced_sr: bool,
}

impl ResultsConfig {
    /// Checks the name of the installation, which the configuration calls `field`.
    ///
    /// # Errors
    /// `Config`.
    pub fn check(&self, field: &str) -> Result<()> {
        let station = &self.station;
        let is_text = !station.trim().is_empty()
            && station.chars().count() <= 64
            && !station.chars().any(|c| c == '\\' || c.is_control());
        let allowed = "1 to 64 characters without backslash";
        Ok(Ranges::new()
            .require(is_text, field, station, allowed)
            .check()?)
    }
}

impl Default for ResultsConfig {
    fn default() -> Self {
        Self {
            station: "none".to_owned(),
            labelmap: false,
            all_frames: false,
            enhanced_sr: false,
        }
    }
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self {
            workers: 1,
            attempts: 3,
            retry_seconds: 60,
            model: None,
            options: None,
            memory_limit_mib: None,
        }
    }
}

/// Settings of the delivery.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryConfig {
    /// Names of the nodes that get every result.
    pub to: Vec<String>,
    /// Seconds before the second attempt; doubled for each further one.
    pub retry_seconds: u64,
    /// Most seconds between two attempts.
    pub longest_retry_seconds: u64,
    /// How often an object that a destination refuses is sent.
    pub attempts_when_refused: u32,
    /// Hours after the analysis, when a destination that cannot be reached is given up.
    pub give_up_hours: u64,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            retry_seconds: 10,
            longest_retry_seconds: 900,
            attempts_when_refused: 3,
            give_up_hours: 168,
        }
    }
}

/// Settings of the retention rule. Objects of a study whose results are not delivered yet stay.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Objects are removed so many days after the last one of their study came; never if left out.
    pub days: Option<u64>,
    /// The oldest studies are removed while all take more GiB; never if left out.
    pub gib: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuditTable {
    file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listener: ListenerConfig,
    store: StoreConfig,
    #[serde(default)]
    analysis: AnalysisConfig,
    #[serde(default)]
    results: ResultsConfig,
    #[serde(default)]
    delivery: DeliveryConfig,
    #[serde(default)]
    retention: RetentionConfig,
    #[serde(default)]
    audit: AuditTable,
    #[serde(default)]
    node: Vec<NodeTable>,
}

fn default_associations() -> usize {
    16
}

fn default_pdu() -> u32 {
    131_072
}

fn default_object() -> u64 {
    2048
}

fn default_idle() -> u64 {
    60
}

fn default_message() -> u64 {
    1800
}

fn default_association() -> u64 {
    14_400
}

fn default_quiet() -> u64 {
    60
}

impl Config {
    /// Reads the file `path`. Relative paths in it lie in its folder.
    ///
    /// # Errors
    /// `Read`, or `Config` with the line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path, "configuration")?;
        let folder = files::parent(path);
        Self::parse(&text, folder).map_err(|e| e.at(path))
    }

    /// Reads the text of a configuration whose relative paths lie in `folder`.
    ///
    /// # Errors
    /// `Config` with the line; `Read` for a secret's file.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let file: File = toml_text::parse(text)?;
        let mut listener = file.listener;
        listener.tls = listener.tls.map(|tls| tls.within(folder));
        let mut store = file.store;
        store.folder = folder.join(store.folder);
        let mut nodes = BTreeMap::new();
        for table in file.node {
            let name = table.name.clone();
            let node = node_of(table, folder, &listener.ae_title)?;
            if nodes.insert(name.clone(), node).is_some() {
                return Err(config_error(format!("two nodes have the name {name:?}")));
            }
        }
        let config = Self {
            listener,
            store,
            analysis: AnalysisConfig {
                options: file.analysis.options.map(|f| folder.join(f)),
                ..file.analysis
            },
            results: file.results,
            delivery: file.delivery,
            retention: file.retention,
            audit_file: file.audit.file.map(|f| folder.join(f)),
            nodes,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        self.listener.check()?;
        Ranges::of_table("store")
            .within("quiet_seconds", self.store.quiet_seconds, 0..=86_400)
            .check()?;
        Ranges::of_table("analysis")
            .within("workers", self.analysis.workers, 1..=64)
            .within("attempts", self.analysis.attempts, 1..=100)
            .within("retry_seconds", self.analysis.retry_seconds, 0..=86_400)
            .check()?;
        self.results.check("results.station")?;
        let delivery = &self.delivery;
        Ranges::of_table("delivery")
            .within("retry_seconds", delivery.retry_seconds, 1..=86_400)
            .within(
                "longest_retry_seconds",
                delivery.longest_retry_seconds,
                1..=86_400,
            )
            .within(
                "attempts_when_refused",
                delivery.attempts_when_refused,
                1..=100,
            )
            .within("give_up_hours", delivery.give_up_hours, 1..=87_600)
            .check()?;
        for name in &delivery.to {
            self.node(name)?;
        }
        Ok(())
    }

    /// The node `name`.
    ///
    /// # Errors
    /// `Config` if there is none of that name.
    pub fn node(&self, name: &str) -> Result<&Node> {
        self.nodes.get(name).ok_or_else(|| {
            let known: Vec<_> = self.nodes.keys().map(String::as_str).collect();
            config_error(format!("no node has the name {name:?}"))
                .hint(format!("known: {}", known.join(", ")))
        })
    }
}

fn node_of(table: NodeTable, folder: &Path, own_title: &str) -> Result<Node> {
    let name = format!("node {:?}", table.name);
    let needs = |field: &str| config_error(format!("{name} needs {field}"));
    let refuse = |given: bool, field: &str| match given {
        true => Err(config_error(format!(
            "{name} has {field}, which its protocol does not use"
        ))),
        false => Ok(()),
    };
    Ranges::new()
        .within("timeout_seconds", table.timeout_seconds, 1..=3600)
        .check()
        .map_err(|e| Error::from(e).within(&name))?;
    let tls = table.tls.map(|tls| tls.within(folder));
    match table.protocol {
        Protocol::Dimse => {
            refuse(table.url.is_some(), "url")?;
            refuse(
                table.user.is_some() || table.password.is_some(),
                "user or password",
            )?;
            refuse(table.token.is_some(), "token")?;
            let ae_title = table.ae_title.ok_or_else(|| needs("ae_title"))?;
            check_ae_title(&format!("ae_title of {name}"), &ae_title)?;
            Ok(Node::Dimse(DimseNode {
                tls,
                timeout_seconds: table.timeout_seconds,
                ..DimseNode::new(
                    ae_title,
                    table.address.ok_or_else(|| needs("address"))?,
                    own_title,
                )
            }))
        }
        Protocol::Dicomweb => {
            refuse(table.ae_title.is_some(), "ae_title")?;
            refuse(table.address.is_some(), "address")?;
            let url = table.url.ok_or_else(|| needs("url"))?;
            let is_https = url.starts_with("https://");
            if !is_https && !url.starts_with("http://") {
                return Err(config_error(format!(
                    "the url of {name} is not http:// or https://"
                )));
            }
            if is_https && tls.as_ref().is_none_or(|tls| tls.ca.is_none()) {
                return Err(
                    needs("tls.ca, the authorities that sign the server's certificate")
                        .hint("e.g. /etc/ssl/certs/ca-certificates.crt"),
                );
            }
            let login = match (table.user, table.password, table.token) {
                (None, None, None) => Login::None,
                (Some(user), Some(password), None) => Login::Basic {
                    user,
                    password: password.fetch(folder)?,
                },
                (None, None, Some(token)) => Login::Bearer(token.fetch(folder)?),
                _ => return Err(needs("user and password, or token, or none of them")),
            };
            Ok(Node::Dicomweb(WebNode {
                login,
                tls,
                timeout_seconds: table.timeout_seconds,
                ..WebNode::new(url)
            }))
        }
    }
}

/// AE titles have 1 to 16 printable characters without backslash and outer spaces (PS3.5, 6.2).
fn check_ae_title(field: &str, title: &str) -> Result<()> {
    let printable = title
        .bytes()
        .all(|b| (0x20..0x7F).contains(&b) && b != b'\\');
    let holds = (1..=16).contains(&title.len()) && printable && title.trim() == title;
    let allowed = "1 to 16 printable ASCII characters without backslash and outer spaces";
    Ok(Ranges::new()
        .require(holds, field, title, allowed)
        .check()?)
}

fn config_error(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, reason)
}

#[cfg(test)]
mod tests;
