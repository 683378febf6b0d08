//! Analysis of scans, as `predict`, `explain`, `evaluate` and `demo` share it.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use indicatif::ProgressBar;
use multirnet::{
    Finding, HeatmapGrid, LesionKind, Model, Pipeline, PredictOptions, Prediction, Progress, Scan,
    Stage, StopToken, Tile, overlay_toml,
};
use multirnet_anatomy::Intensity;
use multirnet_base::files;
use multirnet_base::text::one_line;
use multirnet_volume::{Volume, io};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The arguments of an analysis.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PredictArguments {
    /// Options file (TOML) that changes single options of the model; the flags below override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Views that the network sees: cascade, windows or global
    #[arg(long, value_name = "NAME", value_parser = pipeline)]
    pub pipeline: Option<Pipeline>,

    /// With cascade, also look closely at lung that the coarse view finds clear
    #[arg(long)]
    pub thorough: bool,

    /// Lowest probability of a lesion voxel (default: the model's own, or 0.5)
    #[arg(long, value_name = "P")]
    pub threshold: Option<f32>,

    /// Overlap of neighbouring windows as a share of their size (0 to 0.9)
    #[arg(long, value_name = "SHARE")]
    pub overlap: Option<f64>,

    /// Merge fine windows into larger tiles: off, auto, or voxels of a tile as Z,Y,X
    #[arg(long, value_name = "Z,Y,X", value_parser = tile)]
    pub tile: Option<Tile>,

    /// The scan's values are 0..1 or 0..255 and not HU (8-bit stacks); needs --lungs
    #[arg(long)]
    pub unit_intensity: bool,

    /// Lung mask that replaces the lung segmentation (1 right, 2 left), on the scan's grid
    #[arg(long, value_name = "FILE")]
    pub lungs: Option<PathBuf>,

    /// Refuse to start if the planned memory is over this limit, in MiB
    #[arg(long, value_name = "MIB")]
    pub memory_limit: Option<u64>,
}

/// How the heat map is written.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct HeatmapArguments {
    /// Grid of heatmap.nii.gz: own (that of the network's view, much coarser than the scan) or scan
    #[arg(long, value_name = "GRID", default_value = "own", value_parser = heatmap_grid)]
    pub heatmap_grid: HeatmapGrid,
}

fn heatmap_grid(text: &str) -> Result<HeatmapGrid, String> {
    text.parse().map_err(|e: multirnet::Error| e.to_string())
}

fn pipeline(text: &str) -> Result<Pipeline, String> {
    text.parse()
        .map_err(|e: multirnet_infer::Error| e.to_string())
}

fn tile(text: &str) -> Result<Tile, String> {
    text.parse()
        .map_err(|e: multirnet_infer::Error| e.to_string())
}

impl PredictArguments {
    /// The model's options, with the changes of the options file and then of the flags.
    pub fn options(&self, predictor: &Model) -> Outcome<PredictOptions> {
        let mut options = match &self.config {
            None => predictor.options(),
            Some(path) => {
                let text = files::read_text(path, "options")?;
                let options = overlay_toml(&predictor.options(), &text).map_err(|e| e.at(path))?;
                // The file is checked before the flags change its values, so an error names it.
                options.validate().map_err(|e| Failure::input(e.at(path)))?;
                options
            }
        };
        options.thorough |= self.thorough;
        if let Some(p) = self.pipeline {
            options.pipeline = p;
        }
        if let Some(t) = self.threshold {
            options.threshold = t;
        }
        if let Some(o) = self.overlap {
            options.overlap = o;
        }
        if let Some(t) = self.tile {
            options.tile = t;
        }
        if self.memory_limit.is_some() {
            options.memory_limit_mib = self.memory_limit;
        }
        if self.unit_intensity {
            options.prepare.intensity = Intensity::Unit;
        }
        options
            .validate()
            .map_err(|e| Failure::new(Exit::Usage, e))?;
        Ok(options)
    }

    /// Reads the lung mask, if one is given. It must lie on the grid of `scan`.
    pub fn lungs_on(&self, scan: &Volume<f32>) -> multirnet::Result<Option<Volume<u8>>> {
        let Some(path) = &self.lungs else {
            return Ok(None);
        };
        let lungs = io::read_labels(path)?;
        if let Some(difference) = lungs.geometry().difference(scan.geometry()) {
            let reason = format!("the lung mask is not on the scan's grid: {difference}");
            let error = multirnet::Error::new(multirnet::ErrorKind::Scan, reason);
            return Err(error.hint("resample the mask onto the scan first").at(path));
        }
        Ok(Some(lungs))
    }
}

/// A line that shows the current step. It is hidden if standard error is not a terminal.
pub fn spinner(name: &str) -> ProgressBar {
    let bar = output::bar(None, "{spinner} {prefix}: {msg} ({elapsed})")
        .with_prefix(one_line(name).into_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Analyses a scan and shows the current step on `bar`.
pub fn analyse(
    model: &Model,
    scan: &Scan,
    lungs: Option<&Volume<u8>>,
    options: &PredictOptions,
    run: &Run<'_>,
    bar: &ProgressBar,
) -> multirnet::Result<Prediction> {
    if run.context.verbose > 0 {
        let plan = model.plan(scan.volume.geometry(), lungs.is_some(), options);
        // `suspend` holds the bar's lock, so the prefix must be read before it.
        let name = bar.prefix();
        bar.suspend(|| output::say(&format!("{name}: {plan}")));
    }
    let show = &mut |progress: Progress| {
        let stage = match progress.stage {
            Stage::Windows { done, total } => format!("window {done} of {total}"),
            other => other.name().to_owned(),
        };
        output::set_message(bar, &format!("{:.0} %, {stage}", 100.0 * progress.fraction));
    };
    multirnet::analyse(model, scan, lungs, options, &run.stop, show)
}

/// The state of the program's run that work on scans needs.
pub struct Run<'a> {
    /// The global arguments.
    pub context: &'a Context,
    /// Raised by Ctrl-C.
    pub stop: StopToken,
}

/// One line of the table at the end.
pub struct Row {
    /// The scan's name.
    pub name: String,
    /// Its finding, or the reason why it failed.
    pub result: Result<Box<Finding>, String>,
    /// Wall-clock time from reading to writing.
    pub elapsed: Duration,
}

impl Row {
    /// Runs `work` and keeps its result and time.
    pub fn timed(name: &str, work: impl FnOnce() -> Outcome<Finding>) -> (Self, Option<Exit>) {
        let start = Instant::now();
        let result = work();
        let exit = result.as_ref().err().map(|f| f.exit);
        let row = Self {
            name: name.to_owned(),
            result: result.map(Box::new).map_err(|f| f.to_string()),
            elapsed: start.elapsed(),
        };
        (row, exit)
    }
}

/// The table at the end, as text.
pub fn table(rows: &[Row]) -> String {
    let width = rows
        .iter()
        .map(|r| one_line(&r.name).chars().count())
        .max()
        .unwrap_or(4)
        .max(4);
    // The kinds of lesion get columns if the model tells them apart.
    let has_kinds = |r: &Row| r.result.as_ref().is_ok_and(|f| !f.lesion_kinds.is_empty());
    let kinds: &[LesionKind] = match rows.iter().any(has_kinds) {
        true => &LesionKind::ALL,
        false => &[],
    };
    let heads: String = kinds
        .iter()
        .map(|k| format!(" {:>16}", format!("{k} ml")))
        .collect();
    let of_row = |r: &Row| r.result.as_ref().ok().and_then(|f| f.validated_on.notice());
    let notices: std::collections::BTreeSet<_> = rows.iter().filter_map(of_row).collect();
    let mut text: String = notices.into_iter().map(|n| format!("{n}\n")).collect();
    text += &format!(
        "{:<width$}  {:<9} {:>6} {:>10}{heads} {:>9} {:>9} {:>8}\n",
        "scan", "class", "prob.", "lesion ml", "involved", "severity", "seconds"
    );
    for row in rows {
        let name = one_line(&row.name);
        let seconds = row.elapsed.as_secs_f64();
        text += &match &row.result {
            Ok(f) => format!(
                "{:<width$}  {:<9} {:>5.1}% {:>10.1}{} {:>8.1}% {:>6}/24 {seconds:>8.1}\n",
                name,
                f.diagnosis.label(),
                100.0 * f.probabilities.to_array()[f.diagnosis.index()],
                f.involvement.both.lesion_ml,
                f.lesion_kinds
                    .iter()
                    .map(|k| format!(" {:>16.1}", k.lesion_ml))
                    .collect::<String>(),
                100.0 * f.involvement.both.fraction,
                f.involvement.severity_score,
            ),
            Err(reason) => format!("{name:<width$}  failed: {}\n", one_line(reason)),
        };
    }
    text
}
