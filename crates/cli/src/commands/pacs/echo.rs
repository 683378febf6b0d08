//! `multirnet echo`: asks nodes whether they answer.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use multirnet_pacs::client;
use multirnet_pacs::config::Config;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Ask DICOM nodes whether they answer (C-ECHO, or a query by DICOMweb)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  multirnet echo configs/pacs.toml archive")]
pub struct Echo {
    /// Configuration (TOML) that names the nodes
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// Names of nodes (default: all)
    #[arg(value_name = "NODE")]
    nodes: Vec<String>,
}

impl Echo {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let config = Config::read(&self.config)?;
        let names: Vec<&String> = match self.nodes.is_empty() {
            true => config.nodes.keys().collect(),
            false => self.nodes.iter().collect(),
        };
        if names.is_empty() {
            let reason = format!("{}: no node is configured", output::path(&self.config));
            return Err(Failure::input(format!("{reason} (add a table [[node]])")));
        }
        // A wrong name is told before anybody is asked.
        let nodes = names.iter().map(|name| config.node(name));
        let nodes = nodes.collect::<multirnet_pacs::Result<Vec<_>>>()?;
        let (mut rows, mut text, mut failures) = (Vec::new(), String::new(), 0);
        for (name, node) in names.iter().zip(nodes) {
            let begin = Instant::now();
            let answer = client::echo_any(node);
            let seconds = begin.elapsed().as_secs_f64();
            match &answer {
                Ok(()) => text += &format!("{name} answers ({:.0} ms)\n", 1000.0 * seconds),
                Err(e) => {
                    failures += 1;
                    text += &format!("{name} does not answer: {e}\n");
                }
            }
            let error = answer.err().map(|e| e.to_string());
            rows.push(json!({ "node": name, "seconds": seconds, "error": error }));
        }
        output::print(&match context.json {
            true => output::to_json(&rows)?,
            false => text,
        })?;
        match failures {
            0 => Ok(()),
            n => Err(Failure::new(
                Exit::Node,
                format!("{n} of {} nodes do not answer", rows.len()),
            )),
        }
    }
}
