//! Splits by patient, stratified by class. A split with leakage is refused.
//!
//! The unit is the patient: all scans of one patient lie on the same side, whatever their sources
//! and manifests. A patient's stratum is its most severe class (COVID-19 before CAP before normal);
//! patients of unknown class are a stratum of their own.

use crate::{Case, Cohort, Error, ErrorKind, Result};
use multirnet_base::random::Random;
use multirnet_volume::Diagnosis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Configuration of the division of a cohort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// Share of each class's scans held out for testing (paper: 0.3). Not used with a fold.
    pub test_fraction: f64,
    /// Share of the remaining scans of each class held out for early stopping. (Ours: the paper
    /// does not say which scans give its validation loss. Here they are never the test scans.)
    pub validation_fraction: f64,
    /// Number of cross-validation folds (paper: 4).
    pub folds: usize,
    /// Seed of the division.
    pub seed: u64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self {
            test_fraction: 0.3,
            validation_fraction: 0.15,
            folds: 4,
            seed: 0,
        }
    }
}

/// The side of a split that a scan is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Training fits the weights to these scans.
    Train,
    /// These scans decide when training stops and which weights are best.
    Validation,
    /// Training does not use these scans.
    Test,
}

impl Side {
    /// Machine name: `train`, `validation`, `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// The side of each scan of a cohort, in the cohort's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The sides.
    pub sides: Vec<Side>,
}

impl Split {
    /// Divides `cohort` by shares: test first, then validation from the remaining scans.
    ///
    /// # Errors
    /// `Config` for shares outside 0..1, `Leakage` as [`Split::check`].
    pub fn stratified(cohort: &Cohort, config: &SplitConfig) -> Result<Self> {
        fraction("test_fraction", config.test_fraction)?;
        let mut sides = vec![Side::Train; cohort.cases.len()];
        hold_out(
            cohort,
            &mut sides,
            Side::Test,
            config.test_fraction,
            config.seed,
        );
        Self { sides }.with_validation(cohort, config)
    }

    /// Takes fold number `fold` (from 0) of a cross-validation as the test side. Folds come from
    /// the manifest if it has them, and from [`folds`] otherwise.
    ///
    /// # Errors
    /// `Config` if no scan is in that fold, `Leakage` as [`Split::check`].
    pub fn cross_validation(cohort: &Cohort, config: &SplitConfig, fold: usize) -> Result<Self> {
        let folds = folds(cohort, config.folds, config.seed)?;
        let n = folds.iter().flatten().max().map_or(0, |m| m + 1);
        if !folds.contains(&Some(fold)) {
            return Err(
                Error::new(ErrorKind::Config, format!("fold {fold} holds no scan")).hint(format!(
                    "folds are numbered from 0 to {}",
                    n.saturating_sub(1)
                )),
            );
        }
        let sides = folds
            .iter()
            .map(|f| match *f == Some(fold) {
                true => Side::Test,
                false => Side::Train,
            })
            .collect();
        Self { sides }.with_validation(cohort, config)
    }

    fn with_validation(mut self, cohort: &Cohort, config: &SplitConfig) -> Result<Self> {
        fraction("validation_fraction", config.validation_fraction)?;
        hold_out(
            cohort,
            &mut self.sides,
            Side::Validation,
            config.validation_fraction,
            config.seed ^ 0x56a1,
        );
        self.check(cohort, None)?;
        Ok(self)
    }

    /// Positions of the scans on `side`.
    pub fn on(&self, side: Side) -> Vec<usize> {
        (0..self.sides.len())
            .filter(|&i| self.sides[i] == side)
            .collect()
    }

    /// Refuses a split in which a patient, a study UID or the content of a scan (`digests`, one
    /// for each scan) lies on two sides, or whose training side is empty.
    ///
    /// # Errors
    /// `Leakage`; it names the two scans and what they share.
    pub fn check(&self, cohort: &Cohort, digests: Option<&[String]>) -> Result<()> {
        let cases = &cohort.cases;
        if self.sides.len() != cases.len() || digests.is_some_and(|d| d.len() != cases.len()) {
            return Err(Error::new(
                ErrorKind::Leakage,
                format!(
                    "the split is for {} scans, but the cohort has {}",
                    self.sides.len(),
                    cases.len()
                ),
            ));
        }
        let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
        for (i, case) in cases.iter().enumerate() {
            let keys = [
                ("patient", Some(case.patient.as_str())),
                ("study UID", case.study_uid.as_deref()),
                ("content", digests.map(|d| d[i].as_str())),
            ];
            for (what, value) in keys {
                let Some(value) = value else { continue };
                let first = *seen.entry((what, value)).or_insert(i);
                if self.sides[first] != self.sides[i] {
                    return Err(leak(cohort, self, what, value, first, i));
                }
            }
        }
        if !self.sides.contains(&Side::Train) {
            return Err(
                Error::new(ErrorKind::Leakage, "no scan is left for training")
                    .hint("lower test_fraction and validation_fraction, or add patients"),
            );
        }
        Ok(())
    }

    /// The split as CSV: scan, patient, class, side.
    pub fn to_csv(&self, cohort: &Cohort) -> String {
        let quote = |t: &str| format!("\"{}\"", t.replace('"', "\"\""));
        let mut text = String::from("scan,patient,class,side\n");
        for (case, side) in cohort.cases.iter().zip(&self.sides) {
            text.push_str(&format!(
                "{},{},{},{}\n",
                quote(&case.scan.display().to_string()),
                quote(&case.patient),
                case.class_name(),
                side.name()
            ));
        }
        text
    }
}

fn leak(cohort: &Cohort, split: &Split, what: &str, value: &str, a: usize, b: usize) -> Error {
    let show = |i: usize| {
        format!(
            "{} ({})",
            cohort.cases[i].scan.display(),
            split.sides[i].name()
        )
    };
    let value = if what == "content" {
        &value[..value.len().min(12)]
    } else {
        value
    };
    Error::new(
        ErrorKind::Leakage,
        format!(
            "the {what} {value:?} lies on two sides of the split: {} and {}",
            show(a),
            show(b)
        ),
    )
    .hint("give both scans the same patient (and fold) in the manifest, or remove one")
}

/// The fold of each scan, from 0. The manifest's folds are used if it has them. Otherwise patients
/// are dealt to `k` folds, class by class.
///
/// If manifests with and without folds are joined, a scan without a fold gets the fold of its
/// patient's or its study's other scans. If those have none either, it gets `None`: it is trained
/// on in every fold and never tested.
///
/// # Errors
/// `Config` for fewer than two folds or more folds than patients; `Leakage` if the manifest puts
/// a patient or study into two folds.
pub fn folds(cohort: &Cohort, k: usize, seed: u64) -> Result<Vec<Option<usize>>> {
    if cohort.cases.iter().any(|c| c.fold.is_some()) {
        return given_folds(cohort);
    }
    let patients = patients(cohort);
    if k < 2 || k > patients.len() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("{k} folds cannot be made of {} patients", patients.len()),
        )
        .hint("write at least 2 folds, and no more than there are patients"));
    }
    let mut folds = vec![None; cohort.cases.len()];
    let mut total = vec![0usize; k];
    for class in strata() {
        let mut count = vec![0usize; k];
        for patient in stratum(&patients, class, seed) {
            // The fold with the fewest scans of the class; among those, the fewest scans in all.
            let fold = (0..k).min_by_key(|&f| (count[f], total[f], f)).unwrap_or(0);
            count[fold] += patient.cases.len();
            total[fold] += patient.cases.len();
            for &i in &patient.cases {
                folds[i] = Some(fold);
            }
        }
    }
    Ok(folds)
}

fn given_folds(cohort: &Cohort) -> Result<Vec<Option<usize>>> {
    fn keys(case: &Case) -> impl Iterator<Item = (&str, &str)> {
        let study = case.study_uid.as_deref().map(|uid| ("study UID", uid));
        std::iter::once(("patient", case.patient.as_str())).chain(study)
    }
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    for case in &cohort.cases {
        let Some(fold) = case.fold else { continue };
        for (what, value) in keys(case) {
            let first = *seen.entry((what, value)).or_insert(fold);
            if first != fold {
                return Err(Error::new(
                    ErrorKind::Leakage,
                    format!("the {what} {value:?} lies in folds {first} and {fold}"),
                )
                .line(case.line)
                .hint("keep all scans of a patient and of a study in one fold"));
            }
        }
    }
    let of = |case: &Case| {
        case.fold
            .or_else(|| keys(case).find_map(|k| seen.get(&k).copied()))
    };
    Ok(cohort.cases.iter().map(of).collect())
}

struct Patient {
    class: Option<Diagnosis>,
    cases: Vec<usize>,
}

fn patients(cohort: &Cohort) -> Vec<Patient> {
    let mut by_name: BTreeMap<&str, Patient> = BTreeMap::new();
    for (i, case) in cohort.cases.iter().enumerate() {
        let patient = by_name.entry(&case.patient).or_insert(Patient {
            class: case.class,
            cases: vec![],
        });
        patient.class = patient.class.max(case.class);
        patient.cases.push(i);
    }
    by_name.into_values().collect()
}

/// The strata in the order in which they are divided.
fn strata() -> impl Iterator<Item = Option<Diagnosis>> {
    Diagnosis::ALL.into_iter().map(Some).chain([None])
}

/// The patients of a class in seeded random order, but those with many scans first. Patients with
/// few scans come last and even out the sides.
fn stratum(patients: &[Patient], class: Option<Diagnosis>, seed: u64) -> Vec<&Patient> {
    let mut list: Vec<&Patient> = patients.iter().filter(|p| p.class == class).collect();
    let number = class.map_or(Diagnosis::ALL.len(), Diagnosis::index);
    Random::keyed(&[seed, number as u64]).shuffle(&mut list);
    list.sort_by_key(|p| std::cmp::Reverse(p.cases.len()));
    list
}

/// Moves patients from the training side to `side` until each class's share is reached as nearly
/// as whole patients allow. At least one patient of a class stays, and at least one moves if there
/// are two.
fn hold_out(cohort: &Cohort, sides: &mut [Side], side: Side, share: f64, seed: u64) {
    if share <= 0.0 {
        return;
    }
    let mut patients = patients(cohort);
    patients.retain(|p| p.cases.iter().all(|&i| sides[i] == Side::Train));
    for class in strata() {
        let mut list = stratum(&patients, class, seed);
        // Patients with few scans move first. Usually each patient has one scan.
        list.reverse();
        let scans: usize = list.iter().map(|p| p.cases.len()).sum();
        let target = share * scans as f64;
        let mut taken = 0.0;
        let mut left = list.len();
        for patient in list {
            let n = patient.cases.len() as f64;
            let nearer = (taken + n - target).abs() <= (taken - target).abs();
            if left > 1 && (nearer || taken == 0.0) {
                taken += n;
                left -= 1;
                for &i in &patient.cases {
                    sides[i] = side;
                }
            } else {
                break;
            }
        }
    }
}

fn fraction(name: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(
        Error::new(ErrorKind::Config, format!("split.{name} is {value}"))
            .hint("write a share from 0 to below 1"),
    )
}
