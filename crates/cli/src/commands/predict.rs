//! `multirnet predict`: analyses scans and writes a folder of results for each.

use super::predict_list::{self, ListArguments};
use crate::context::Context;
use crate::dicom_results::DicomArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::model::ModelArguments;
use crate::output;
use crate::predicting::{HeatmapArguments, PredictArguments, Row, Run, table};
use crate::scan::{self, ReadArguments};
use crate::scan_work::{Stages, Work};
use multirnet_base::StagedFolder;
use multirnet_base::jobs::in_parallel;
use multirnet_finding::NOTICE;
use serde_json::json;
use std::path::PathBuf;

/// Find, measure and classify lesions in chest CT scans
///
/// Writes for each scan: lungs.nii.gz (1 right, 2 left), lesions.nii.gz (1 lesion, or 1 ground glass
/// and 2 consolidation where the model tells them apart), probability.nii.gz, heatmap.nii.gz,
/// finding.json, overview.png and report.html. The results of a single scan go to OUT itself.
/// Several scans get one folder each in OUT.
///
/// With --manifest, OUT is shared by any number of processes, on one machine or on a cluster: OUT/scans
/// has the results, OUT/failures the reasons, and `multirnet merge OUT` makes one table.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet predict study/ -o result\n  multirnet predict *.nii.gz -o results --jobs 2\n  multirnet predict study.zip --series 2 --allow-irregular -o result\n  multirnet predict study/ --model patients-small -o result\n  multirnet predict --manifest scans.csv --shard 3/64 -o results"
)]
pub struct Predict {
    /// Scans: DICOM folder, file or zip; .nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd
    #[arg(required_unless_present = "manifest", value_name = "SCAN")]
    scans: Vec<PathBuf>,

    #[command(flatten)]
    list: ListArguments,

    /// Folder for the results
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,

    /// Scans analysed at the same time; memory grows with their number. Of several scans, the next one
    /// is read and the one before written meanwhile, unless --memory-limit is given
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
    heatmap: HeatmapArguments,

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
        // The list comes first: a wrong part or manifest should not wait for the model.
        let list = self.list.read()?;
        let predictor = self.model.load()?;
        let mut options = self.predict.options(&predictor)?;
        options.explain &= !self.no_heatmap;
        StagedFolder::check(&self.out)?;
        if self.predict.lungs.is_some() && (self.scans.len() > 1 || list.is_some()) {
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
        // A limit is for one scan, so scans do not overlap under one.
        let overlap =
            options.memory_limit_mib.is_none() && (self.scans.len() > 1 || list.is_some());
        let stages = Stages::new(usize::from(self.jobs), overlap);
        let work = Work {
            model: &predictor,
            options: &options,
            arguments: &self.predict,
            heatmap: self.heatmap.heatmap_grid,
            read: self.read.options(),
            dicom: self.dicom.then_some(&self.as_dicom),
            run: &run,
            stages: &stages,
        };
        match list {
            Some(list) => predict_list::run(&self.out, &work, list),
            None => self.scans(&work),
        }
    }

    /// Analyses the scans that the command line names.
    fn scans(&self, work: &Work<'_>) -> Outcome {
        let run = work.run;
        let names = scan::names(&self.scans);
        let one = |i: usize| {
            let out = if self.scans.len() == 1 {
                self.out.clone()
            } else {
                self.out.join(&names[i])
            };
            let mut memory = None;
            let (row, exit) = Row::timed(&names[i], || {
                let name = (names[i].as_str(), names[i].as_str());
                let (finding, plan) = work.one(&self.scans[i], name, (&out, &out))?;
                memory = Some(plan);
                Ok(finding)
            });
            (row, exit, memory)
        };
        let go_on = || !run.stop.is_raised();
        let results = in_parallel(self.scans.len(), work.stages.threads, go_on, one);
        if run.stop.is_raised() {
            return Err(Failure::stopped());
        }
        let results: Vec<_> = results.into_iter().flatten().collect();
        let failures: Vec<Exit> = results.iter().filter_map(|r| r.1).collect();
        let (rows, plans): (Vec<Row>, Vec<_>) = results.into_iter().map(|r| (r.0, r.2)).unzip();
        if run.context.json {
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
}
