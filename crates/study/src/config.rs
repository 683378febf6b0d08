//! The configuration of a study: one TOML file.

use crate::config_line::with_line;
use crate::{Error, ErrorKind, Result};
use multirnet::evaluation::ScoreConfig;
use multirnet::merge;
use multirnet_base::{files, toml_text};
use multirnet_cohort::SplitConfig;
use multirnet_infer::{Catalogue, PredictOptions, Tile};
use multirnet_train::TrainConfig;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A study: systems that are trained alike on one cohort and scored alike on its test scans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// Title of the tables and pages.
    pub title: String,
    /// The scans.
    pub cohort: CohortConfig,
    /// Division of the scans.
    #[serde(default)]
    pub split: SplitConfig,
    /// Folds of a cross-validation to run, from 0. `[]` (default) runs a single split by shares.
    #[serde(default)]
    pub folds: Vec<usize>,
    /// Id of the system that the others are tested against; default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Training of every system: tables of a training configuration except `model` and `split`. The
    /// weights that trainings begin from, `run.init`, are a model's name or a path relative to the
    /// configuration's folder (see [`multirnet_infer::Catalogue`]). They must not have been trained
    /// or chosen on patients that are tested; the study cannot check this.
    #[serde(default)]
    pub train: toml::Table,
    /// Options of the analysis of test scans: fields of [`PredictOptions`] that replace the study's
    /// defaults (see [`predict_options`](Self::predict_options)).
    #[serde(default)]
    pub predict: toml::Table,
    /// Options of the scoring of test scans.
    #[serde(default)]
    pub score: ScoreConfig,
    /// The systems, in the order of the tables.
    #[serde(rename = "system")]
    pub systems: Vec<SystemEntry>,
}

/// The scans of a study. Some are divided into sides: the scans of a manifest, or phantoms. Others
/// are only tested or only trained on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CohortConfig {
    /// A manifest; its path is relative to the configuration's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// Synthetic phantoms, made in the study's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phantoms: Option<PhantomCohort>,
    /// Folder that paths in the manifest are relative to; default: the manifest's own folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Scans that are always on the test side. Several folds would test them several times, so the
    /// study may then not have any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<MoreScans>,
    /// Scans that are on the training side of every division. A division leaves out scans of patients
    /// that it tests or validates on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub training: Vec<MoreScans>,
}

/// Scans of a study that are not divided.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MoreScans {
    /// A manifest, as in [`CohortConfig`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// Synthetic phantoms, made in the study's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phantoms: Option<PhantomCohort>,
    /// As in [`CohortConfig`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
}

/// A cohort of synthetic phantoms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhantomCohort {
    /// Normal scans.
    pub normal: u32,
    /// Scans with community-acquired pneumonia.
    pub cap: u32,
    /// Scans with COVID-19.
    pub covid19: u32,
    /// Seed of the cohort; cohorts of different seeds share no scan.
    pub seed: u64,
    /// Voxels along x and y.
    pub matrix: u16,
}

/// One system of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemEntry {
    /// A short name for files and options: letters, digits, `-` and `_`.
    pub id: String,
    /// Name in tables; default: the system card's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Key of the paper's row that stands beside it; see [`crate::paper`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<String>,
    /// Name of a group of systems that differ only in the seed of their training (`set.run.seed`).
    /// The spread over a group has a table of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Tables of the training configuration that replace or extend the study's, above all `model`.
    #[serde(default)]
    pub set: toml::Table,
}

impl StudyConfig {
    /// Reads and checks a TOML file; the paths in it become absolute.
    ///
    /// # Errors
    /// `Io`; `Config` with the key and the remedy.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path, "study")?;
        let mut config = Self::parse(&text).map_err(|e| e.at(path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.cohort.resolve(folder);
        let sets = config.systems.iter_mut().map(|s| &mut s.set);
        for table in sets.chain([&mut config.train]) {
            resolve_init(table, folder);
        }
        Ok(config)
    }

    /// Parses and checks TOML.
    ///
    /// # Errors
    /// `Config` with the key and the remedy.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self = toml_text::parse(text)?;
        config.validate().map_err(|e| with_line(text, e))?;
        Ok(config)
    }

    /// Checks ids, names, the training of every system, and ranges.
    ///
    /// # Errors
    /// `Config`.
    pub fn validate(&self) -> Result<()> {
        let bad = |reason: String| Error::new(ErrorKind::Config, reason);
        if self.systems.is_empty() {
            return Err(bad("the study has no system".into()).hint("add a table [[system]]"));
        }
        let mut seen = HashSet::new();
        for system in &self.systems {
            let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if system.id.is_empty() || system.id.len() > 64 || !system.id.chars().all(sound) {
                return Err(
                    bad(format!("system.id {:?} is not a short name", system.id))
                        .hint("write 1 to 64 letters, digits, - and _"),
                );
            }
            if !seen.insert(&system.id) {
                return Err(bad(format!("two systems have the id {:?}", system.id))
                    .hint("give each its own"));
            }
            self.train_config(system)?;
            if let Some(key) = &system.paper
                && crate::paper::SEGMENTATION.iter().all(|r| r.key != key)
                && crate::paper::CLASSIFICATION.iter().all(|r| r.key != key)
            {
                return Err(bad(format!(
                    "system {:?}: the paper has no row {key:?}",
                    system.id
                ))
                .hint(format!("known: {}", crate::paper::keys().join(", "))));
            }
        }
        self.cohort.validate()?;
        if self.folds.len() > 1 && !self.cohort.test.is_empty() {
            return Err(
                bad("cohort.test cannot be combined with several folds".into())
                    .hint("each fold would test those scans again; divide them, or run one fold"),
            );
        }
        self.check_groups()?;
        if let Some(id) = &self.reference
            && !seen.contains(id)
        {
            return Err(bad(format!("reference {id:?} is not the id of a system")));
        }
        self.score
            .surface
            .check()
            .map_err(|e| Error::caused(ErrorKind::Config, e))?;
        self.predict_options().map(|_| ())
    }

    /// Refuses groups whose systems differ in more than the seed.
    fn check_groups(&self) -> Result<()> {
        let seedless = |system: &SystemEntry| -> Result<_> {
            let mut train = self.train_config(system)?;
            train.run.seed = 0;
            Ok(train)
        };
        for (i, system) in self.systems.iter().enumerate() {
            let same = |s: &&SystemEntry| s.group.is_some() && s.group == system.group;
            let Some(first) = self.systems[..i].iter().find(same) else {
                continue;
            };
            if seedless(first)? != seedless(system)? {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!(
                        "systems {:?} and {:?} of one group differ in more than run.seed",
                        first.id, system.id
                    ),
                )
                .hint("a group holds one system trained with several seeds"));
            }
        }
        Ok(())
    }

    /// The options of the analysis of test scans, the same for every system. By default fine windows
    /// are not merged into tiles, because some nets take only the shape they were trained with, and
    /// nothing is added to the net's lesions.
    ///
    /// # Errors
    /// `Config` if a field is unknown or out of range, or systems prepare scans differently.
    pub fn predict_options(&self) -> Result<PredictOptions> {
        let bad = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Config, format!("predict: {}", one_line(e)))
        };
        let prepare = self.train_config(&self.systems[0])?.prepare;
        for system in &self.systems {
            if self.train_config(system)?.prepare != prepare {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("system {:?} prepares scans in another way", system.id),
                )
                .hint("one study compares systems on the same views: set `prepare` in [train]"));
            }
        }
        let defaults = PredictOptions {
            tile: Tile::Off,
            explain: false,
            complete_consolidation: false,
            batch: 4,
            prepare,
            ..PredictOptions::default()
        };
        if let Some(key) = ["prepare", "explain"]
            .iter()
            .find(|k| self.predict.contains_key(**k))
        {
            return Err(bad(&format!("`{key}` is set by the study itself")));
        }
        let options = multirnet::overlay(&defaults, &self.predict).map_err(|e| bad(&e))?;
        options.validate().map_err(|e| bad(&e))?;
        Ok(options)
    }

    /// The complete training configuration of a system.
    ///
    /// # Errors
    /// `Config`; it names the system.
    pub fn train_config(&self, system: &SystemEntry) -> Result<TrainConfig> {
        let bad = |reason: String| {
            Error::new(
                ErrorKind::Config,
                format!("system {:?}: {reason}", system.id),
            )
        };
        let mut table = self.train.clone();
        if table.contains_key("split") || system.set.contains_key("split") {
            return Err(bad("`split` belongs to the whole study".into())
                .hint("write it in the table [split]"));
        }
        merge(&mut table, &system.set);
        let mut config: TrainConfig = table.try_into().map_err(|e: toml::de::Error| {
            bad(format!("training configuration: {}", one_line(&e)))
        })?;
        config.split = self.split.clone();
        config.validate().map_err(|e| bad(e.to_string()))?;
        Ok(config)
    }

    /// The system that the others are tested against.
    pub fn reference(&self) -> &SystemEntry {
        let id = self.reference.as_ref();
        let found = self.systems.iter().find(|s| Some(&s.id) == id);
        found.unwrap_or(&self.systems[0])
    }

    /// The complete configuration as TOML.
    ///
    /// # Errors
    /// `Config` if a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::caused(ErrorKind::Config, e))
    }
}

impl CohortConfig {
    /// Makes paths, which are relative to `folder`, absolute. A study can then be resumed from any
    /// working folder.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        let more = self.test.iter_mut().chain(&mut self.training);
        let more = more.flat_map(|m| [&mut m.manifest, &mut m.data]);
        let own = [&mut self.manifest, &mut self.data];
        for path in more.chain(own).flatten() {
            *path = absolute(&folder.join(&path));
        }
    }

    /// Replaces the scans that are divided by those of the manifest at `path` (relative to the
    /// working folder). Its paths are relative to its own folder until
    /// [`set_data`](Self::set_data).
    pub fn set_manifest(&mut self, path: &Path) {
        self.manifest = Some(absolute(path));
        self.phantoms = None;
        self.data = None;
    }

    /// Sets the folder that paths in manifests are relative to, for all manifests without `data`.
    /// `path` is relative to the working folder.
    pub fn set_data(&mut self, path: &Path) {
        let more = self.test.iter_mut().chain(&mut self.training);
        for data in more.map(|m| &mut m.data).chain([&mut self.data]) {
            data.get_or_insert_with(|| absolute(path));
        }
    }

    /// Whether the scans that are divided are synthetic phantoms.
    pub fn is_synthetic(&self) -> bool {
        self.phantoms.is_some()
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let one = |manifest: &Option<PathBuf>, phantoms: &Option<PhantomCohort>, name: &str| {
            if manifest.is_some() != phantoms.is_some() {
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::Config,
                format!("{name} must name either a manifest or phantoms"),
            )
            .hint("write manifest = \"FILE\" or a table phantoms"))
        };
        one(&self.manifest, &self.phantoms, "cohort")?;
        for (name, all) in [("test", &self.test), ("training", &self.training)] {
            for scans in all {
                one(&scans.manifest, &scans.phantoms, &format!("cohort.{name}"))?;
            }
        }
        Ok(())
    }
}

/// Makes the path of `run.init` in tables of a training configuration absolute. The path is relative
/// to `folder`. A model's name stays.
pub(crate) fn resolve_init(table: &mut toml::Table, folder: &Path) {
    let run = table.get_mut("run").and_then(toml::Value::as_table_mut);
    if let Some(toml::Value::String(init)) = run.and_then(|run| run.get_mut("init"))
        && Catalogue::is_path(init)
    {
        *init = absolute(&folder.join(&*init))
            .to_string_lossy()
            .into_owned();
    }
}

/// The text of a parser's error in one line. The parser names the table in a second line.
fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().trim().replace('\n', " ")
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl SystemEntry {
    /// The system's name in tables.
    pub fn label(&self, config: &TrainConfig) -> String {
        let card = config.model.card().name;
        self.name.clone().unwrap_or_else(|| card.to_owned())
    }
}
