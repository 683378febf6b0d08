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
//! | `tables/`, `figures/`, `index.html` | what a person reads, made anew whenever asked for |

use crate::cohort::StudyCohort;
use crate::config::StudyConfig;
use crate::{Error, ErrorKind, Result};
use multirnet_base::files::{self, make_dir};
use multirnet_train::{Cohort, Side, Split};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// Paths of a study.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

/// One division of the cohort: of shares, or a fold.
#[derive(Debug, Clone)]
pub struct Division {
    /// `split`, or `fold-N`.
    pub name: String,
    /// The scans of this division: all that are divided or only tested, at their positions in the
    /// study's cohort, and after them those that are only trained on.
    pub cohort: Cohort,
    /// Each scan's side.
    pub split: Split,
    /// Patients of the scans that were to be trained on, but are left out here because the
    /// division tests or validates on them, with the number of those scans.
    pub left_out: BTreeMap<String, usize>,
}

impl Division {
    /// All divisions of the study.
    ///
    /// # Errors
    /// `Cohort` if a division is impossible, or a study or patient lies on two sides.
    pub fn all(config: &StudyConfig, study: &StudyCohort) -> Result<Vec<Self>> {
        let bad = |e| Error::caused(ErrorKind::Cohort, e);
        let divided = study.divided();
        if config.folds.is_empty() {
            let split = Split::stratified(&divided, &config.split).map_err(bad)?;
            return Ok(vec![Self::of("split".to_owned(), study, split)?]);
        }
        let fold = |&fold: &usize| {
            let split = Split::cross_validation(&divided, &config.split, fold).map_err(bad)?;
            Self::of(format!("fold-{fold}"), study, split)
        };
        config.folds.iter().map(fold).collect()
    }

    /// `split` of the divided scans, with those that are only tested on the test side, and the
    /// others on the training side as far as none of their patients is on another side.
    fn of(name: String, study: &StudyCohort, mut split: Split) -> Result<Self> {
        let (kept, others) = study.cohort.cases.split_at(study.divided + study.tested);
        let mut cohort = Cohort {
            cases: kept.to_vec(),
        };
        split.sides.resize(kept.len(), Side::Test);
        let held_out: HashSet<String> = cohort
            .cases
            .iter()
            .zip(&split.sides)
            .filter(|(_, side)| **side != Side::Train)
            .map(|(case, _)| case.patient.clone())
            .collect();
        let mut left_out = BTreeMap::new();
        for case in others {
            if held_out.contains(&case.patient) {
                *left_out.entry(case.patient.clone()).or_insert(0) += 1;
            } else {
                cohort.cases.push(case.clone());
                split.sides.push(Side::Train);
            }
        }
        let checked = split.check(&cohort, None);
        checked.map_err(|e| Error::caused(ErrorKind::Cohort, e))?;
        Ok(Self {
            name,
            cohort,
            split,
            left_out,
        })
    }

    /// Positions of its test scans in the cohort.
    pub fn test(&self) -> Vec<usize> {
        self.split.on(Side::Test)
    }
}

impl Folder {
    /// The folder `root` of a study that is to be run: it may be new, empty or hold the same study.
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

    /// The folder of a study that was begun, and its configuration.
    ///
    /// # Errors
    /// `Io` if there is none; `Config` if its configuration is damaged.
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

    /// Synthetic phantoms.
    pub fn cohort(&self) -> PathBuf {
        self.root.join("cohort")
    }

    /// Synthetic phantoms of the table number `index` of `cohort.test` or `cohort.training`.
    pub fn more(&self, name: &str, index: usize) -> PathBuf {
        self.root.join(format!("{name}-{index}"))
    }

    /// Prepared scans.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// A copy of the program's model `name`, which trainings begin from.
    pub fn init(&self, name: &str) -> PathBuf {
        self.root.join("init").join(format!("{name}.safetensors"))
    }

    /// The training run of a system in a division.
    pub fn run(&self, system: &str, division: &str) -> PathBuf {
        self.root.join("runs").join(system).join(division)
    }

    /// Scores of test scan number `case`.
    pub fn score(&self, system: &str, division: &str, case: usize) -> PathBuf {
        let folder = self.root.join("scores").join(system).join(division);
        folder.join(format!("{case:04}.json"))
    }

    /// Lesion mask of test scan number `case`.
    pub fn mask(&self, system: &str, division: &str, case: usize) -> PathBuf {
        self.score(system, division, case).with_extension("nii.gz")
    }

    /// Tables.
    pub fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    /// Figures.
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

/// Reads a value that [`write_json`] wrote; `None` if there is none.
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
