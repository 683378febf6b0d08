//! `multirnet inspect`: describes and checks scans before any network runs.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::scan::ReadArguments;
use multirnet_anatomy::{GateConfig, GateReport};
use multirnet_base::text::one_line;
use multirnet_dicom::SeriesInfo;
use multirnet_volume::Geometry;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Describe scans: format, geometry, DICOM series taken and left, and whether the input gate
/// accepts them
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet inspect study/\n  multirnet inspect scan.nii.gz other.nrrd --json"
)]
pub struct Inspect {
    /// Scans: DICOM folder, file or zip; .nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd
    #[arg(required = true, value_name = "SCAN")]
    scans: Vec<PathBuf>,

    #[command(flatten)]
    read: ReadArguments,
}

#[derive(Serialize)]
struct Report {
    path: String,
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geometry: Option<Geometry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hu_range: Option<[f32; 2]>,
    warnings: Vec<String>,
    series: Vec<SeriesInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<GateReport>,
}

impl Inspect {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let reports: Vec<Report> = self.scans.iter().map(|p| inspect(p, &self.read)).collect();
        if context.json {
            output::print(&output::to_json(&reports)?)?;
        } else {
            output::print(&reports.iter().map(describe).collect::<Vec<_>>().join("\n"))?;
        }
        match (
            reports.iter().filter(|r| !r.accepted).count(),
            reports.len(),
        ) {
            (0, _) => Ok(()),
            (n, all) if n == all => Err(Failure::input(format!("{n} of {all} scans refused"))),
            (n, all) => Err(Failure::new(
                Exit::Partial,
                format!("{n} of {all} scans refused"),
            )),
        }
    }
}

fn inspect(path: &Path, read: &ReadArguments) -> Report {
    let mut report = Report {
        path: path.display().to_string(),
        accepted: false,
        refusal: None,
        format: None,
        geometry: None,
        hu_range: None,
        warnings: vec![],
        series: vec![],
        gate: None,
    };
    match read.open(path) {
        Err(failure) => {
            report.refusal = Some(failure.to_string());
            // The reason for each series helps the user to choose another one.
            report.series = multirnet_dicom::list(path).unwrap_or_default();
        }
        Ok(scan) => {
            report.format = Some(scan.format.to_owned());
            report.geometry = Some(*scan.volume.geometry());
            let finite = scan.volume.data().iter().copied().filter(|v| v.is_finite());
            report.hu_range = Some(
                finite.fold([f32::INFINITY, f32::NEG_INFINITY], |[l, h], v| {
                    [l.min(v), h.max(v)]
                }),
            );
            report.warnings = scan.warnings;
            report.series = scan.listing;
            match multirnet_anatomy::check(&scan.volume, &GateConfig::default()) {
                Ok(gate) => {
                    report.accepted = true;
                    report.warnings.extend(gate.warnings.iter().cloned());
                    report.gate = Some(gate);
                }
                Err(error) => report.refusal = Some(format!("{}: {error}", report.path)),
            }
        }
    }
    report
}

fn describe(report: &Report) -> String {
    let mut text = format!("{}\n", one_line(&report.path));
    let verdict = if report.accepted {
        "accepted"
    } else {
        "refused"
    };
    let _ = writeln!(text, "  verdict    {verdict}");
    if let Some(refusal) = &report.refusal {
        let _ = writeln!(text, "  reason     {}", one_line(refusal));
    }
    if let Some(format) = &report.format {
        let _ = writeln!(text, "  format     {format}");
    }
    if let Some(g) = &report.geometry {
        let [nz, ny, nx] = g.shape();
        let [sz, sy, sx] = g.spacing_mm();
        let _ = writeln!(text, "  voxels     {nz} × {ny} × {nx} (z, y, x)");
        let _ = writeln!(text, "  spacing    {sz:.3} × {sy:.3} × {sx:.3} mm");
        let _ = writeln!(text, "  axes       {:?} (towards)", g.orientation().axes());
    }
    if let Some([low, high]) = report.hu_range {
        let _ = writeln!(text, "  values     {low:.0} to {high:.0} HU");
    }
    for (i, series) in report.series.iter().enumerate() {
        let mark = if series.taken { "taken" } else { "left" };
        let _ = writeln!(
            text,
            "  series {:<3} {mark}: {} ({}, {} slices) – {}",
            i + 1,
            one_line(&series.description),
            one_line(&series.modality),
            series.slices,
            one_line(&series.reason)
        );
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "  warning    {}", one_line(warning));
    }
    text
}
