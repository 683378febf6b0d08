//! What a file says of itself.

use crate::options::ExportOptions;
use crate::proto::StringStringEntryProto;
use multirnet_infer::ModelInput;
use multirnet_nn::SystemConfig;
use serde_json::{Value, json};

/// The number of which every side of a window must be a multiple.
pub(crate) fn window_multiple(config: &SystemConfig) -> usize {
    let fits = |side: &usize| config.check_window([*side; 3]).is_ok();
    [8, 16, 32].into_iter().find(fits).unwrap_or(64)
}

/// Names of the classes, in the order of the logits.
pub(crate) const CLASSES: [&str; 3] = ["normal", "CAP", "COVID-19"];

/// How a scan becomes windows. Lengths are millimetres, axes are `(z, y, x)`.
pub(crate) fn preprocessing(config: &SystemConfig, input: Option<&ModelInput>) -> Value {
    let mut steps = json!({
        "axes": "batch, channel, z, y, x; z from feet to head, y from front to back, x from the \
                 patient's right to left",
        "values": "HU, clipped to window_hu and scaled to 0..1",
        "sides": format!("multiples of {}", window_multiple(config)),
    });
    if let (Some(map), Some(input)) = (steps.as_object_mut(), input) {
        map.insert("window_hu".to_owned(), json!(input.window_hu));
        map.insert("spacing_mm".to_owned(), json!(input.spacing_mm));
        map.insert("margin_mm".to_owned(), json!(input.margin_mm));
        map.insert("global_shape".to_owned(), json!(input.global_shape));
        map.insert(
            "views".to_owned(),
            json!(
                "the box of the lungs with margin_mm around it, resampled to global_shape (global \
                 view), and patches of that box at spacing_mm (local view)"
            ),
        );
    }
    steps
}

/// The metadata of a file.
pub(crate) fn properties(
    config: &SystemConfig,
    options: &ExportOptions,
) -> Vec<StringStringEntryProto> {
    let from = &options.provenance;
    let input = from.card.as_ref().and_then(|card| card.input.as_ref());
    let text = |value: Value| value.to_string();
    let mut entries = vec![
        ("multirnet.model", from.name.clone()),
        ("multirnet.sha256", from.sha256.clone()),
        (
            "multirnet.weights",
            if options.half { "f16" } else { "f32" }.to_owned(),
        ),
        ("multirnet.config", text(json!(config))),
        (
            "multirnet.preprocessing",
            text(preprocessing(config, input)),
        ),
    ];
    if config.classifies() {
        entries.push(("multirnet.classes", text(json!(CLASSES))));
    }
    if let Some(card) = &from.card {
        entries.push(("multirnet.card", text(json!(card))));
    }
    entries.retain(|(_, value)| !value.is_empty());
    let entry = |(key, value): (&str, String)| StringStringEntryProto {
        key: key.to_owned(),
        value,
    };
    entries.into_iter().map(entry).collect()
}
