//! `multirnet info`: the program and the model.

use crate::failure::Outcome;
use crate::model::ModelArguments;
use crate::{Context, output};
use multirnet_infer::{DeviceChoice, NOTICE};
use serde::Serialize;

/// Show the program's version, this machine's features, and the model in use
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet info\n  multirnet info --model runs/mine/best.safetensors --json"
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
    model: ModelFacts,
}

#[derive(Serialize)]
struct ModelFacts {
    name: String,
    sha256: String,
    trained_on: String,
    config: serde_json::Value,
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
            model: ModelFacts {
                name: predictor.card().name.clone(),
                sha256: predictor.model_digest().to_owned(),
                trained_on: predictor.card().trained_on.clone(),
                config: predictor.config(),
            },
        };
        if context.json {
            return output::print(&output::to_json(&facts)?);
        }
        let m = &facts.model;
        output::print(&format!(
            "multirnet {}\n{}\n\nThreads        {}\nCPU features   {}\nGPU            {}\n\nModel          {}\nTrained on     {}\n\
             Network        {}\nSHA-256        {}\n",
            facts.version,
            facts.notice,
            facts.threads,
            if facts.cpu_features.is_empty() {
                "none known".to_owned()
            } else {
                facts.cpu_features.join(", ")
            },
            gpu.unwrap_or_else(|reason| format!("none: {reason}")),
            m.name,
            m.trained_on,
            m.config,
            m.sha256,
        ))
    }
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
