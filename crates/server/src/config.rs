//! The server's configuration.

use crate::{Error, ErrorKind, Result};
use multirnet_base::{Ranges, files, toml_text};
use multirnet_pacs::config::ResultsConfig;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where the server answers if nothing else is said.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8042);

/// Settings of a server. `configs/server.toml` is an example with every field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// The folder of scans, results and the database.
    pub data: PathBuf,
    /// Address and port. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder of further models.
    pub models: Option<PathBuf>,
    /// Folders whose scans may be analysed where they lie.
    pub allow_roots: Vec<PathBuf>,
    /// Who may use the server.
    pub access: AccessConfig,
    /// What is refused or removed.
    pub limits: LimitsConfig,
    /// How scans are analysed.
    pub analysis: AnalysisConfig,
}

/// Who may use the server. By default that is whoever has the token in the data folder.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// File of tokens: `NAME TOKEN` in a line, and lines that begin with `#`.
    pub token_file: Option<PathBuf>,
    /// The header in which a reverse proxy names the person that it has let in.
    pub user_header: Option<String>,
    /// Addresses from which that header counts.
    pub trusted_proxies: Vec<IpAddr>,
}

/// What is refused or removed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Largest upload in MiB.
    pub upload_mib: u64,
    /// Most unfinished uploads.
    pub uploads: usize,
    /// Hours after its last piece when an unfinished upload is removed.
    pub upload_hours: u64,
    /// Most jobs that wait; further ones are refused.
    pub waiting_jobs: usize,
    /// Most jobs; further ones are refused until old ones are deleted.
    pub jobs: usize,
    /// Days after their end when jobs without corrections are deleted; never if left out.
    pub keep_days: Option<u64>,
    /// Free MiB on the disk below which nothing is taken in and no analysis begins.
    pub free_disk_mib: u64,
    /// Most connections at a time; one address may have half of them.
    pub connections: usize,
    /// Most streams of events at a time.
    pub event_streams: usize,
    /// Seconds that a client may take for a request's headers, or for its next request.
    pub header_seconds: u64,
    /// Seconds that the server waits for the next 4 KiB that a client sends or takes.
    pub stall_seconds: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            upload_mib: 4096,
            uploads: 64,
            upload_hours: 24,
            waiting_jobs: 10_000,
            jobs: 100_000,
            keep_days: None,
            free_disk_mib: 2048,
            connections: 256,
            event_streams: 128,
            header_seconds: 30,
            stall_seconds: 60,
        }
    }
}

/// How scans are analysed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisConfig {
    /// Scans analysed at a time, as far as the memory plan allows.
    pub workers: usize,
    /// Name or folder of the model; the embedded one if left out.
    pub model: Option<String>,
    /// File with options of the analysis, as for `predict --config`.
    pub options: Option<PathBuf>,
    /// MiB that all analyses together may take; three quarters of the machine's memory if left out.
    pub memory_mib: Option<u64>,
    /// How often a scan is tried whose analysis ends the program. A disk that refuses the results does not
    /// count: the scan waits for it.
    pub attempts: u32,
    /// Name of this installation in DICOM results.
    pub station: String,
}

impl AnalysisConfig {
    /// How results are written as DICOM.
    pub fn results(&self) -> ResultsConfig {
        ResultsConfig {
            station: self.station.clone(),
            ..ResultsConfig::default()
        }
    }
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self {
            workers: 2,
            model: None,
            options: None,
            memory_mib: None,
            attempts: 3,
            station: "none".to_owned(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("multirnet-data"),
            listen: DEFAULT_ADDRESS,
            models: None,
            allow_roots: Vec::new(),
            access: AccessConfig::default(),
            limits: LimitsConfig::default(),
            analysis: AnalysisConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Reads the file `path`. Relative paths in it lie in its folder.
    ///
    /// # Errors
    /// `Read`, or `Config` with the line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path, "configuration")?;
        let mut config: Self = toml_text::parse(&text).map_err(|e| Error::from(e).at(path))?;
        let folder = files::parent(path);
        let within = |p: &mut PathBuf| *p = folder.join(&*p);
        within(&mut config.data);
        let access = &mut config.access.token_file;
        let paths = [access, &mut config.models, &mut config.analysis.options];
        paths.into_iter().flatten().for_each(within);
        config.allow_roots.iter_mut().for_each(within);
        if let Some(model) = &mut config.analysis.model
            && model.contains(['/', std::path::MAIN_SEPARATOR])
        {
            *model = folder.join(&*model).to_string_lossy().into_owned();
        }
        config.check().map_err(|e| e.at(path))?;
        Ok(config)
    }

    /// Checks every range, and that an address for others has a rule for who may come in.
    ///
    /// # Errors
    /// `Config`.
    pub fn check(&self) -> Result<()> {
        Ranges::of_table("limits")
            .within("upload_mib", self.limits.upload_mib, 1..=1 << 20)
            .within("uploads", self.limits.uploads, 1..=10_000)
            .within("upload_hours", self.limits.upload_hours, 1..=10_000)
            .within("waiting_jobs", self.limits.waiting_jobs, 1..=1_000_000)
            .within("jobs", self.limits.jobs, 1..=10_000_000)
            .within("free_disk_mib", self.limits.free_disk_mib, 0..=1 << 30)
            .within("connections", self.limits.connections, 2..=10_000)
            .within("event_streams", self.limits.event_streams, 1..=10_000)
            .within("header_seconds", self.limits.header_seconds, 1..=3600)
            .within("stall_seconds", self.limits.stall_seconds, 1..=3600)
            .check()?;
        Ranges::of_table("analysis")
            .within("workers", self.analysis.workers, 1..=64)
            .within("attempts", self.analysis.attempts, 1..=100)
            .check()?;
        self.analysis.results().check("analysis.station")?;
        let access = &self.access;
        if access.user_header.is_some() && access.trusted_proxies.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                "a header that names the person needs the proxies that may set it",
            )
            .hint("name their addresses: access.trusted_proxies = [\"127.0.0.1\"]"));
        }
        let is_guarded = access.token_file.is_some() || access.user_header.is_some();
        if !self.listen.ip().is_loopback() && !is_guarded {
            let reason = format!(
                "{} can be reached from other machines, and nothing says who may come in",
                self.listen
            );
            return Err(Error::new(ErrorKind::Config, reason).hint(
                "give a file of tokens or a reverse proxy's header, or listen on 127.0.0.1; docs/server.md \
                 explains both",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_address_needs_a_rule_for_who_may_come_in() {
        let mut config = ServerConfig::default();
        config.check().unwrap();
        config.listen = "0.0.0.0:8042".parse().unwrap();
        let error = config.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("nothing says who may come in"));
        config.access.token_file = Some("tokens".into());
        config.check().unwrap();
        config.access = AccessConfig {
            user_header: Some("X-Remote-User".into()),
            ..AccessConfig::default()
        };
        assert!(config.check().unwrap_err().to_string().contains("proxies"));
        config.access.trusted_proxies = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        config.check().unwrap();
    }

    #[test]
    fn the_example_has_every_field_and_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/server.toml");
        let read = ServerConfig::read(&path).unwrap();
        let default = ServerConfig::default();
        assert_eq!(read.listen, default.listen);
        assert_eq!(read.limits.upload_mib, default.limits.upload_mib);
        assert_eq!(read.analysis.workers, default.analysis.workers);
        let text = std::fs::read_to_string(&path).unwrap();
        for field in [
            "data",
            "listen",
            "models",
            "allow_roots",
            "token_file",
            "user_header",
            "trusted_proxies",
            "upload_mib",
            "uploads",
            "upload_hours",
            "waiting_jobs",
            "jobs",
            "keep_days",
            "free_disk_mib",
            "connections",
            "event_streams",
            "header_seconds",
            "stall_seconds",
            "workers",
            "model",
            "options",
            "memory_mib",
            "attempts",
            "station",
        ] {
            let is_there = text.lines().any(|l| {
                l.trim_start_matches("# ")
                    .starts_with(&format!("{field} ="))
            });
            assert!(is_there, "{field} is missing");
        }
    }
}
