//! `multirnet listen`: receives studies, analyses them, and sends the results back.

use super::analysis::Analysis;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::model::ModelArguments;
use crate::output::say;
use crate::stop;
use chrono::Local;
use multirnet_finding::NOTICE;
use multirnet_pacs::config::Config;
use multirnet_pacs::{Event, Listener, ListenerOptions};
use std::path::PathBuf;
use std::sync::Arc;

/// Receive CT studies from scanners and archives, analyse each, and send the results back
///
/// A study is analysed once no object of it has come for the configured time. The results (segmentation,
/// measurements, picture, PDF) go to the configured destinations. A scan that cannot be analysed gets a
/// picture and a report that say why. Ctrl-C ends the program; what was received is kept, and the same
/// command goes on.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet doctor configs/pacs.toml\n  multirnet listen configs/pacs.toml\n\ndocs/pacs.md explains the configuration."
)]
pub struct Listen {
    /// Configuration (TOML): who may send, where results go
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    #[command(flatten)]
    model: ModelArguments,
}

impl Listen {
    /// Runs the command.
    pub fn run(self, _: Context) -> Outcome {
        let config = Config::read(&self.config)?;
        let analysis = Analysis::new(&config, &self.config, self.model)?;
        let options = ListenerOptions {
            watch: Some(Arc::new(tell)),
            ..ListenerOptions::default()
        };
        let listener = Listener::bind(&config, options)?;
        let card = analysis.model.card();
        say(&format!("{NOTICE} Model: {}", card.trained_on));
        let workers = config.analysis.workers as u64;
        let (receiving, usual) = (listener.memory_plan_bytes(), analysis.usual_bytes()?);
        say(&format!(
            "Memory: at most {} MiB for receiving and sending, and {} MiB while a scan of 300 slices is \
             analysed ({workers} at a time). The plan of each scan is told when it is analysed.",
            receiving >> 20,
            (workers * usual) >> 20
        ));
        say(&format!(
            "{} answers on {}. Press Ctrl-C to end.",
            config.listener.ae_title,
            listener.address().unwrap_or(config.listener.address)
        ));
        let stop = stop::saving()?;
        listener.run(&analysis, &stop)?;
        match stop.is_raised() {
            true => Err(Failure::stopped()),
            false => Ok(()),
        }
    }
}

/// Says what an administrator wants to follow. Single objects that were stored stand in the audit log
/// only.
pub fn tell(event: &Event) {
    let text = match event {
        Event::JobQueued {
            study,
            job,
            objects,
            previous,
        } => {
            let again = match previous {
                Some(number) => format!(", which has grown since job {number}"),
                None => String::new(),
            };
            format!("{study}#{job}: the study is complete with {objects} objects{again}")
        }
        Event::JobAnalysed {
            study,
            job,
            results,
            seconds,
        } => format!("{study}#{job}: {results} results after {seconds:.1} s"),
        Event::JobFailed {
            study,
            job,
            will_retry,
        } => {
            let next = match will_retry {
                true => "it will be tried again",
                false => "it is given up",
            };
            format!("{study}#{job}: the analysis failed, {next} (job.json has the reason)")
        }
        Event::Delivered {
            study,
            job,
            object,
            destination,
        } => format!("{study}#{job}: {destination} has {object}"),
        Event::NotDelivered {
            study,
            job,
            object,
            destination,
            reason,
            will_retry,
        } => {
            let next = match will_retry {
                true => "it will be sent again",
                false => "it is given up",
            };
            format!("{study}#{job}: {destination} does not have {object}: {reason}; {next}")
        }
        Event::ObjectRefused {
            ae_title, reason, ..
        } => format!("an object of {ae_title} was refused: {reason}"),
        Event::AssociationRefused { peer, reason } => format!("{peer} was sent away: {reason}"),
        Event::ObjectsRemoved { study, objects, .. } => {
            format!("{study}: {objects} objects were removed by the retention rule")
        }
        Event::Failure { reason } => format!("failure: {reason}"),
        _ => return,
    };
    say(&format!("{} {text}", Local::now().format("%H:%M:%S")));
}
