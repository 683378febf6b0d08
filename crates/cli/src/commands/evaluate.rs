//! `multirnet evaluate`: a model against known truth.

use super::phantom::make;
use crate::failure::{Exit, Failure, Outcome};
use crate::model::ModelArguments;
use crate::output::Staged;
use crate::predicting::{PredictArguments, analyse};
use crate::scan::{self, ReadArguments, Scan};
use crate::scores::{CaseScore, Scores};
use crate::{Context, output};
use indicatif::{ProgressBar, ProgressStyle};
use multirnet_infer::{PredictOptions, Predictor};
use multirnet_metrics::EmptyPolicy;
use multirnet_study::scan_seed;
use multirnet_train::{Case, Cohort, load};
use multirnet_volume::Diagnosis;
use std::path::PathBuf;

/// Score a model on a cohort: volume Dice, confusion matrix, recall, precision, accuracy, F1
///
/// The cohort is a manifest (see `prepare`), or synthetic phantoms made on the way (--phantoms).
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet evaluate cohort.csv --fold 2 -o scores\n  multirnet evaluate --phantoms 40 --seed 9000 -o scores"
)]
pub struct Evaluate {
    /// Cohort manifest (CSV or TOML)
    #[arg(required_unless_present = "phantoms", conflicts_with = "phantoms")]
    manifest: Option<PathBuf>,

    /// Score on this many synthetic phantoms per class instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    phantoms: Option<u32>,

    /// Seed of the phantoms' cohort
    #[arg(long, default_value_t = 9000, requires = "phantoms")]
    seed: u64,

    /// Voxels of the phantoms along x and y
    #[arg(long, default_value_t = 256, requires = "phantoms", value_parser = clap::value_parser!(u16).range(96..=512))]
    matrix: u16,

    /// Only the cases of this fold of the manifest
    #[arg(long, requires = "manifest")]
    fold: Option<usize>,

    /// What an undefined value counts in means: propagate, worst or skip
    #[arg(long, default_value = "worst", value_parser = policy)]
    empty: EmptyPolicy,

    /// Folder for scores.json and cases.csv
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,

    #[command(flatten)]
    predict: PredictArguments,

    #[command(flatten)]
    model: ModelArguments,
}

fn policy(text: &str) -> Result<EmptyPolicy, String> {
    match text {
        "propagate" => Ok(EmptyPolicy::Propagate),
        "worst" => Ok(EmptyPolicy::Worst),
        "skip" => Ok(EmptyPolicy::Skip),
        other => Err(format!(
            "unknown policy {other:?} (write propagate, worst or skip)"
        )),
    }
}

/// Something to score: its name, and a way to score it.
enum Item<'a> {
    Phantom { class: Diagnosis, index: u64 },
    Case(&'a Case),
}

impl Evaluate {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let predictor = self.model.load()?;
        let mut options = self.predict.options(&predictor)?;
        options.explain = false;
        let cohort = self
            .manifest
            .as_deref()
            .map(Cohort::read)
            .transpose()
            .map_err(Failure::input)?;
        let (title, items): (String, Vec<Item>) = match (&cohort, self.phantoms) {
            (Some(cohort), _) => {
                let cases = cohort
                    .cases
                    .iter()
                    .filter(|c| self.fold.is_none_or(|f| c.fold == Some(f)));
                let path = self
                    .manifest
                    .as_ref()
                    .map(|p| p.display().to_string())
                    .unwrap_or_default();
                (format!("Cohort {path}"), cases.map(Item::Case).collect())
            }
            (None, count) => {
                let count = u64::from(count.unwrap_or(0));
                let items = (0..count)
                    .flat_map(|index| Diagnosis::ALL.map(|class| Item::Phantom { class, index }));
                (
                    format!(
                        "Synthetic phantoms, {count} per class, cohort seed {}, matrix {}: results say nothing about patients",
                        self.seed, self.matrix
                    ),
                    items.collect(),
                )
            }
        };
        if items.is_empty() {
            return Err(Failure::input(
                "there is no scan to score (look at --fold and the manifest's fold column)",
            ));
        }
        let bar = ProgressBar::new(items.len() as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} (left: {eta})")
        {
            bar.set_style(style);
        }
        let (mut cases, mut failed) = (vec![], vec![]);
        for item in &items {
            let name = match item {
                Item::Phantom { class, index } => format!("{}-{index:04}", class.name()),
                Item::Case(case) => scan::stem(&case.scan),
            };
            bar.set_message(name.clone());
            let scored = match item {
                Item::Phantom { class, index } => {
                    self.phantom(&predictor, &options, &name, *class, *index)
                }
                Item::Case(case) => manifest_case(&predictor, &options, &name, case),
            };
            match scored {
                Ok(case) => cases.push(case),
                Err(failure) => failed.push((name, failure.to_string())),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let model = format!(
            "{} (SHA-256 {})",
            predictor.card().name,
            predictor.model_digest()
        );
        let scores = Scores::of(title, model, cases, failed, self.empty)?;
        if let Some(out) = &self.out {
            let staged = Staged::new(out)?;
            staged.write_json("scores.json", &scores)?;
            staged.write("cases.csv", scores.csv().as_bytes())?;
            staged.write("summary.txt", scores.describe().as_bytes())?;
            staged.publish()?;
        }
        output::print(&if context.json {
            output::to_json(&scores)?
        } else {
            scores.describe()
        })?;
        match scores.failed.len() {
            0 => Ok(()),
            n if n == items.len() => Err(Failure::input("no scan could be analysed")),
            n => Err(Failure::new(
                Exit::Partial,
                format!("{n} of {} scans failed", items.len()),
            )),
        }
    }

    fn phantom(
        &self,
        predictor: &Predictor,
        options: &PredictOptions,
        name: &str,
        class: Diagnosis,
        index: u64,
    ) -> Outcome<CaseScore> {
        let (_, made) = make(
            scan_seed(self.seed, class, index),
            class,
            usize::from(self.matrix),
        )?;
        let scan = Scan::in_memory(name.to_owned(), made.ct);
        let prediction = analyse(predictor, &scan, None, options, &ProgressBar::hidden())?;
        CaseScore::of(name, class, Some(&made.lesions), &prediction)
    }
}

fn manifest_case(
    predictor: &Predictor,
    options: &PredictOptions,
    name: &str,
    case: &Case,
) -> Outcome<CaseScore> {
    let scan = scan::read(&case.scan, &ReadArguments::default())?;
    let lungs = load::read_lungs(case).map_err(Failure::input)?;
    let mut options = options.clone();
    options.prepare.intensity = case.intensity;
    let prediction = analyse(
        predictor,
        &scan,
        lungs.as_ref(),
        &options,
        &ProgressBar::hidden(),
    )?;
    let lesions = load::read_lesions(case).map_err(Failure::input)?;
    let class = case
        .class
        .ok_or_else(|| Failure::input(format!("{name}: the class of the scan is unknown")))?;
    CaseScore::of(name, class, lesions.as_ref(), &prediction)
}
