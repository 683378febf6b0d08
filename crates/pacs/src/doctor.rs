//! Checks a configuration end to end, and says in words what is wrong.

use crate::client::{Connection, WebClient, echo};
use crate::config::{Config, DimseNode, Node, WebNode};
use crate::{Error, ErrorKind, Result, sop};
use dicom_dictionary_std::uids;
use multirnet_base::{StagedFolder, files};
use std::fmt;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Fine,
    /// It works, but the administrator should know.
    Warning,
    /// It does not work.
    Wrong,
}

/// A check and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub subject: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found, with a remedy.
    pub finding: String,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Fine => "ok     ",
            Verdict::Warning => "warning",
            Verdict::Wrong => "WRONG  ",
        };
        write!(f, "{mark} {}: {}", self.subject, self.finding)
    }
}

/// The checks so far.
#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, subject: &str, verdict: Verdict, finding: impl Into<String>) {
        self.0.push(Check {
            subject: subject.to_owned(),
            verdict,
            finding: finding.into(),
        });
    }

    /// Adds how `result` ended, and tells whether it ended well.
    fn result(&mut self, subject: &str, fine: &str, result: Result<()>) -> bool {
        match &result {
            Ok(()) => self.add(subject, Verdict::Fine, fine),
            Err(e) => self.add(subject, Verdict::Wrong, e.to_string()),
        }
        result.is_ok()
    }
}

/// Checks the configuration file `path` and everything that it names. Sends nothing but questions.
pub fn examine_file(path: &Path) -> Vec<Check> {
    let subject = "configuration";
    match Config::read(path) {
        Ok(config) => {
            let mut checks = Checks::default();
            checks.add(
                subject,
                Verdict::Fine,
                format!("{} can be read", path.display()),
            );
            checks.0.extend(examine(&config));
            checks.0
        }
        Err(e) => {
            let mut checks = Checks::default();
            checks.add(subject, Verdict::Wrong, e.to_string());
            checks.0
        }
    }
}

/// Checks everything that `config` names: folders, port, TLS, and each node.
pub fn examine(config: &Config) -> Vec<Check> {
    let mut checks = Checks::default();
    check_folders(config, &mut checks);
    check_listener(config, &mut checks);
    if config.delivery.to.is_empty() {
        let finding = "results go nowhere but stay in the store (name nodes in delivery.to)";
        checks.add("delivery", Verdict::Warning, finding);
    }
    for (name, node) in &config.nodes {
        let is_destination = config.delivery.to.contains(name);
        let sent = sop::result_classes(&config.results);
        let sent = if is_destination { &sent[..] } else { &[] };
        match node {
            Node::Dimse(node) => check_dimse(name, node, sent, &mut checks),
            Node::Dicomweb(node) => check_web(name, node, is_destination, &mut checks),
        }
    }
    checks.0
}

fn check_folders(config: &Config, checks: &mut Checks) {
    let writable = |folder: &Path| StagedFolder::check(&folder.join("doctor")).map_err(Error::from);
    checks.result(
        "store",
        "the folder can be written",
        writable(&config.store.folder),
    );
    if let Some(file) = &config.audit_file {
        let result = writable(files::parent(file));
        checks.result("audit", "the folder of the log can be written", result);
    }
    let retention = &config.retention;
    if retention.days.is_none() && retention.gib.is_none() {
        let finding = "received objects are never removed (set retention.days or retention.gib)";
        checks.add("retention", Verdict::Warning, finding);
    }
}

fn check_listener(config: &Config, checks: &mut Checks) {
    let listener = &config.listener;
    match TcpListener::bind(listener.address) {
        Ok(_) => checks.add(
            "port",
            Verdict::Fine,
            format!("{} is free", listener.address),
        ),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            let finding = format!(
                "{} is taken: the listener runs already, or another program has it",
                listener.address
            );
            checks.add("port", Verdict::Warning, finding);
        }
        Err(e) => {
            let finding = format!(
                "cannot listen on {}: {e} (is the address this machine's?)",
                listener.address
            );
            checks.add("port", Verdict::Wrong, finding);
        }
    }
    match &listener.tls {
        Some(tls) => {
            let result = tls.server().map(drop);
            checks.result(
                "listener TLS",
                "certificate and key belong together",
                result,
            );
        }
        None if !listener.address.ip().is_loopback() => {
            let finding =
                "connections are not encrypted (set listener.tls unless the network is trusted)";
            checks.add("listener TLS", Verdict::Warning, finding);
        }
        None => {}
    }
    if listener
        .allow
        .iter()
        .any(|p| p.ae_title.is_none() && p.addresses.is_none())
    {
        let finding = "an entry admits every peer (give it ae_title and addresses)";
        checks.add("allow-list", Verdict::Warning, finding);
    }
}

/// Checks a node that gets objects of the classes `sent`, if any.
fn check_dimse(name: &str, node: &DimseNode, sent: &[(&str, &str)], checks: &mut Checks) {
    let subject = format!("node {name}");
    if !checks.result(&subject, "the port answers", connect(node)) {
        return;
    }
    if let Some(tls) = &node.tls
        && !checks.result(
            &subject,
            "the files of TLS can be used",
            tls.client().map(drop),
        )
    {
        return;
    }
    if !checks.result(&subject, "C-ECHO is answered", echo(node)) || sent.is_empty() {
        return;
    }
    let syntaxes = [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
    ];
    let syntaxes = syntaxes.map(str::to_owned).to_vec();
    let proposals: Vec<_> = sent
        .iter()
        .map(|(_, class)| ((*class).to_owned(), syntaxes.clone()))
        .collect();
    let connection = match Connection::open(node, &proposals) {
        Ok(connection) => connection,
        Err(e) => return checks.add(&subject, Verdict::Wrong, e.to_string()),
    };
    let accepts = |class: &str| {
        connection
            .contexts()
            .iter()
            .any(|c| c.abstract_syntax == class)
    };
    let (taken, refused): (Vec<_>, Vec<_>) = sent.iter().partition(|(_, class)| accepts(class));
    let names = |of: &[&(&str, &str)]| {
        of.iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !taken.is_empty() {
        checks.add(
            &subject,
            Verdict::Fine,
            format!("it takes: {}", names(&taken)),
        );
    }
    if !refused.is_empty() {
        let finding = format!(
            "it does not take: {} (have these classes enabled there, or leave them out)",
            names(&refused)
        );
        checks.add(&subject, Verdict::Wrong, finding);
    }
    connection.release();
}

/// Whether the port answers at all, which is another question than whether a DICOM node does.
fn connect(node: &DimseNode) -> Result<()> {
    let place = node.place();
    let addresses = node.address.to_socket_addrs().map_err(|e| {
        Error::network(&place, "find the address", e).hint("write host:port; is the name known?")
    })?;
    let timeout = Duration::from_secs(node.timeout_seconds);
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => return Ok(()),
            Err(e) => last = Some(e),
        }
    }
    let reason = last.map_or_else(|| "the name has no address".to_owned(), |e| e.to_string());
    Err(Error::network(&place, "connect", reason)
        .hint("does the node run, is the port right, does a firewall stand between?"))
}

fn check_web(name: &str, node: &WebNode, is_destination: bool, checks: &mut Checks) {
    let subject = format!("node {name}");
    let client = match WebClient::new(node) {
        Ok(client) => client,
        Err(e) => return checks.add(&subject, Verdict::Wrong, e.to_string()),
    };
    let result = client.check_query();
    let is_there = result
        .as_ref()
        .err()
        .is_none_or(|e| e.kind() != ErrorKind::Network);
    checks.result(&subject, "QIDO-RS is answered", result);
    if is_destination && is_there {
        checks.result(&subject, "STOW-RS is allowed", client.check_store());
    }
    if node.url.starts_with("http://") && !matches!(node.login, crate::config::Login::None) {
        let finding = "the password or token travels without encryption (use https)";
        checks.add(&subject, Verdict::Warning, finding);
    }
}
