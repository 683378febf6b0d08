//! `multirnet explain`: shows where on the scan a class comes from.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::model::ModelArguments;
use crate::output;
use crate::predicting::{HeatmapArguments, PredictArguments, Run, analyse, spinner};
use crate::scan::{self, ReadArguments};
use multirnet::evaluation::HeatScore;
use multirnet::write_results;
use multirnet_base::StagedFolder;
use multirnet_volume::Diagnosis;
use serde::Serialize;
use std::path::PathBuf;

/// Show where a class comes from: the Grad-CAM of any class, and how much of it
/// lies on lesions and in the lungs
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet explain study/ -o why\n  multirnet explain scan.nii.gz --class cap -o why-cap --json"
)]
pub struct Explain {
    /// Scan: DICOM folder, file or zip; .nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd
    #[arg(value_name = "SCAN")]
    scan: PathBuf,

    /// Folder for the results
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,

    /// Class to explain: normal, cap or covid19 (default: the predicted one)
    #[arg(long, value_name = "CLASS", value_parser = class)]
    class: Option<Diagnosis>,

    #[command(flatten)]
    heatmap: HeatmapArguments,

    #[command(flatten)]
    predict: PredictArguments,

    #[command(flatten)]
    read: ReadArguments,

    #[command(flatten)]
    model: ModelArguments,
}

/// Parses a class name.
pub fn class(text: &str) -> Result<Diagnosis, String> {
    text.parse()
        .map_err(|e: multirnet_volume::Error| e.to_string())
}

#[derive(Serialize)]
struct Explanation {
    scan: String,
    predicted: Diagnosis,
    explained: Diagnosis,
    probability: f64,
    /// Share of the heat map's sum inside the lesion mask; absent without heat.
    heat_in_lesions: Option<f64>,
    /// Share of the heat map's sum inside the lungs; absent without heat.
    heat_in_lungs: Option<f64>,
    /// Share of the lungs that is lesion. Chance alone would give this for `heat_in_lesions`.
    lesion_share_of_lungs: f64,
}

impl Explain {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let predictor = self.model.load()?;
        let mut options = self.predict.options(&predictor)?;
        options.explain = true;
        options.explain_class = self.class;
        StagedFolder::check(&self.out)?;
        let run = Run {
            context: &context,
            stop: crate::stop::ending()?,
        };
        let name = scan::stem(&self.scan);
        let bar = spinner(&name);
        bar.set_message("reading");
        let scan = self.read.open(&self.scan)?;
        let lungs = self.predict.lungs_on(&scan.volume)?;
        let prediction = analyse(&predictor, &scan, lungs.as_ref(), &options, &run, &bar)?;
        bar.set_message("writing");
        write_results(
            &scan.volume,
            &prediction,
            &name,
            self.heatmap.heatmap_grid,
            &self.out,
        )?;
        bar.finish_and_clear();

        let maps = &prediction.maps;
        let heat = maps.heatmap.as_ref().ok_or_else(|| {
            Failure::input("the model has no classification subnet, so there is nothing to explain")
        })?;
        let finding = &prediction.finding;
        let explained = self.class.unwrap_or(finding.diagnosis);
        let score = HeatScore::from_maps(explained, heat, &maps.lungs, &maps.lesions, None);
        let explanation = Explanation {
            scan: name,
            predicted: finding.diagnosis,
            explained,
            probability: finding.probabilities.to_array()[explained.index()],
            // A scan without lesions has no heat in them.
            heat_in_lesions: score.in_lesions.or(score.in_lungs.map(|_| 0.0)),
            heat_in_lungs: score.in_lungs,
            lesion_share_of_lungs: finding.involvement.both.fraction,
        };
        if context.json {
            return output::print(&output::to_json(&explanation)?);
        }
        let percent =
            |v: Option<f64>| v.map_or_else(|| "no heat".into(), |v| format!("{:.1} %", 100.0 * v));
        output::print(&format!(
            "predicted          {}\nexplained          {} (probability {:.1} %)\nheat in lesions    {} (lesions are {:.1} % of the lungs)\n\
             heat in lungs      {}\nwritten            {}\n",
            finding.diagnosis,
            explained,
            100.0 * explanation.probability,
            percent(explanation.heat_in_lesions),
            100.0 * explanation.lesion_share_of_lungs,
            percent(explanation.heat_in_lungs),
            output::path(&self.out),
        ))
    }
}
