//! `multirnet report`: draws the figures and pages of a study.

use crate::context::Context;
use crate::failure::Outcome;
use crate::output;
use crate::study;
use multirnet::DeviceChoice;
use std::path::PathBuf;

/// Draw the paper's figures from a study of `compare` or `ablate`
///
/// Training curves, box plots, overlays of all systems on the same slice, 3D surfaces, Bland–Altman
/// plots, confusion matrices, ROC curves, Grad-CAM panels and ablation bars, each as SVG and PNG in
/// RUN/figures, and RUN/index.html with all of them.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  multirnet report runs/phantom")]
pub struct Report {
    /// Folder of the study
    run: PathBuf,
}

impl Report {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let stop = crate::stop::saving()?;
        let page = study::report(&self.run, DeviceChoice::Cpu, None, &stop)?;
        if context.json {
            return output::print(&output::to_json(&serde_json::json!({ "page": page }))?);
        }
        output::print(&format!("report: {}\n", output::path(&page)))
    }
}
