//! `multirnet evaluate`: scores a model against known truth.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::model::ModelArguments;
use crate::phantoms::make;
use crate::predicting::PredictArguments;
use crate::{output, scan};
use multirnet::evaluation::{
    CasePrediction, EvaluatedCase, Evaluation, HeatScore, RANDOM_SEED, ScoreConfig, predict_case,
};
use multirnet::evaluation::{case_picture, cases_csv, describe, sources_csv};
use multirnet::{StopToken, read_volume};
use multirnet_anatomy::segment_lungs;
use multirnet_base::{StagedFolder, files};
use multirnet_cohort::{
    Case, Cohort,
    load::{self, CaseScan},
};
use multirnet_infer::{Model, Pipeline, PredictOptions};
use multirnet_metrics::EmptyPolicy;
use multirnet_study::scan_seed;
use multirnet_volume::Diagnosis;
use std::path::PathBuf;

/// Score a model on cohorts: lesions source by source with intervals by patient, and classes
///
/// A cohort is one manifest (see `prepare`), several manifests together, or synthetic phantoms that
/// the command makes (--phantoms). The command does not know which patients the model was trained
/// on: give it scans that the model has never seen.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet evaluate cohort.csv --fold 2 -o scores\n  multirnet evaluate configs/data/medseg98-test.csv configs/data/mosmed-ct.csv --data DATA --pictures -o scores\n  multirnet evaluate --phantoms 40 --seed 9000 -o scores"
)]
pub struct Evaluate {
    /// Cohort manifests (CSV or TOML)
    #[arg(
        value_name = "MANIFEST",
        required_unless_present = "phantoms",
        conflicts_with = "phantoms"
    )]
    manifests: Vec<PathBuf>,

    /// Folder that paths in the manifests are relative to (default: each manifest's own)
    #[arg(long, value_name = "DIR", requires = "manifests")]
    data: Option<PathBuf>,

    /// Only the scans of this source (may be repeated)
    #[arg(long = "source", value_name = "NAME", requires = "manifests")]
    sources: Vec<String>,

    /// Score on this many synthetic phantoms per class instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    phantoms: Option<u32>,

    /// Seed of the phantoms' cohort
    #[arg(long, default_value_t = 9000, requires = "phantoms")]
    seed: u64,

    /// Voxels of the phantoms along x and y
    #[arg(long, default_value_t = 256, requires = "phantoms", value_parser = clap::value_parser!(u16).range(96..=512))]
    matrix: u16,

    /// Only the cases of this fold of the manifests
    #[arg(long, requires = "manifests")]
    fold: Option<usize>,

    /// What an undefined value counts in means: propagate, worst or skip
    #[arg(long, default_value = "worst", value_parser = policy)]
    empty: EmptyPolicy,

    /// Folder for scores.json, cases.csv, sources.csv and summary.txt
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,

    /// Also draw each scan with true and predicted outlines, in OUT/pictures
    #[arg(long, requires = "out")]
    pictures: bool,

    /// Also measure how much of the Grad-CAM heat lies in the true lesions, and how much it is like that of random
    /// weights
    #[arg(long)]
    explain: bool,

    /// Also write an options file (TOML) for --config with the temperatures that fit these scans; give validation
    /// scans, not those that are scored afterwards
    #[arg(long, value_name = "FILE")]
    fit: Option<PathBuf>,

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

/// A scan to score: a phantom to make, or a case of a manifest.
enum Item<'a> {
    Phantom { class: Diagnosis, index: u64 },
    Case(&'a Case),
}

/// What the scoring of every scan needs.
struct Scoring<'a> {
    model: &'a Model,
    /// The same net with random weights; `None` without `--explain`.
    random: Option<Model>,
    options: PredictOptions,
    /// Raised by Ctrl-C.
    stop: StopToken,
    config: ScoreConfig,
    /// Receives the pictures; `None` without `--pictures`.
    staged: Option<&'a StagedFolder>,
}

impl Evaluate {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let predictor = self.model.load()?;
        let mut options = self.predict.options(&predictor)?;
        // The pipeline `windows` would make its heat map from other windows than its lesions.
        options.explain = self.explain && options.pipeline != Pipeline::Windows;
        let random = options.explain.then(|| predictor.untrained(RANDOM_SEED));
        let cohort = self.cohort()?;
        let items = self.items(cohort.as_ref())?;
        let names = names(&items);
        let stop = crate::stop::ending()?;
        let staged = self.out.as_deref().map(StagedFolder::new).transpose()?;
        let scoring = Scoring {
            model: &predictor,
            random: random.transpose().map_err(Failure::input)?,
            stop: stop.clone(),
            options,
            config: ScoreConfig {
                empty: self.empty,
                ..ScoreConfig::default()
            },
            staged: staged.as_ref().filter(|_| self.pictures),
        };
        let template = "{bar:30} {pos}/{len} {msg} (left: {eta})";
        let bar = output::bar(Some(items.len() as u64), template);
        let (mut cases, mut failed) = (vec![], vec![]);
        for (i, (item, name)) in items.iter().zip(&names).enumerate() {
            output::set_message(&bar, name);
            match self.score(i, item, name, &scoring) {
                Ok(case) => cases.push(case),
                Err(failure) if failure.exit == Exit::Stopped => return Err(failure),
                Err(failure) => failed.push((name.clone(), failure.to_string())),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let model = format!(
            "{} (SHA-256 {})",
            predictor.card().name,
            predictor.model_digest()
        );
        let scores = Evaluation::from_cases(self.title(), model, cases, failed, &scoring.config)?;
        if let Some(path) = &self.fit {
            let fitted = scores.scores.all.calibration.fitted(&scoring.options)?;
            let about = format!(
                "# {}\n# Model {}.\n# Fitted by multirnet evaluate. Do not score the model on these scans with it.\n",
                scores.cohort.replace('\n', " "),
                scores.model
            );
            files::write(path, (about + &fitted).as_bytes())?;
        }
        if let Some(staged) = staged {
            staged.write("scores.json", output::to_json(&scores)?.as_bytes())?;
            staged.write("cases.csv", &cases_csv(&scores)?)?;
            staged.write("sources.csv", &sources_csv(&scores)?)?;
            staged.write("summary.txt", describe(&scores).as_bytes())?;
            staged.publish()?;
        }
        output::print(&if context.json {
            output::to_json(&scores)?
        } else {
            describe(&scores)
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

    /// Reads the manifests, if there are any, and checks that they have every `--source`.
    fn cohort(&self) -> Outcome<Option<Cohort>> {
        if self.manifests.is_empty() {
            return Ok(None);
        }
        let cohort =
            Cohort::read_all(&self.manifests, self.data.as_deref()).map_err(Failure::input)?;
        let known = cohort.sources();
        if let Some(other) = self
            .sources
            .iter()
            .find(|s| !known.contains_key(s.as_str()))
        {
            let known: Vec<&str> = known.into_keys().filter(|s| !s.is_empty()).collect();
            let remedy = match known.as_slice() {
                [] => "they name no sources: leave out --source".to_owned(),
                known => format!("known sources: {}", known.join(", ")),
            };
            return Err(Failure::input(format!(
                "--source {other}: the manifests have no scan of this source ({remedy})"
            )));
        }
        Ok(Some(cohort))
    }

    fn items<'a>(&self, cohort: Option<&'a Cohort>) -> Outcome<Vec<Item<'a>>> {
        let items: Vec<Item> = match cohort {
            Some(cohort) => cohort
                .cases
                .iter()
                .filter(|c| self.fold.is_none_or(|f| c.fold == Some(f)))
                .filter(|c| self.sources.is_empty() || self.sources.contains(&c.source))
                .map(Item::Case)
                .collect(),
            None => (0..u64::from(self.phantoms.unwrap_or(0)))
                .flat_map(|index| Diagnosis::ALL.map(|class| Item::Phantom { class, index }))
                .collect(),
        };
        if items.is_empty() {
            return Err(Failure::input(
                "no scan is left to score (check --fold, --source and the manifests)",
            ));
        }
        Ok(items)
    }

    fn title(&self) -> String {
        match self.phantoms {
            Some(count) => format!(
                "Synthetic phantoms, {count} per class, cohort seed {}, matrix {}: results say \
                 nothing about patients",
                self.seed, self.matrix
            ),
            None => {
                let paths = self.manifests.iter().map(|p| p.display().to_string());
                format!("Cohort {}", paths.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn score(
        &self,
        index: usize,
        item: &Item<'_>,
        name: &str,
        scoring: &Scoring<'_>,
    ) -> Outcome<EvaluatedCase> {
        let prepare = &scoring.options.prepare;
        match item {
            Item::Case(case) => {
                let scan = load::read_case(case, &read_volume, prepare).map_err(Failure::input)?;
                scoring.score(index, name, case, &scan)
            }
            Item::Phantom { class, index: at } => {
                let (_, made) = make(
                    scan_seed(self.seed, *class, *at),
                    *class,
                    usize::from(self.matrix),
                )?;
                // The lungs are segmented as in any scan. The phantom's own lungs are not used.
                let lungs = segment_lungs(&made.ct, &prepare.lungs).map_err(Failure::input)?;
                let planes = made.ct.shape()[0];
                let scan = CaseScan {
                    scan: made.ct,
                    lungs,
                    lesions: Some(made.lesions),
                    runs: std::iter::once(0..planes).collect(),
                    prepare: prepare.clone(),
                };
                let mut case = Case::new(name, None, *class, name);
                case.source = "phantoms".to_owned();
                case.mask_values = vec![1, 2];
                scoring.score(index, name, &case, &scan)
            }
        }
    }
}

impl Scoring<'_> {
    /// Analyses and scores a scan. Draws it with `--pictures`.
    fn score(
        &self,
        index: usize,
        name: &str,
        case: &Case,
        scan: &CaseScan,
    ) -> Outcome<EvaluatedCase> {
        let fail = |e: multirnet::Error| Failure::from(e.within(name));
        let prediction =
            predict_case(self.model, scan, &self.options, &self.stop, &mut |_| {}).map_err(fail)?;
        let mut scored = EvaluatedCase::from_prediction(
            index,
            case,
            scan.lesions.as_ref(),
            &scan.lungs,
            &prediction,
            self.model.lesion_channels(),
            &self.config,
        )
        .map_err(fail)?;
        name.clone_into(&mut scored.score.scan);
        scored.score.heat = self.heat(scan, &prediction).map_err(fail)?;
        if let Some(staged) = self.staged {
            let picture = case_picture(case, scan, &prediction, &scored.score).map_err(fail)?;
            staged.write(&format!("pictures/{name}.png"), &picture)?;
        }
        Ok(scored)
    }

    /// Where the heat of the most probable class lies; `None` without `--explain`, and if the true lesions are unknown or
    /// the scan has several parts.
    fn heat(
        &self,
        scan: &CaseScan,
        prediction: &CasePrediction,
    ) -> multirnet::Result<Option<HeatScore>> {
        let (Some(random), Some(heat), Some(truth)) =
            (&self.random, &prediction.heatmap, &scan.lesions)
        else {
            return Ok(None);
        };
        let class = prediction.probabilities.top();
        // The lesion map of random weights would send the cascade to windows everywhere.
        let options = PredictOptions {
            pipeline: Pipeline::Global,
            explain_class: Some(class),
            ..self.options.clone()
        };
        let other = predict_case(random, scan, &options, &self.stop, &mut |_| {})?;
        Ok(Some(HeatScore::from_maps(
            class,
            heat,
            &scan.lungs,
            truth,
            other.heatmap.as_ref(),
        )))
    }
}

/// A distinct name for each scan.
fn names(items: &[Item<'_>]) -> Vec<String> {
    let paths: Vec<PathBuf> = items
        .iter()
        .map(|item| match item {
            Item::Phantom { class, index } => format!("{}-{index:04}", class.name()).into(),
            Item::Case(case) => case.scan.clone(),
        })
        .collect();
    scan::names(&paths)
}
