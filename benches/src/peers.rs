//! The peers: the Python of their virtual environment, their scripts, their allocator.

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Flags that every bench with peers takes.
#[derive(Debug, Clone, clap::Args)]
pub struct PeerArguments {
    /// The peers' virtual environment, made by benches/peers/setup.sh
    #[arg(long, value_name = "FOLDER", default_value = ".venv-peers")]
    pub venv: PathBuf,

    /// Allocator that PyTorch gets by LD_PRELOAD: a library, or `none`
    /// [default: tcmalloc, else jemalloc, where the system has one]
    #[arg(long, value_name = "FILE")]
    pub allocator: Option<String>,

    /// Threads of each contestant [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Measure only ours
    #[arg(long)]
    pub no_peers: bool,
}

/// Tuned allocators, best first (measured with `window --all-variants`).
const ALLOCATORS: [&str; 2] = ["libtcmalloc_minimal.so.4", "libjemalloc.so.2"];

impl PeerArguments {
    /// Threads of each contestant.
    pub fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(cores).max(1)
    }

    /// The allocator to preload, if there is one.
    pub fn allocator(&self) -> Option<PathBuf> {
        match self.allocator.as_deref() {
            Some("none") => None,
            Some(path) => Some(path.into()),
            None => ALLOCATORS.into_iter().find_map(find_library),
        }
    }

    /// Starts `script` of benches/peers with the environment's Python.
    ///
    /// # Errors
    /// If the peers are not set up, a sentence that says how to do it.
    pub fn python(&self, script: &str) -> Result<Command> {
        let python = self.venv.join("bin/python");
        if !python.exists() {
            return Err(format!(
                "{}: there is no such Python; run benches/peers/setup.sh, name another environment \
                 with --venv, or leave the peers out with --no-peers",
                python.display()
            ));
        }
        let mut command = Command::new(python);
        let threads = self.threads().to_string();
        command
            .arg(script_path(script))
            .env("OMP_NUM_THREADS", &threads)
            .env("PYTHONWARNINGS", "ignore")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .args(["--threads", &threads]);
        Ok(command)
    }

    /// As [`Self::python`], with the tuned allocator.
    ///
    /// # Errors
    /// As [`Self::python`].
    pub fn python_tuned(&self, script: &str) -> Result<Command> {
        let mut command = self.python(script)?;
        if let Some(library) = self.allocator() {
            // The peer's allocator keeps freed pages, as ours does.
            command
                .env("LD_PRELOAD", library)
                .env("TCMALLOC_RELEASE_RATE", "0")
                .env("MALLOC_CONF", "dirty_decay_ms:-1,muzzy_decay_ms:-1");
        }
        Ok(command)
    }

    /// The same arguments with each other allocator that the system has.
    pub fn other_allocators(&self) -> Vec<Self> {
        let libraries = ALLOCATORS.into_iter().filter_map(find_library).map(Some);
        let others = libraries.chain([None]).filter(|l| *l != self.allocator());
        others
            .map(|library| Self {
                allocator: Some(library.map_or("none".into(), |l| l.display().to_string())),
                ..self.clone()
            })
            .collect()
    }

    /// The allocator's name for the table.
    pub fn allocator_name(&self) -> String {
        let name = self.allocator().map_or("malloc".into(), |p| {
            let name = p.file_name().unwrap_or_default().to_string_lossy();
            let name = name.strip_prefix("lib").unwrap_or(&name);
            name.split('.').next().unwrap_or_default().to_owned()
        });
        name.replace("_minimal", "")
    }
}

/// Path of a library by its file name, in the usual places of Linux systems.
fn find_library(name: &str) -> Option<PathBuf> {
    let arch = std::env::consts::ARCH;
    [
        format!("/usr/lib/{arch}-linux-gnu"),
        "/usr/lib64".into(),
        "/usr/lib".into(),
        "/usr/local/lib".into(),
    ]
    .into_iter()
    .map(|folder| Path::new(&folder).join(name))
    .find(|path| path.exists())
}

fn script_path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(script)
}
