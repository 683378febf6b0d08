//! Writes exported nets, with inputs and burn's outputs, for other runtimes to try:
//! `write_nets OUT`. `.ci/peers/onnx` calls it.

mod cases;

use cases::{Case, all, packaged};
use multirnet_export::{ExportOptions, LESION_OUTPUT, LOGITS_OUTPUT, Provenance, bundle, export};
use multirnet_infer::ModelCard;
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::path::Path;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Largest difference of maps and logits that rounding in another order may cause.
const BOUND: f64 = 1e-4;
/// Largest difference that weights of 16 bits may cause, for nets of random weights.
const HALF_BOUND: f64 = 2e-2;

fn main() -> Outcome {
    let out = std::env::args()
        .nth(1)
        .ok_or("give the folder to write to")?;
    let out = Path::new(&out);
    fs::create_dir_all(out)?;
    let mut index = Vec::new();
    for case in all() {
        index.push(write(out, &case, false, BOUND)?);
        if case.packaged.is_some() {
            // Packaged weights have 16 bits, so storing them in 16 bits loses nothing.
            index.push(write(out, &case, true, BOUND)?);
        }
    }
    index.push(write(
        out,
        &cases::case("multirnet", "base", json!({})),
        true,
        HALF_BOUND,
    )?);
    fs::write(out.join("index.json"), serde_json::to_vec(&index)?)?;
    let case = packaged("lungs-small");
    for file in bundle(&case.system, &options(&case, false)?)? {
        let path = out.join("bundle").join(file.path);
        fs::create_dir_all(path.parent().unwrap_or(out))?;
        fs::write(path, file.bytes)?;
    }
    println!("{} files", index.len());
    Ok(())
}

fn options(case: &Case, half: bool) -> Outcome<ExportOptions> {
    let card = match &case.packaged {
        Some(bytes) => ModelCard::read(&case.name, bytes)?,
        None => None,
    };
    Ok(ExportOptions {
        half,
        provenance: Provenance {
            name: case.name.clone(),
            card,
            ..Provenance::default()
        },
        ..ExportOptions::default()
    })
}

fn write(out: &Path, case: &Case, half: bool, bound: f64) -> Outcome<Value> {
    let name = format!("{}{}", case.name, if half { "-half" } else { "" });
    let file = format!("{name}.onnx");
    fs::write(
        out.join(&file),
        export(&case.system, &options(case, half)?)?,
    )?;
    let floats = |name: String, values: &[f32]| -> Outcome<String> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        fs::write(out.join(&name), bytes)?;
        Ok(name)
    };
    let mut batches = Vec::new();
    for (i, shape) in case.shapes().into_iter().enumerate() {
        let expected = case.expected(shape);
        let mut outputs = serde_json::Map::new();
        let both = [
            (LESION_OUTPUT, &expected.lesion),
            (LOGITS_OUTPUT, &expected.logits),
        ];
        for (output, values) in both {
            if let Some(values) = values {
                let path = floats(format!("{name}-{i}-{output}.f32"), values)?;
                outputs.insert(output.to_owned(), json!(path));
            }
        }
        batches.push(json!({
            "shape": shape,
            "input": floats(format!("{name}-{i}.f32"), &expected.input)?,
            "outputs": outputs,
        }));
    }
    Ok(json!({ "name": name, "file": file, "bound": bound, "batches": batches }))
}
