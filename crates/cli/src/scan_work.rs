//! One scan from reading to writing, as `predict` does it for scans and for lists of scans.

use crate::dicom_results::DicomArguments;
use crate::predicting::{PredictArguments, Run, analyse, spinner};
use multirnet::dicom::{dicom_refusal, dicom_results, series, write_dicom};
use multirnet::{ErrorKind, HeatmapGrid, ReadOptions, SeriesReference, open_scan, write_results};
use multirnet::{Finding, MemoryPlan, Model, PredictOptions};
use multirnet_base::jobs::Stage;
use multirnet_dicom::refused_series;
use std::path::Path;

/// What the analysis of every scan needs.
pub struct Work<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its options.
    pub options: &'a PredictOptions,
    /// The arguments of an analysis, for the lung mask.
    pub arguments: &'a PredictArguments,
    /// The grid of the heat map.
    pub heatmap: HeatmapGrid,
    /// The readers' options.
    pub read: ReadOptions,
    /// The arguments of DICOM results, if these are wanted.
    pub dicom: Option<&'a DicomArguments>,
    /// The state of the program's run.
    pub run: &'a Run<'a>,
    /// The stages that scans go through.
    pub stages: &'a Stages,
}

/// The stages of scans: while one scan is analysed, the next one is read and the one before is written.
/// The stages of several scans thus keep all cores busy, with at most two scans more in memory.
pub struct Stages {
    read: Stage,
    analyse: Stage,
    write: Stage,
    /// Number of threads that scans need.
    pub threads: usize,
}

impl Stages {
    /// `jobs` scans are analysed at the same time. With `overlap`, another one is read and another one
    /// is written meanwhile.
    pub fn new(jobs: usize, overlap: bool) -> Self {
        let more = if overlap { 1 } else { jobs };
        Self {
            read: Stage::new(more),
            analyse: Stage::new(jobs),
            write: Stage::new(more),
            threads: if overlap { jobs + 2 } else { jobs },
        }
    }
}

impl Work<'_> {
    /// Reads and analyses one scan. Writes its results to the folder `out`, and what readers at a PACS
    /// learn of a scan that is refused to the folder `refusal`. `label` stands beside the progress, and
    /// `name` on the page.
    pub fn one(
        &self,
        path: &Path,
        (label, name): (&str, &str),
        (out, refusal): (&Path, &Path),
    ) -> multirnet::Result<(Finding, MemoryPlan)> {
        let (model, options) = (self.model, self.options);
        let bar = spinner(label);
        let reading = self.stages.read.enter();
        let start = std::time::Instant::now();
        bar.set_message("reading");
        let dicom = self.dicom.map(DicomArguments::options).transpose()?;
        // Readers at a PACS learn why a result is missing.
        let refuse = |series: &SeriesReference, error: &multirnet::Error| match &dicom {
            Some(options) if error.kind() == ErrorKind::Scan => {
                let objects = dicom_refusal(series, name, error, options)?;
                write_dicom(&objects, refusal).map(drop)
            }
            _ => Ok(()),
        };
        let scan = match open_scan(path, &self.read).map_err(multirnet::Error::from) {
            Ok(scan) => scan,
            Err(error) => {
                let series = || refused_series(path, self.read.series.as_deref());
                if let (true, Ok(series)) = (dicom.is_some(), series()) {
                    refuse(&series, &error)?;
                }
                return Err(error);
            }
        };
        let lungs = self.arguments.lungs_on(&scan.volume)?;
        let read_seconds = start.elapsed().as_secs_f64();
        let plan = model.plan(scan.volume.geometry(), lungs.is_some(), options);
        if dicom.is_some() {
            // Told before the analysis, which takes longer.
            series(&scan)?;
        }
        bar.set_message("waiting");
        // The place is left after the next one is taken, so that at most one scan waits in memory.
        let analysing = self.stages.analyse.enter();
        drop(reading);
        let mut prediction = match analyse(model, &scan, lungs.as_ref(), options, self.run, &bar) {
            Ok(prediction) => prediction,
            Err(error) => {
                if let Some(series) = &scan.series {
                    refuse(series, &error)?;
                }
                return Err(error);
            }
        };
        prediction.finding.timings.insert(
            0,
            multirnet_finding::Timing {
                stage: "read".into(),
                seconds: read_seconds,
            },
        );
        let writing = self.stages.write.enter();
        drop(analysing);
        bar.set_message("writing");
        write_results(&scan.volume, &prediction, name, self.heatmap, out)?;
        if let Some(options) = &dicom {
            write_dicom(&dicom_results(&scan, &prediction, name, options)?, out)?;
        }
        drop(writing);
        bar.finish_and_clear();
        Ok((prediction.finding, plan))
    }
}
