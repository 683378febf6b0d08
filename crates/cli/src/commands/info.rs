//! `multirnet info`: shows the program, this machine and the models.

use crate::context::Context;
use crate::failure::Outcome;
use crate::model::ModelArguments;
use crate::output;
use multirnet::{DEFAULT_MODEL, models};
use multirnet_base::text::one_line;
use multirnet_finding::NOTICE;
use multirnet_infer::{CatalogueEntry, DeviceChoice, ModelCard};
use serde::Serialize;

/// Show the program's version, this machine's features, the model in use, and all models found
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet info\n  multirnet info --model runs/mine/model.safetensors --json"
)]
pub struct Info {
    #[command(flatten)]
    model: ModelArguments,
}

#[derive(Serialize)]
struct Facts {
    version: &'static str,
    notice: &'static str,
    threads: usize,
    cpu_features: Vec<&'static str>,
    /// The graphics processor that `--device gpu` would use.
    gpu: Option<String>,
    /// The model in use.
    model: ModelInUse,
    /// All models that a user can name, in the order in which names are looked up.
    models: Vec<Listed>,
}

#[derive(Serialize)]
struct ModelInUse {
    /// The model's card: name, training data, licence, scores.
    #[serde(flatten)]
    card: ModelCard,
    sha256: String,
    config: serde_json::Value,
}

/// A model that a user can name.
#[derive(Serialize)]
struct Listed {
    name: String,
    place: String,
    /// Whether it is used when no model is named.
    default: bool,
    /// Whether an earlier place has a model of this name. The program then takes that one.
    hidden: bool,
    #[serde(flatten)]
    facts: Option<ListedFacts>,
    /// Reason why the model cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct ListedFacts {
    licence: Option<String>,
    trained_on: String,
    sha256: String,
    bytes: usize,
}

impl From<CatalogueEntry> for Listed {
    fn from(entry: CatalogueEntry) -> Self {
        let (facts, error) = match entry.facts {
            Ok(facts) => (Some(facts), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            default: entry.name == DEFAULT_MODEL.name && !entry.hidden,
            name: entry.name,
            place: entry.source.to_string(),
            hidden: entry.hidden,
            facts: facts.map(|f| ListedFacts {
                licence: f.card.licence,
                trained_on: f.card.trained_on,
                sha256: f.sha256,
                bytes: f.bytes,
            }),
            error,
        }
    }
}

impl Info {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let predictor = self.model.load()?;
        let gpu = DeviceChoice::Gpu.describe().map_err(|e| e.to_string());
        let facts = Facts {
            version: env!("CARGO_PKG_VERSION"),
            notice: NOTICE,
            threads: rayon::current_num_threads(),
            cpu_features: cpu_features(),
            gpu: gpu.as_ref().ok().cloned(),
            model: ModelInUse {
                card: predictor.card().clone(),
                sha256: predictor.model_digest().to_owned(),
                config: predictor.config(),
            },
            models: models().list().into_iter().map(Listed::from).collect(),
        };
        if context.json {
            return output::print(&output::to_json(&facts)?);
        }
        let m = &facts.model;
        output::print(&format!(
            "multirnet {}\n{}\n\nThreads        {}\nCPU features   {}\nGPU            {}\n\nModel          {}\nTrained on     {}\nShown as       {}\n\
             Licence        {}\nNetwork        {}\nSHA-256        {}\n\n{}",
            facts.version,
            facts.notice,
            facts.threads,
            if facts.cpu_features.is_empty() {
                "none known".to_owned()
            } else {
                facts.cpu_features.join(", ")
            },
            gpu.unwrap_or_else(|reason| format!("none: {reason}")),
            one_line(&m.card.name),
            one_line(&m.card.trained_on),
            m.card
                .validated_on
                .notice()
                .unwrap_or("Lesions and classes are validated on patients."),
            one_line(m.card.licence.as_deref().unwrap_or(NOT_STATED)),
            m.config,
            m.sha256,
            table(&facts.models),
        ))
    }
}

const NOT_STATED: &str = "not stated";

/// The table of models as text.
fn table(models: &[Listed]) -> String {
    let width = models.iter().map(|m| m.name.chars().count()).max();
    let width = width.unwrap_or(0).max(5);
    let mut text = format!(
        "{:<width$}  {:>7}  SHA-256       place, licence\n",
        "model", "MB"
    );
    for m in models {
        let mark = match (m.default, m.hidden) {
            (true, _) => " (default)",
            (_, true) => " (not used: an earlier place has a model of this name)",
            _ => "",
        };
        text += &match (&m.facts, &m.error) {
            (Some(f), _) => format!(
                "{:<width$}  {:>7.1}  {:.12}  {}{mark}, {}\n",
                one_line(&m.name),
                f.bytes as f64 / 1e6,
                f.sha256,
                one_line(&m.place),
                one_line(f.licence.as_deref().unwrap_or(NOT_STATED))
            ),
            (None, error) => format!(
                "{:<width$}  cannot be used: {}\n",
                one_line(&m.name),
                one_line(error.as_deref().unwrap_or_default())
            ),
        };
    }
    text
}

fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
        ];
        known.into_iter().filter(|f| f.1).map(|f| f.0).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        vec![]
    }
}
