//! `multirnet dicom`: an earlier result as DICOM objects.

use crate::context::Context;
use crate::dicom_results::DicomArguments;
use crate::failure::Outcome;
use crate::output;
use crate::scan::{self, ReadArguments};
use multirnet::dicom::{dicom_results, read_results, write_dicom};
use serde_json::json;
use std::path::PathBuf;

/// Write an earlier result as DICOM objects: segmentation, measurements, picture, PDF
///
/// The objects go to RESULT/dicom. They belong to the study of the scan, and a second run replaces
/// them by objects with the same UIDs.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet predict study/ -o result\n  multirnet dicom result --source study/"
)]
pub struct Dicom {
    /// Folder that `predict` wrote
    #[arg(value_name = "RESULT")]
    result: PathBuf,

    /// The scan: its DICOM folder, file or zip
    #[arg(long, value_name = "DICOM")]
    source: PathBuf,

    #[command(flatten)]
    read: ReadArguments,

    #[command(flatten)]
    dicom: DicomArguments,
}

impl Dicom {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let options = self.dicom.options()?;
        let scan = self.read.open(&self.source)?;
        let prediction = read_results(&self.result, &scan.volume)?;
        let name = scan::stem(&self.source);
        let objects = dicom_results(&scan, &prediction, &name, &options)?;
        let written = write_dicom(&objects, &self.result)?;
        if context.json {
            return output::print(&output::to_json(&json!({ "written": written }))?);
        }
        let lines = written
            .iter()
            .map(|path| format!("{}\n", output::path(path)));
        output::print(&lines.collect::<String>())
    }
}
