//! `multirnet send`: sends DICOM files to a node.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::{output, stop};
use multirnet_pacs::client::{SendReport, dicom_files, send_to};
use multirnet_pacs::config::Config;
use multirnet_pacs::store::Outcome as Sent;
use serde_json::json;
use std::path::PathBuf;

/// Send DICOM files to a node (C-STORE or STOW-RS)
///
/// Each object is sent as it is; one without compression is rewritten in another uncompressed transfer
/// syntax if the node asks for that. What a node refuses does not keep the other objects from it.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet send configs/pacs.toml archive result/dicom\n  multirnet send configs/pacs.toml archive study/ --json"
)]
pub struct Send {
    /// Configuration (TOML) that names the node
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// Name of the node
    #[arg(value_name = "NODE")]
    node: String,

    /// DICOM files, or folders that are searched for them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

impl Send {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let config = Config::read(&self.config)?;
        let node = config.node(&self.node)?;
        let files = dicom_files(&self.paths)?;
        let stop = stop::saving()?;
        let bar = output::bar(
            Some(files.len() as u64),
            "{prefix} {wide_bar} {pos} of {len}",
        );
        let bar = bar.with_prefix(self.node.clone());
        let mut rows = Vec::new();
        let sent = send_to(node, &files, &stop, &mut |index, outcome| {
            bar.inc(1);
            let (state, reason) = match outcome {
                Sent::Delivered => ("sent", None),
                Sent::Refused(reason) => ("refused", Some(reason)),
                Sent::Failed(reason) => ("failed", Some(reason)),
            };
            if let Some(reason) = reason
                && !context.json
            {
                let name = output::path(&files[index]);
                bar.suspend(|| output::complain(&format!("{name}: {state}: {reason}")));
            }
            rows.push(json!({ "file": files[index], "state": state, "reason": reason }));
        });
        bar.finish_and_clear();
        let report = match sent {
            Ok(report) => report,
            Err(e) => {
                output::say(&format!(
                    "{} of {} objects were told of",
                    rows.len(),
                    files.len()
                ));
                return Err(e.into());
            }
        };
        output::print(&match context.json {
            true => output::to_json(&rows)?,
            false => format!(
                "{} has {} of {} objects\n",
                self.node,
                report.delivered,
                files.len()
            ),
        })?;
        outcome(report, files.len())
    }
}

fn outcome(report: SendReport, all: usize) -> Outcome {
    let text = format!("{} of {all} objects were not taken", all - report.delivered);
    match report.delivered {
        n if n == all => Ok(()),
        0 => Err(Failure::new(Exit::Node, text)),
        _ => Err(Failure::new(Exit::Partial, text)),
    }
}
