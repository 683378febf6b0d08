//! `multirnet doctor`: checks a configuration end to end.

use super::analysis::Analysis;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::model::ModelArguments;
use crate::output;
use multirnet_pacs::config::Config;
use multirnet_pacs::doctor::{Check, Verdict, examine_file};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Check a configuration of `listen` end to end, and say in words what is wrong
///
/// Looks at the file, the folders, the port, the certificates, the model, and asks every node what it
/// takes. Nothing is sent but questions.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  multirnet doctor configs/pacs.toml")]
pub struct Doctor {
    /// Configuration (TOML)
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    #[command(flatten)]
    model: ModelArguments,
}

impl Doctor {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let mut checks = examine_file(&self.config);
        if let Ok(config) = Config::read(&self.config) {
            checks.push(check_model(&config, &self.config, self.model));
        }
        let wrong = |c: &&Check| c.verdict == Verdict::Wrong;
        let faults = checks.iter().filter(wrong).count();
        let name = |verdict| match verdict {
            Verdict::Fine => "ok",
            Verdict::Warning => "warning",
            Verdict::Wrong => "wrong",
        };
        output::print(&if context.json {
            let row = |c: &Check| json!({ "subject": c.subject, "verdict": name(c.verdict), "finding": c.finding });
            output::to_json(&checks.iter().map(row).collect::<Vec<_>>())?
        } else {
            checks.iter().map(|c| format!("{c}\n")).collect()
        })?;
        match faults {
            0 => Ok(()),
            1 => Err(Failure::input("one check found a fault")),
            n => Err(Failure::input(format!("{n} checks found a fault"))),
        }
    }
}

/// Whether the model and the options can be used, and what memory they take.
fn check_model(config: &Config, path: &Path, arguments: ModelArguments) -> Check {
    let usable = Analysis::new(config, path, arguments)
        .and_then(|analysis| Ok((analysis.usual_bytes()?, analysis)));
    let (verdict, finding) = match usable {
        Ok((bytes, analysis)) => (
            Verdict::Fine,
            format!(
                "{} can be used; a scan of 300 slices takes at most {} MiB",
                analysis.model.card().name,
                bytes >> 20
            ),
        ),
        Err(failure) => (Verdict::Wrong, failure.to_string()),
    };
    Check {
        subject: "model".to_owned(),
        verdict,
        finding,
    }
}
