//! How results are written as DICOM, for `predict` and `dicom`.

use chrono::{Datelike, Local, Timelike};
use multirnet::dicom::{DicomOptions, Encoding, ReportForm};

/// How results are written as DICOM.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DicomArguments {
    /// Write the segmentation as a label map; archives and viewers before 2025 do not know it
    #[arg(long)]
    pub labelmap: bool,

    /// Also write the segmentation's frames without voxels, for viewers that need them
    #[arg(long)]
    pub all_frames: bool,

    /// Write the measurements as Enhanced SR, for archives that do not know Comprehensive 3D SR
    #[arg(long)]
    pub enhanced_sr: bool,

    /// Name of this installation in the objects
    #[arg(long, value_name = "NAME", default_value = "none")]
    pub station: String,
}

impl DicomArguments {
    /// The options, with the present local date and time.
    pub fn options(&self) -> multirnet::Result<DicomOptions> {
        let now = Local::now();
        let date = [now.year(), now.month() as i32, now.day() as i32];
        let time = [now.hour(), now.minute(), now.second()];
        let date = date.map(|n| u16::try_from(n).unwrap_or_default());
        let time = time.map(|n| u16::try_from(n).unwrap_or_default());
        let mut options = DicomOptions::new(date, time)?;
        options.all_frames = self.all_frames;
        options.station.clone_from(&self.station);
        if self.labelmap {
            options.encoding = Encoding::LabelMap;
        }
        if self.enhanced_sr {
            options.report = ReportForm::Enhanced;
        }
        Ok(options)
    }
}
