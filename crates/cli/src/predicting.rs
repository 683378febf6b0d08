//! From a scan to its folder of results; shared by `predict`, `explain` and `demo`.

use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::scan::Scan;
use indicatif::{ProgressBar, ProgressStyle};
use multirnet_anatomy::{Intensity, LesionKind};
use multirnet_base::StagedFolder;
use multirnet_infer::{Finding, Pipeline, PredictOptions, Prediction, Predictor, Stage, Tile};
use multirnet_report::{Overview, finding_page, overview_png};
use multirnet_volume::{Planes, Volume, io};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How scans are analysed.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PredictArguments {
    /// Options file (TOML): changes single options of the model's; the flags below override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Which views the network sees: cascade, windows or global
    #[arg(long, value_name = "NAME", value_parser = pipeline)]
    pub pipeline: Option<Pipeline>,

    /// With cascade, also look closely at lung that the coarse view finds clear
    #[arg(long)]
    pub thorough: bool,

    /// Probability from which on a voxel is lesion (default: the model's own, or 0.5)
    #[arg(long, value_name = "P")]
    pub threshold: Option<f32>,

    /// Share of a window that neighbours have in common (0 to 0.9)
    #[arg(long, value_name = "SHARE")]
    pub overlap: Option<f64>,

    /// Merge fine windows into larger tiles: off, auto, or voxels of a tile as Z,Y,X
    #[arg(long, value_name = "Z,Y,X", value_parser = tile)]
    pub tile: Option<Tile>,

    /// Values are 0..1 or 0..255 and not HU (8-bit stacks); needs --lungs
    #[arg(long)]
    pub unit_intensity: bool,

    /// Lung mask to use instead of finding the lungs (1 right, 2 left), on the scan's grid
    #[arg(long, value_name = "FILE")]
    pub lungs: Option<PathBuf>,

    /// Refuse to start when more memory than this is planned, in MiB
    #[arg(long, value_name = "MIB")]
    pub memory_limit: Option<u64>,
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
    /// The options that the model, the file and the flags give.
    pub fn options(&self, predictor: &Predictor) -> Outcome<PredictOptions> {
        let mut options = match &self.config {
            None => predictor.options(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| {
                    Failure::input(format!("{}: cannot read the options: {e}", path.display()))
                })?;
                overlaid(&predictor.options(), &text)
                    .map_err(|e| Failure::input(format!("{}: {}", path.display(), e.trim_end())))?
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

    /// The lung mask, if one is given.
    pub fn lungs(&self) -> Outcome<Option<Volume<u8>>> {
        self.lungs
            .as_deref()
            .map(io::read_labels)
            .transpose()
            .map_err(Failure::input)
    }
}

/// `options` with the values that a TOML text names; a model's own preparation stays where the text
/// does not name it.
fn overlaid(options: &PredictOptions, text: &str) -> Result<PredictOptions, String> {
    // Read by itself first: its errors name the line of the text.
    toml::from_str::<PredictOptions>(text).map_err(|e| e.to_string())?;
    let over: toml::Table = toml::from_str(text).map_err(|e| e.to_string())?;
    multirnet_study::overlaid(options, &over).map_err(|e| e.to_string())
}

/// A line that shows what is being done; silent where standard error is not a terminal.
pub fn spinner(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Analyses a scan and adds the time that reading took.
pub fn analyse(
    predictor: &Predictor,
    scan: &Scan,
    lungs: Option<&Volume<u8>>,
    options: &PredictOptions,
    bar: &ProgressBar,
) -> Outcome<Prediction> {
    let at = |e: multirnet_infer::Error| Failure::input(format!("{}: {e}", scan.source.path));
    let name = bar.prefix();
    predictor
        .predict(
            &scan.volume,
            lungs,
            scan.source.clone(),
            options,
            &mut |stage| match stage {
                // Nothing may ask the bar while it is suspended: it holds its own lock.
                Stage::Plan(plan) if !name.is_empty() => {
                    bar.suspend(|| eprintln!("{name}: {plan}"));
                }
                Stage::Windows { done, total } => {
                    bar.set_message(format!("window {done} of {total}"))
                }
                other => bar.set_message(other.name()),
            },
        )
        .map_err(at)
}

/// Writes a scan's results to `out`, all or none; the files are made side by side.
pub fn write(scan: &Volume<f32>, prediction: &Prediction, name: &str, out: &Path) -> Outcome {
    let start = Instant::now();
    let staged = StagedFolder::new(out)?;
    let maps = &prediction.maps;
    let heatmap = || match &maps.heatmap {
        Some(heatmap) => volume(&staged, "heatmap.nii.gz", heatmap),
        None => Ok(()),
    };
    let pages = || -> Outcome {
        let overview = overview_png(&Overview { scan, prediction })
            .map_err(|e| Failure::new(Exit::Internal, format!("{name}: {e}")))?;
        staged.write(
            "finding.json",
            output::to_json(&prediction.finding)?.as_bytes(),
        )?;
        staged.write("overview.png", &overview)?;
        let page = finding_page(name, &prediction.finding, &overview);
        Ok(staged.write("report.html", page.as_bytes())?)
    };
    let masks = || -> Outcome {
        volume(&staged, "lungs.nii.gz", &maps.lungs)?;
        volume(&staged, "lesions.nii.gz", &maps.lesions)
    };
    let probability = || volume(&staged, "probability.nii.gz", &maps.probability);
    // Drawing keeps one thread busy, and the others take it from the volumes.
    let (drawn, (heat, rest)) = rayon::join(pages, || {
        rayon::join(heatmap, || rayon::join(probability, masks))
    });
    drawn.and(heat).and(rest.0).and(rest.1)?;
    staged.publish()?;
    tracing::info!("{name}: written in {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn volume(staged: &StagedFolder, name: &str, volume: &impl Planes) -> Outcome {
    io::write_nifti(&staged.path(name), volume).map_err(Failure::output)
}

/// One line of the table at the end.
pub struct Row {
    /// The scan's name.
    pub name: String,
    /// Its finding, or why there is none.
    pub result: Result<Box<Finding>, String>,
    /// Wall-clock time from reading to writing.
    pub elapsed: Duration,
}

impl Row {
    /// Runs `work` and keeps its result and time.
    pub fn of(name: &str, work: impl FnOnce() -> Outcome<Finding>) -> (Self, Option<Exit>) {
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

/// The table at the end, for people.
pub fn table(rows: &[Row]) -> String {
    let width = rows
        .iter()
        .map(|r| r.name.chars().count())
        .max()
        .unwrap_or(4)
        .max(4);
    // Kinds of lesion have columns where a model tells them apart.
    let has_kinds = |r: &Row| r.result.as_ref().is_ok_and(|f| !f.lesion_kinds.is_empty());
    let kinds: &[LesionKind] = match rows.iter().any(has_kinds) {
        true => &LesionKind::ALL,
        false => &[],
    };
    let heads: String = kinds
        .iter()
        .map(|k| format!(" {:>16}", format!("{k} ml")))
        .collect();
    let mut text = format!(
        "{:<width$}  {:<9} {:>6} {:>10}{heads} {:>9} {:>9} {:>8}\n",
        "scan", "class", "prob.", "lesion ml", "involved", "severity", "seconds"
    );
    for row in rows {
        let seconds = row.elapsed.as_secs_f64();
        text += &match &row.result {
            Ok(f) => format!(
                "{:<width$}  {:<9} {:>5.1}% {:>10.1}{} {:>8.1}% {:>6}/24 {seconds:>8.1}\n",
                row.name,
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
            Err(reason) => format!("{:<width$}  failed: {reason}\n", row.name),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_options_file_changes_what_it_names_and_nothing_else() {
        let mut own = PredictOptions {
            threshold: 0.35,
            ..PredictOptions::default()
        };
        own.prepare.spacing_mm = [4.0, 3.0, 3.0];
        own.prepare.global_shape = [32, 64, 64];
        let found = overlaid(&own, "batch = 2\n[prepare]\nglobal_shape = [16, 48, 48]\n").unwrap();
        let mut expected = own.clone();
        expected.batch = 2;
        expected.prepare.global_shape = [16, 48, 48];
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        assert_eq!(
            format!("{:?}", overlaid(&own, "").unwrap()),
            format!("{own:?}")
        );
        let error = overlaid(&own, "\nbatches = 2\n").unwrap_err();
        assert!(
            error.contains("line 2") && error.contains("batches"),
            "{error}"
        );
    }
}
