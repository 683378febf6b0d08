//! `multirnet export`: writes a model as an ONNX file or a MONAI bundle.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output;
use multirnet_base::digest::sha256;
use multirnet_base::{StagedFolder, files};
use multirnet_export::{ExportOptions, Provenance, What, bundle, export};
use multirnet_infer::{DeviceChoice, ModelCard, ModelSource};
use multirnet_nn::weights;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Export a model for other runtimes: an ONNX file or a MONAI bundle
///
/// The file (opset 17) runs in ONNX Runtime, OpenVINO and others. Its input `ct` is a batch of
/// windows [batch, 1, z, y, x] of any size that the net takes; its outputs are `lesion`
/// (probabilities) and `class_logits` (normal, CAP, COVID-19). Its metadata say how scans are
/// prepared.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet export lungs-small -o lungs-small.onnx\n  multirnet export runs/mine/model.safetensors --bundle -o mine"
)]
pub struct Export {
    /// Name or path of the model, as for `predict --model`
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// File to write, or folder with --bundle
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,

    /// Outputs of the file: lesion, class, or both (what the net has)
    #[arg(long, value_name = "NAME", default_value = "both", value_parser = what)]
    what: What,

    /// Store the weights in 16 bits: half the size, maps and sums stay in 32 bits
    #[arg(long)]
    half: bool,

    /// Write a MONAI bundle: a folder with the model, its description and a configuration
    #[arg(long)]
    bundle: bool,
}

fn what(text: &str) -> Result<What, String> {
    match text {
        "lesion" => Ok(What::Lesion),
        "class" => Ok(What::Class),
        "both" => Ok(What::Both),
        _ => Err(format!(
            "unknown output {text:?} (write lesion, class or both)"
        )),
    }
}

#[derive(Serialize)]
struct Exported {
    path: PathBuf,
    bytes: usize,
    sha256: String,
    model_sha256: String,
}

impl Export {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let source = multirnet::models()
            .find(&self.model)
            .map_err(Failure::input)?;
        let label = match &source {
            ModelSource::Embedded(model) => model.name.to_owned(),
            ModelSource::File(path) => path.display().to_string(),
        };
        let bytes = source.bytes().map_err(Failure::input)?;
        let cpu = DeviceChoice::Cpu.open().map_err(Failure::input)?;
        let system: multirnet_nn::System =
            weights::from_bytes(&label, &bytes, &cpu).map_err(Failure::input)?;
        let card = ModelCard::read(&label, &bytes).map_err(Failure::input)?;
        let name = match &card {
            Some(card) => card.name.clone(),
            None => ModelCard::unknown(&label).name,
        };
        let model_sha256 = sha256(&bytes);
        let options = ExportOptions {
            what: self.what,
            half: self.half,
            provenance: Provenance {
                name,
                sha256: model_sha256.clone(),
                card,
            },
        };
        let wrong = |e: multirnet_export::Error| Failure::input(e.at(Path::new(&label)));
        let (path, written) = if self.bundle {
            let files = bundle(&system, &options).map_err(wrong)?;
            let staged = StagedFolder::new(&self.out)?;
            let mut model = Vec::new();
            for file in files {
                staged.write(file.path, &file.bytes)?;
                if file.path.ends_with(".onnx") {
                    model = file.bytes;
                }
            }
            staged.publish()?;
            (self.out.join("models/model.onnx"), model)
        } else {
            let model = export(&system, &options).map_err(wrong)?;
            files::write(&self.out, &model)?;
            (self.out, model)
        };
        let exported = Exported {
            path,
            bytes: written.len(),
            sha256: sha256(&written),
            model_sha256,
        };
        output::print(&if context.json {
            output::to_json(&exported)?
        } else {
            format!(
                "{}: {:.1} MB, SHA-256 {}\n",
                output::path(&exported.path),
                exported.bytes as f64 / 1e6,
                exported.sha256
            )
        })
    }
}
