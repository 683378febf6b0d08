//! The divisions of a study's cohort.

use crate::cohort::StudyCohort;
use crate::config::StudyConfig;
use crate::{Error, ErrorKind, Result};
use multirnet_cohort::{Cohort, Side, Split};
use std::collections::{BTreeMap, HashSet};

/// One division of the cohort: by shares, or a fold.
#[derive(Debug, Clone)]
pub struct Division {
    /// `split`, or `fold-N`.
    pub name: String,
    /// The scans of this division. Scans that are divided or only tested keep their positions in the
    /// study's cohort. After them come those that are only trained on.
    pub cohort: Cohort,
    /// Each scan's side.
    pub split: Split,
    /// Patients whose scans should only be trained on, but whom this division tests or validates on.
    /// Their scans are left out. The value is the number of these scans.
    pub left_out: BTreeMap<String, usize>,
}

impl Division {
    /// The names of the study's divisions: `split` alone, or `fold-N` for each fold.
    pub(crate) fn names(config: &StudyConfig) -> Vec<String> {
        match config.folds.is_empty() {
            true => vec!["split".to_owned()],
            false => config.folds.iter().map(|f| format!("fold-{f}")).collect(),
        }
    }

    /// All divisions of the study.
    ///
    /// # Errors
    /// `Cohort` if a division is impossible, or a study or patient lies on two sides; `Config` if no
    /// scan is tested.
    pub fn all(config: &StudyConfig, study: &StudyCohort) -> Result<Vec<Self>> {
        let bad = |e| Error::caused(ErrorKind::Cohort, e);
        let divided = study.divided();
        let mut names = Self::names(config).into_iter();
        let mut name = || names.next().unwrap_or_default();
        if config.folds.is_empty() {
            let split = Split::stratified(&divided, &config.split).map_err(bad)?;
            let division = Self::from_split(name(), study, split)?;
            return Ok(vec![division.check_test(config, study.divided)?]);
        }
        let fold = |&fold: &usize| {
            let split = Split::cross_validation(&divided, &config.split, fold).map_err(bad)?;
            Self::from_split(name(), study, split)
        };
        config.folds.iter().map(fold).collect()
    }

    /// Extends `split`, which holds the divided scans. Scans that are only tested go to the test
    /// side. The others go to the training side unless their patient is on another side.
    fn from_split(name: String, study: &StudyCohort, mut split: Split) -> Result<Self> {
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

    /// Refuses a division without test scans, because its study would end without a score.
    fn check_test(self, config: &StudyConfig, divided: usize) -> Result<Self> {
        if !self.test().is_empty() {
            return Ok(self);
        }
        Err(Error::new(
            ErrorKind::Config,
            format!(
                "the test side of {:?} is empty: split.test_fraction = {:?} leaves no test scan of {divided}",
                self.name, config.split.test_fraction
            ),
        )
        .hint(
            "raise split.test_fraction, name folds, or name test scans in [[cohort.test]], and run the \
             study in another folder",
        ))
    }

    /// Positions of its test scans in the cohort.
    pub fn test(&self) -> Vec<usize> {
        self.split.on(Side::Test)
    }
}
