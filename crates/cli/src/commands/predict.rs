//! `multirnet predict`: analyses scans and writes a folder of results for each.

use crate::context::Context;
use crate::dicom_results::DicomArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::model::ModelArguments;
use crate::output;
use crate::predicting::{PredictArguments, Row, Run, analyse, spinner, table};
use crate::scan::{self, ReadArguments};
use multirnet::dicom::{dicom_refusal, dicom_results, series, write_dicom};
use multirnet::{ErrorKind, SeriesReference, open_scan, write_results};
use multirnet::{Finding, MemoryPlan, Model, PredictOptions};
use multirnet_base::StagedFolder;
use multirnet_base::jobs::in_parallel;
use multirnet_dicom::refused_series;
use multirnet_finding::NOTICE;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Find, measure and classify lesions in chest CT scans
///
/// Writes for each scan: lungs.nii.gz (1 right, 2 left), lesions.nii.gz (1 lesion, or 1 ground glass
/// and 2 consolidation where the model tells them apart), probability.nii.gz, heatmap.nii.gz,
/// finding.json, overview.png and report.html. The results of a single scan go to OUT itself.
/// Several scans get one folder each in OUT.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet predict study/ -o result\n  multirnet predict *.nii.gz -o results --jobs 2\n  multirnet predict study.zip --series 2 --allow-irregular -o result\n  multirnet predict study/ --model patients-small -o result"
)]
pub struct Predict {
    /// Scans: DICOM folder, file or zip; .nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd
    #[arg(required = true, value_name = "SCAN")]
    scans: Vec<PathBuf>,

    /// Folder for the results
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,

    /// Scans analysed at the same time; memory grows with their number
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Leave out the heat map
    #[arg(long)]
    no_heatmap: bool,

    /// Also write the results as DICOM objects, to OUT/dicom: segmentation, measurements (SR),
    /// picture, PDF
    #[arg(long)]
    dicom: bool,

    #[command(flatten)]
    as_dicom: DicomArguments,

    #[command(flatten)]
    predict: PredictArguments,

    #[command(flatten)]
    read: ReadArguments,

    #[command(flatten)]
    model: ModelArguments,
}

impl Predict {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let predictor = self.model.load()?;
        let mut options = self.predict.options(&predictor)?;
        options.explain &= !self.no_heatmap;
        StagedFolder::check(&self.out)?;
        if self.predict.lungs.is_some() && self.scans.len() > 1 {
            return Err(Failure::new(
                Exit::Usage,
                "--lungs is for a single scan (run predict once for each scan)",
            ));
        }
        output::say(&format!("{NOTICE} Model: {}", predictor.card().trained_on));
        if let Some(note) = self.model.note() {
            output::say(note);
        }
        let run = Run {
            context: &context,
            stop: crate::stop::ending()?,
        };
        let names = scan::names(&self.scans);
        let work = |i: usize| {
            let out = if self.scans.len() == 1 {
                self.out.clone()
            } else {
                self.out.join(&names[i])
            };
            let mut memory = None;
            let (row, exit) = Row::timed(&names[i], || {
                let place = (self.scans[i].as_path(), names[i].as_str(), out.as_path());
                let (finding, plan) = self.one(&predictor, place, &options, &run)?;
                memory = Some(plan);
                Ok(finding)
            });
            (row, exit, memory)
        };
        let go_on = || !run.stop.is_raised();
        let results = in_parallel(self.scans.len(), usize::from(self.jobs), go_on, work);
        if run.stop.is_raised() {
            return Err(Failure::stopped());
        }
        let results: Vec<_> = results.into_iter().flatten().collect();
        let failures: Vec<Exit> = results.iter().filter_map(|r| r.1).collect();
        let (rows, plans): (Vec<Row>, Vec<_>) = results.into_iter().map(|r| (r.0, r.2)).unzip();
        if context.json {
            let list: Vec<_> = rows
                .iter()
                .zip(&plans)
                .map(|(r, plan)| match &r.result {
                    Ok(f) => {
                        json!({ "scan": r.name, "seconds": r.elapsed.as_secs_f64(), "memory": plan, "finding": f })
                    }
                    Err(e) => {
                        json!({ "scan": r.name, "seconds": r.elapsed.as_secs_f64(), "error": e })
                    }
                })
                .collect();
            output::print(&output::to_json(&list)?)?;
        } else {
            output::print(&table(&rows))?;
        }
        match failures.as_slice() {
            [] => Ok(()),
            // All scans failed, and the table has shown the reasons. The exit code is that of the
            // first failure.
            all if all.len() == rows.len() => Err(Failure::new(
                all[0],
                format!("{} of {} scans failed", all.len(), rows.len()),
            )),
            some => Err(Failure::new(
                Exit::Partial,
                format!("{} of {} scans failed", some.len(), rows.len()),
            )),
        }
    }

    /// Reads and analyses one scan, and writes its results to the folder `out`.
    fn one(
        &self,
        model: &Model,
        (path, name, out): (&Path, &str, &Path),
        options: &PredictOptions,
        run: &Run<'_>,
    ) -> Outcome<(Finding, MemoryPlan)> {
        let bar = spinner(name);
        let start = std::time::Instant::now();
        bar.set_message("reading");
        let dicom = self.dicom.then(|| self.as_dicom.options()).transpose()?;
        // Readers at a PACS learn why a result is missing.
        let refuse = |series: &SeriesReference, error: &multirnet::Error| match &dicom {
            Some(options) if error.kind() == ErrorKind::Scan => {
                let objects = dicom_refusal(series, name, error, options)?;
                write_dicom(&objects, out).map(drop)
            }
            _ => Ok(()),
        };
        let read = self.read.options();
        let scan = match open_scan(path, &read).map_err(multirnet::Error::from) {
            Ok(scan) => scan,
            Err(error) => {
                if let (true, Ok(series)) =
                    (self.dicom, refused_series(path, read.series.as_deref()))
                {
                    refuse(&series, &error)?;
                }
                return Err(error.into());
            }
        };
        let lungs = self.predict.lungs_on(&scan.volume)?;
        let read_seconds = start.elapsed().as_secs_f64();
        let plan = model.plan(scan.volume.geometry(), lungs.is_some(), options);
        if dicom.is_some() {
            // Told before the analysis, which takes longer.
            series(&scan)?;
        }
        let mut prediction = match analyse(model, &scan, lungs.as_ref(), options, run, &bar) {
            Ok(prediction) => prediction,
            Err(error) => {
                if let Some(series) = &scan.series {
                    refuse(series, &error)?;
                }
                return Err(error.into());
            }
        };
        prediction.finding.timings.insert(
            0,
            multirnet_finding::Timing {
                stage: "read".into(),
                seconds: read_seconds,
            },
        );
        bar.set_message("writing");
        write_results(&scan.volume, &prediction, name, out)?;
        if let Some(options) = &dicom {
            write_dicom(&dicom_results(&scan, &prediction, name, options)?, out)?;
        }
        bar.finish_and_clear();
        Ok((prediction.finding, plan))
    }
}
