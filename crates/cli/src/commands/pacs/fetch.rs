//! `multirnet fetch`: finds studies at a node and fetches them.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::{output, stop};
use multirnet::StopToken;
use multirnet_pacs::client::{self, StudyMatch, StudyQuery, WebClient};
use multirnet_pacs::config::{Config, Node};
use serde_json::json;
use std::path::PathBuf;

/// Find studies at a node and fetch them (QIDO-RS and WADO-RS, or C-FIND and C-MOVE)
///
/// From a DICOMweb node the objects come as files into OUT, a folder for each study. A DIMSE node is
/// asked to send them to the listener, which must run, and whose title and address the node must know;
/// the listener analyses them.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet fetch configs/pacs.toml web --accession A-17 --list\n  multirnet fetch configs/pacs.toml web --study 1.2.3 -o studies\n  multirnet fetch configs/pacs.toml archive --date 20260101-20260131 --modality CT"
)]
pub struct Fetch {
    /// Configuration (TOML) that names the node
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// Name of the node
    #[arg(value_name = "NODE")]
    node: String,

    /// Study Instance UID
    #[arg(long, value_name = "UID")]
    study: Option<String>,

    /// Series Instance UID; only this series of the study is fetched
    #[arg(long, value_name = "UID", requires = "study")]
    series: Option<String>,

    /// Patient ID; * and ? stand for other characters
    #[arg(long, value_name = "ID")]
    patient: Option<String>,

    /// Accession number
    #[arg(long, value_name = "NUMBER")]
    accession: Option<String>,

    /// Study date YYYYMMDD, or a range YYYYMMDD-YYYYMMDD
    #[arg(long, value_name = "DATE")]
    date: Option<String>,

    /// A modality that the study has
    #[arg(long, value_name = "NAME")]
    modality: Option<String>,

    /// Only list the studies
    #[arg(long)]
    list: bool,

    /// Folder for the objects of a DICOMweb node
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,

    /// Title that a DIMSE node sends to (default: the listener's)
    #[arg(long, value_name = "TITLE")]
    to: Option<String>,
}

impl Fetch {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let config = Config::read(&self.config)?;
        let node = config.node(&self.node)?;
        let query = StudyQuery {
            study_uid: self.study.clone(),
            patient_id: self.patient.clone(),
            accession_number: self.accession.clone(),
            study_date: self.date.clone(),
            modality: self.modality.clone(),
        };
        if query == StudyQuery::default() && !self.list {
            return Err(Failure::new(
                Exit::Usage,
                "every study would be fetched (say which ones, or list them with --list)",
            ));
        }
        self.check_place(node)?;
        let found = client::search(node, &query)?;
        if self.list {
            return output::print(&match context.json {
                true => output::to_json(&found)?,
                false => table(&found),
            });
        }
        if found.is_empty() {
            return Err(Failure::input(format!(
                "{} has no such study (list what it has with --list)",
                self.node
            )));
        }
        let stop = stop::saving()?;
        let mut rows = Vec::new();
        for study in &found {
            let objects = self.fetch(&config, node, &study.study_uid, &stop)?;
            output::say(&format!("{}: {objects} objects", study.study_uid));
            rows.push(json!({ "study": study.study_uid, "objects": objects }));
        }
        match context.json {
            true => output::print(&output::to_json(&rows)?),
            false if rows.len() == 1 => output::print("fetched one study\n"),
            false => output::print(&format!("fetched {} studies\n", rows.len())),
        }
    }

    /// Refuses options that the node's protocol does not use.
    fn check_place(&self, node: &Node) -> Outcome {
        let problem = match (node, &self.out, &self.to) {
            _ if self.list => None,
            (Node::Dicomweb(_), None, _) => Some("a DICOMweb node needs a folder (-o OUT)"),
            (Node::Dicomweb(_), _, Some(_)) => Some("--to is for a DIMSE node"),
            (Node::Dimse(_), Some(_), _) => Some(
                "a DIMSE node sends to the listener and not to a folder (leave -o out, or take a \
                 DICOMweb node)",
            ),
            _ => None,
        };
        problem.map_or(Ok(()), |text| Err(Failure::new(Exit::Usage, text)))
    }

    fn fetch(&self, config: &Config, node: &Node, study: &str, stop: &StopToken) -> Outcome<usize> {
        let bar = output::bar(None, "{spinner} {prefix}: {pos} objects ({elapsed})");
        let bar = bar.with_prefix(study.to_owned());
        let series = self.series.as_deref();
        let objects = match node {
            Node::Dicomweb(web) => {
                let out = self.out.clone().unwrap_or_default().join(study);
                let client = WebClient::new(web)?;
                let told = &mut |n| bar.set_position(n as u64);
                client.fetch(study, series, &out, stop, told)?.len()
            }
            Node::Dimse(dimse) => {
                let title = self.to.as_deref().unwrap_or(&config.listener.ae_title);
                let told = &mut |c: multirnet_pacs::dimse::SubOperations| {
                    bar.set_position(u64::from(c.completed));
                };
                let counts = client::retrieve(dimse, study, series, title, stop, told)?;
                usize::from(counts.completed)
            }
        };
        bar.finish_and_clear();
        Ok(objects)
    }
}

/// The studies, one a line. Names of patients are not asked for.
fn table(found: &[StudyMatch]) -> String {
    let head = format!(
        "{:<10} {:<16} {:<16} {:>6} {:>9} {:<12} study\n",
        "date", "patient ID", "accession", "series", "instances", "modalities"
    );
    let count = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let row = |s: &StudyMatch| {
        format!(
            "{:<10} {:<16} {:<16} {:>6} {:>9} {:<12} {}\n",
            s.study_date,
            s.patient_id,
            s.accession_number,
            count(s.series),
            count(s.instances),
            s.modalities.replace('\\', ","),
            s.study_uid
        )
    };
    head + &found.iter().map(row).collect::<String>()
}
