//! Ablations: variants of one configuration along several axes.

use crate::config::{CohortConfig, StudyConfig, SystemEntry, resolve_init};
use crate::config_line::with_line;
use crate::{Error, ErrorKind, Result};
use multirnet::evaluation::ScoreConfig;
use multirnet::merge;
use multirnet_base::{files, toml_text};
use multirnet_cohort::SplitConfig;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A study whose systems are variants of one training configuration. Variants of different axes
/// with the same configuration are one system, which is trained once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AblationConfig {
    /// Title of the tables and pages.
    pub title: String,
    /// The scans.
    pub cohort: CohortConfig,
    /// Division of the scans.
    #[serde(default)]
    pub split: SplitConfig,
    /// Folds to run; see [`StudyConfig::folds`].
    #[serde(default)]
    pub folds: Vec<usize>,
    /// The training configuration that every variant changes, `model` included.
    pub train: toml::Table,
    /// Options of the analysis of test scans; see [`StudyConfig::predict`].
    #[serde(default)]
    pub predict: toml::Table,
    /// Options of the scoring of test scans.
    #[serde(default)]
    pub score: ScoreConfig,
    /// The axes, in the order of figures.
    #[serde(rename = "axis")]
    pub axes: Vec<Axis>,
}

/// One axis of an ablation: a question that its variants answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// The part of the configuration that changes.
    pub name: String,
    /// Its variants.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
}

/// One variant of an axis: an answer to its question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name in tables and figures.
    pub name: String,
    /// Tables of the training configuration that replace or extend those of `train`. The variant
    /// that `train` describes has none.
    #[serde(default)]
    pub set: toml::Table,
    /// Id of the variant's system; [`AblationConfig::study`] sets it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
}

impl AblationConfig {
    /// Reads and checks a TOML file; the paths in it become absolute.
    ///
    /// # Errors
    /// `Io`; `Config` with the key and the remedy.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path, "ablation")?;
        let mut config = Self::parse(&text).map_err(|e| e.at(path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.cohort.resolve(folder);
        let variants = config.axes.iter_mut().flat_map(|a| &mut a.variants);
        for table in variants.map(|v| &mut v.set).chain([&mut config.train]) {
            resolve_init(table, folder);
        }
        Ok(config)
    }

    /// Parses and checks TOML.
    ///
    /// # Errors
    /// `Config` with the key and the remedy.
    pub fn parse(text: &str) -> Result<Self> {
        let mut config: Self = toml_text::parse(text)?;
        config.study().map_err(|e| with_line(text, e))?;
        Ok(config)
    }

    /// The study of all different variants. Sets each variant's `system`.
    ///
    /// # Errors
    /// `Config`, as [`StudyConfig::validate`], and if there is no axis or an axis has fewer than two
    /// variants.
    pub fn study(&mut self) -> Result<StudyConfig> {
        let bad = |reason: String, hint: &str| Error::new(ErrorKind::Config, reason).hint(hint);
        if self.axes.is_empty() {
            return Err(bad(
                "the ablation has no axis".into(),
                "add a table [[axis]]",
            ));
        }
        let mut study = StudyConfig {
            title: self.title.clone(),
            cohort: self.cohort.clone(),
            split: self.split.clone(),
            folds: self.folds.clone(),
            reference: None,
            train: self.train.clone(),
            predict: self.predict.clone(),
            score: self.score.clone(),
            systems: Vec::new(),
        };
        let mut known: Vec<(multirnet_train::TrainConfig, String)> = Vec::new();
        for axis in &mut self.axes {
            if axis.variants.len() < 2 {
                return Err(bad(
                    format!("axis {:?} has fewer than two variants", axis.name),
                    "add tables [[axis.variant]]",
                ));
            }
            for variant in &mut axis.variants {
                let mut entry = SystemEntry {
                    id: id(&axis.name, &variant.name),
                    name: Some(format!("{}: {}", axis.name, variant.name)),
                    paper: None,
                    group: None,
                    set: toml::Table::new(),
                };
                merge(&mut entry.set, &variant.set);
                let train = study.train_config(&entry)?;
                if variant.set.is_empty() {
                    entry.name = Some("as configured".to_owned());
                    entry.id = "as-configured".to_owned();
                }
                variant.system = match known.iter().find(|(t, _)| *t == train) {
                    Some((_, id)) => id.clone(),
                    None => {
                        known.push((train, entry.id.clone()));
                        study.systems.push(entry.clone());
                        entry.id
                    }
                };
            }
        }
        study.validate()?;
        Ok(study)
    }
}

/// A system's id from the names of its axis and variant.
fn id(axis: &str, variant: &str) -> String {
    let text: String = format!("{axis} {variant}")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let parts: Vec<&str> = text.split('-').filter(|p| !p.is_empty()).collect();
    parts.join("-").chars().take(64).collect()
}

/// The file that holds an ablation's axes in its folder.
pub(crate) const AXES: &str = "axes.json";

impl AblationConfig {
    /// Writes the axes, with each variant's system, into the study's folder for the report.
    ///
    /// # Errors
    /// `Write` if the file cannot be written.
    pub fn write_axes(&self, folder: &crate::Folder) -> Result<()> {
        crate::folder::write_json(&folder.root().join(AXES), &self.axes)
    }
}
