//! `multirnet cohort`: manifests for training, from elsewhere.

use crate::context::Context;
use crate::failure::Outcome;
use crate::output;
use multirnet_server::export_cohort;
use std::path::PathBuf;

/// Make a manifest for training from what is already there
#[derive(clap::Args)]
pub struct Cohort {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    FromServer(FromServer),
}

/// Export the scans that readers confirmed or corrected in a server, with their labels
///
/// Of each scan the latest version counts. A confirmation confirms lesions and class. A correction that
/// leaves one of them as it was keeps that of an earlier version; without one, it is unknown. The server
/// may be running.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet cohort from-server --data multirnet-data -o corrected\n  multirnet train corrected/cohort.csv --config configs/train/lungs-small-finish.toml --init models/lungs-small/model.safetensors -o runs/corrected"
)]
struct FromServer {
    /// The server's data folder
    #[arg(long, value_name = "DIR", default_value = "multirnet-data")]
    data: PathBuf,

    /// Folder for the manifest and its files
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,
}

impl Cohort {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let What::FromServer(FromServer { data, out }) = self.what;
        let exported = export_cohort(&data, &out)?;
        let path = out.join("cohort.csv");
        if context.json {
            return output::print(&output::to_json(&serde_json::json!({
                "manifest": path,
                "confirmed": exported.confirmed,
                "corrected": exported.corrected,
            }))?);
        }
        output::print(&format!(
            "{} confirmed and {} corrected scans: {}\n",
            exported.confirmed,
            exported.corrected,
            output::path(&path)
        ))
    }
}
