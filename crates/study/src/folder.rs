//! The folder of a study.
//!
//! | path | content |
//! |---|---|
//! | `study.toml` | the complete configuration |
//! | `cohort/`, `test-N/`, `training-N/` | synthetic phantoms and their manifest, if the study makes its own |
//! | `init/` | models of the program that trainings begin from |
//! | `cache/` | prepared scans, shared by all trainings |
//! | `runs/SYSTEM/SPLIT/` | a training run (see `multirnet_train`), and `summary.json` when it is done |
//! | `scores/SYSTEM/SPLIT/` | for each test scan `N.json` (scores) and `N.nii.gz` (lesion mask) |
//! | `tables/`, `figures/`, `index.html` | the tables and the report, made anew on request |

use crate::config::StudyConfig;
use crate::{Error, ErrorKind, Result};
use multirnet_base::files::{self, make_dir};
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// Paths of a study.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens the folder `root` to run a study in it. It may be new, empty or hold the same study.
    ///
    /// # Errors
    /// `Io`; `Folder` if it holds another study.
    pub fn open(root: &Path, config: &StudyConfig) -> Result<Self> {
        let folder = Self {
            root: root.to_owned(),
        };
        make_dir(root)?;
        let (path, text) = (folder.config_path(), config.to_toml()?);
        if path.exists() {
            let old = std::fs::read_to_string(&path)
                .map_err(|e| Error::io(&path, "read the study", e))?;
            if old != text {
                let line = old.lines().zip(text.lines()).find(|(a, b)| a != b);
                let (was, is) = line.unwrap_or(("its length", "another"));
                return Err(Error::new(
                    ErrorKind::Folder,
                    format!(
                        "the folder holds another study: `{was}` was there and `{is}` is given"
                    ),
                )
                .at(&path)
                .hint("choose another folder, or undo the change"));
            }
        }
        files::write(&path, text.as_bytes())?;
        Ok(folder)
    }

    /// Opens the folder of a started study and reads its configuration.
    ///
    /// # Errors
    /// `Io` if it does not hold a study; `Config` if its configuration is damaged.
    pub fn existing(root: &Path) -> Result<(Self, StudyConfig)> {
        let folder = Self {
            root: root.to_owned(),
        };
        let path = folder.config_path();
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Error::io(&path, "read the study", e)
                .hint("give the folder of `multirnet compare` or `multirnet ablate`")
        })?;
        Ok((folder, StudyConfig::parse(&text).map_err(|e| e.at(&path))?))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn config_path(&self) -> PathBuf {
        self.root.join("study.toml")
    }

    /// Folder of the study's synthetic phantoms.
    pub fn cohort(&self) -> PathBuf {
        self.root.join("cohort")
    }

    /// Folder of the phantoms of table number `index` of `cohort.test` or `cohort.training`.
    pub fn more(&self, name: &str, index: usize) -> PathBuf {
        self.root.join(format!("{name}-{index}"))
    }

    /// Folder of the prepared scans.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// A copy of the program's model `name`, which trainings begin from.
    pub fn init(&self, name: &str) -> PathBuf {
        self.root.join("init").join(format!("{name}.safetensors"))
    }

    /// Folder of the training run of a system in a division.
    pub fn run(&self, system: &str, division: &str) -> PathBuf {
        self.root.join("runs").join(system).join(division)
    }

    /// File with the scores of test scan number `case`.
    pub fn score(&self, system: &str, division: &str, case: usize) -> PathBuf {
        let folder = self.root.join("scores").join(system).join(division);
        folder.join(format!("{case:04}.json"))
    }

    /// File with the lesion mask of test scan number `case`.
    pub fn mask(&self, system: &str, division: &str, case: usize) -> PathBuf {
        self.score(system, division, case).with_extension("nii.gz")
    }

    /// Folder of the tables.
    pub fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    /// Folder of the figures.
    pub fn figures(&self) -> PathBuf {
        self.root.join("figures")
    }
}

/// Writes a value as JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::caused(ErrorKind::Io, e).at(path))?;
    Ok(files::write(path, (text + "\n").as_bytes())?)
}

/// Reads a value that [`write_json`] wrote; `None` if the file does not exist.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path, "read the file", e)),
    };
    serde_json::from_str(&text).map(Some).map_err(|e| {
        Error::caused(ErrorKind::Malformed, e)
            .at(path)
            .hint("delete the file: what it holds is then made again")
    })
}
