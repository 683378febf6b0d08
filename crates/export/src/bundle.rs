//! A model as a MONAI bundle: a folder that MONAI's tools, MONAI Label and MONAI Deploy read.

use crate::metadata::{CLASSES, window_multiple};
use crate::model::{INPUT, LESION_OUTPUT, LOGITS_OUTPUT, export};
use crate::options::{ExportOptions, What};
use crate::{Error, ErrorKind, Result};
use multirnet_infer::ModelInput;
use multirnet_nn::{System, SystemConfig};
use serde_json::{Map, Value, json};

/// The schema that `monai.bundle.verify_metadata` checks the description against.
const SCHEMA: &str = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/\
                      0.8.1/meta_schema_20240725.json";
/// Versions of MONAI and what it needs with which the bundle was tried.
const MONAI: &str = "1.6.1";
const PYTORCH: &str = "2.15.0";
const NUMPY: &str = "2.4.6";
/// Window of the sliding inference if the card does not tell the training's, `(z, y, x)`.
const DEFAULT_WINDOW: [usize; 3] = [32, 96, 96];
/// Notice on every page.
const NOTICE: &str = "For research use only. Not a medical device.";

/// A file of a bundle: its path in the bundle's folder, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Path with `/` between its parts.
    pub path: &'static str,
    /// Content of the file.
    pub bytes: Vec<u8>,
}

/// The files of a bundle of the net of `system`. Its name is that of the model.
///
/// # Errors
/// Those of [`export`], and `Unsupported` if the model has no card that says how scans are prepared:
/// a bundle without it would give wrong results.
pub fn bundle(system: &System, options: &ExportOptions) -> Result<Vec<BundleFile>> {
    let config = system.config();
    let card = options.provenance.card.as_ref();
    let Some(input) = card.and_then(|card| card.input.as_ref()) else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the model has no card that says how scans are prepared for it, which a bundle must \
             describe",
        )
        .hint("give model.safetensors of a run of `multirnet train`, or export without a bundle"));
    };
    let text = |value: Value| format!("{value:#}\n").into_bytes();
    let file = |path, bytes| BundleFile { path, bytes };
    Ok(vec![
        file(
            "configs/metadata.json",
            text(description(config, options, input)),
        ),
        file(
            "configs/inference.json",
            text(inference(config, options, input)),
        ),
        file("models/model.onnx", export(system, options)?),
        file("docs/README.md", page(config, options, input).into_bytes()),
        file("LICENSE", licence(options).into_bytes()),
    ])
}

fn has(config: &SystemConfig, what: What) -> [bool; 2] {
    [
        config.segments() && what != What::Class,
        config.classifies() && what != What::Lesion,
    ]
}

/// Lesion channels in words.
fn lesion_channels(config: &SystemConfig) -> Value {
    match config.lesion_channels() {
        1 => json!({ "0": "pneumonia lesion" }),
        _ => json!({ "0": "ground-glass opacity", "1": "consolidation" }),
    }
}

/// `metadata.json`.
fn description(config: &SystemConfig, options: &ExportOptions, input: &ModelInput) -> Value {
    let from = &options.provenance;
    let card = from.card.as_ref();
    let sides = format!("{}*n", window_multiple(config));
    let sides = [&sides, &sides.replace('n', "m"), &sides.replace('n', "p")];
    let mut outputs = Map::new();
    let [lesion, class] = has(config, options.what);
    if lesion {
        let tensor = json!({
            "type": "image", "format": "classes", "num_channels": config.lesion_channels(),
            "spatial_shape": sides, "dtype": "float32", "value_range": [0, 1],
            "is_patch_data": true, "channel_def": lesion_channels(config),
        });
        outputs.insert(LESION_OUTPUT.to_owned(), tensor);
    }
    if class {
        let channels: Map<String, Value> = CLASSES
            .iter()
            .enumerate()
            .map(|(i, name)| (i.to_string(), json!(name)))
            .collect();
        let tensor = json!({
            "type": "tuples", "format": "classes", "num_channels": CLASSES.len(),
            "spatial_shape": [], "dtype": "float32", "value_range": [],
            "is_patch_data": true, "channel_def": channels,
        });
        outputs.insert(LOGITS_OUTPUT.to_owned(), tensor);
    }
    let attribution = card.map_or(String::new(), |card| card.attribution.join(" "));
    let version = card.map_or("", |card| card.version.as_str());
    let scores: Map<String, Value> = card
        .iter()
        .flat_map(|card| &card.scores)
        .map(|score| {
            (
                format!("{}: {}", score.on, score.metric),
                json!(score.value),
            )
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "version": if version.is_empty() { env!("CARGO_PKG_VERSION") } else { version },
        "changelog": {},
        "name": from.name,
        "monai_version": MONAI,
        "pytorch_version": PYTORCH,
        "numpy_version": NUMPY,
        "required_packages_version": { "onnxruntime": "1.32.0", "nibabel": "5.3.2" },
        "optional_packages_version": {},
        "task": task(config, options.what),
        "description": format!(
            "{}. {NOTICE} Trained on: {}",
            config.card().name,
            card.map_or("not recorded.", |card| card.trained_on.as_str())
        ),
        "authors": "the multirnet project",
        "copyright": card
            .and_then(|card| card.licence.clone())
            .unwrap_or_else(|| "not recorded".to_owned()),
        "data_source": attribution,
        "data_type": "nibabel",
        "image_classes": format!(
            "one channel of CT, {} to {} HU scaled to 0..1", input.window_hu[0], input.window_hu[1]
        ),
        "pred_classes": "lesion probabilities; class logits: normal, CAP, COVID-19",
        "eval_metrics": scores,
        "intended_use": NOTICE,
        "references": [config.card().source],
        "network_data_format": {
            "inputs": { INPUT: {
                "type": "image", "format": "magnitude", "modality": "CT", "num_channels": 1,
                "spatial_shape": sides, "dtype": "float32", "value_range": [0, 1],
                "is_patch_data": true, "channel_def": { "0": "CT" },
            }},
            "outputs": outputs,
        },
        "multirnet": { "sha256": from.sha256, "config": config, "window_mm": input.spacing_mm },
    })
}

fn task(config: &SystemConfig, what: What) -> &'static str {
    match has(config, what) {
        [true, true] => {
            "Segmentation of pneumonia lesions in chest CT, and classification as normal, \
             community-acquired pneumonia or COVID-19"
        }
        [true, false] => "Segmentation of pneumonia lesions in chest CT",
        _ => "Classification of chest CT as normal, community-acquired pneumonia or COVID-19",
    }
}

/// Sides of the sliding window, `(z, y, x)`.
fn window(config: &SystemConfig, input: &ModelInput) -> [usize; 3] {
    match config.check_window(input.global_shape) {
        Ok(()) => input.global_shape,
        Err(_) => DEFAULT_WINDOW,
    }
}

/// `inference.json`: a scan in, the lesion map out, by MONAI's transforms and ONNX Runtime.
///
/// MONAI's arrays are `(x, y, z)`. The scan is turned to LPS and transposed to `(z, y, x)`.
fn inference(config: &SystemConfig, options: &ExportOptions, input: &ModelInput) -> Value {
    let [z, y, x] = input.spacing_mm;
    let [low, high] = input.window_hu;
    let [lesion, class] = has(config, options.what);
    let transforms = json!([
        { "_target_": "LoadImage", "image_only": true },
        { "_target_": "EnsureChannelFirst" },
        { "_target_": "Orientation", "axcodes": "LPS", "labels": null },
        { "_target_": "Spacing", "pixdim": [x, y, z], "mode": "bilinear" },
        {
            "_target_": "ScaleIntensityRange",
            "a_min": low, "a_max": high, "b_min": 0.0, "b_max": 1.0, "clip": true,
        },
        { "_target_": "Transpose", "indices": [0, 3, 2, 1] },
    ]);
    let names: Vec<&str> = [(lesion, LESION_OUTPUT), (class, LOGITS_OUTPUT)]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect();
    let mut whole = json!({
        "imports": ["$import onnxruntime", "$import torch"],
        "bundle_root": ".",
        "scan": "scan.nii.gz",
        "output_names": names,
        "session": "$onnxruntime.InferenceSession(@bundle_root + '/models/model.onnx', \
                    providers=['CPUExecutionProvider'])",
        "preprocessing": { "_target_": "Compose", "transforms": transforms },
        "network": format!(
            "$lambda x: [torch.from_numpy(y) for y in @session.run(@output_names, \
             {{'{INPUT}': x.cpu().numpy()}})]"
        ),
        "image": "$@preprocessing(@scan).as_tensor()[None]",
    });
    let Some(map) = whole.as_object_mut() else {
        return whole;
    };
    if lesion {
        map.insert(
            "inferer".to_owned(),
            json!({
                "_target_": "SlidingWindowInferer",
                "roi_size": window(config, input), "sw_batch_size": 1, "overlap": 0.5,
                "mode": "gaussian",
            }),
        );
        map.insert(
            LESION_OUTPUT.to_owned(),
            json!("$@inferer(@image, lambda x: @network(x)[0])"),
        );
        let run = "$print('largest lesion probability', float(@lesion.max()))";
        map.insert("run".to_owned(), json!([run]));
    } else {
        map.insert(
            "resized".to_owned(),
            json!({ "_target_": "Resize", "spatial_size": window(config, input) }),
        );
        let run = "$print('class probabilities', \
                   torch.softmax(@network(@resized(@image[0])[None])[0], 1))";
        map.insert("run".to_owned(), json!([run]));
    }
    whole
}

/// The bundle's page.
fn page(config: &SystemConfig, options: &ExportOptions, input: &ModelInput) -> String {
    let from = &options.provenance;
    let card = from.card.as_ref();
    let trained = card.map_or("Not recorded.", |card| card.trained_on.as_str());
    let [low, high] = input.window_hu;
    let [z, y, x] = input.spacing_mm;
    format!(
        "# {name}\n\n**{NOTICE}**\n\n{task}. Network: {net}.\n\n\
         Trained on: {trained}\n\n\
         ## Run it\n\n\
         ```sh\npip install monai onnxruntime nibabel\n\
         python -m monai.bundle run run --config_file configs/inference.json --scan scan.nii.gz\n```\n\n\
         Input: CT in HU from {low} to {high}, scaled to 0..1, at {z} × {y} × {x} mm (z, y, x), \
         axes z to the head, y to the back, x to the patient's left. Sides of windows are multiples \
         of {multiple}.\n\n\
         `multirnet` finds the lungs first and shows the network nothing else. `inference.json` shows \
         it the whole scan, and its results therefore differ from those of `multirnet predict`.\n\n\
         The file `models/model.onnx` was made from a model with the SHA-256 digest \
         `{sha256}`.\n",
        name = from.name,
        task = task(config, options.what),
        net = config.card().name,
        multiple = window_multiple(config),
        sha256 = from.sha256,
    )
}

/// The licence of the weights and the sources that it asks to name.
fn licence(options: &ExportOptions) -> String {
    let card = options.provenance.card.as_ref();
    let name = card.and_then(|card| card.licence.as_deref());
    let mut text = format!(
        "Licence of the weights in models/model.onnx: {}\n",
        name.unwrap_or("not recorded by the model's card")
    );
    for source in card.iter().flat_map(|card| &card.attribution) {
        text += &format!("\n{}\n", source.trim());
    }
    text
}
