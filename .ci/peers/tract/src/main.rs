//! Exported nets in tract, a runtime in Rust, against what burn computed: `FOLDER [NAME…]`.
//!
//! FOLDER is what the example `write_nets` of crates/export wrote. Without names all cases are run.

use serde_json::Value;
use std::error::Error;
use std::fs;
use std::path::Path;
use tract_onnx::prelude::*;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn floats(path: &Path) -> Outcome<Vec<f32>> {
    let bytes = fs::read(path)?;
    let values = bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok(values.collect())
}

fn text<'a>(value: &'a Value, key: &str) -> Outcome<&'a str> {
    Ok(value[key]
        .as_str()
        .ok_or_else(|| format!("index.json lacks {key}"))?)
}

/// Largest difference of a batch's outputs from burn's.
fn apart(folder: &Path, file: &str, batch: &Value) -> Outcome<f64> {
    let [b, d, h, w] = [0, 1, 2, 3].map(|i| batch["shape"][i].as_u64().unwrap_or(0) as usize);
    let shape = [b, 1, d, h, w];
    let model = tract_onnx::onnx()
        .model_for_path(folder.join(file))?
        .with_input_fact(0, f32::fact(shape).into())?;
    let plan = model.into_optimized()?.into_runnable()?;
    let input = Tensor::from_shape(&shape, &floats(&folder.join(text(batch, "input")?))?)?;
    let outputs = plan.run(tvec!(input.into()))?;
    let wanted: Vec<Vec<f32>> = ["lesion", "class_logits"]
        .iter()
        .filter_map(|name| batch["outputs"][name].as_str())
        .map(|file| floats(&folder.join(file)))
        .collect::<Outcome<_>>()?;
    if outputs.len() != wanted.len() {
        return Err(format!("{} outputs in place of {}", outputs.len(), wanted.len()).into());
    }
    let mut worst = 0f64;
    for (output, wanted) in outputs.iter().zip(&wanted) {
        let output = output.to_plain_array_view::<f32>()?;
        if output.len() != wanted.len() {
            return Err(format!("an output of shape {:?}", output.shape()).into());
        }
        for (a, b) in output.iter().zip(wanted) {
            let apart = f64::from((a - b).abs());
            // NaN is not less than anything.
            if !(apart <= worst) {
                worst = apart;
            }
        }
    }
    Ok(worst)
}

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("give the folder of write_nets")?;
    let folder = Path::new(&folder);
    let names: Vec<String> = arguments.collect();
    let index: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("index.json"))?)?;
    let mut count = 0;
    for case in &index {
        let name = text(case, "name")?;
        if !names.is_empty() && !names.iter().any(|n| n == name) {
            continue;
        }
        let bound = case["bound"].as_f64().unwrap_or(0.0);
        let mut worst = 0f64;
        for batch in case["batches"].as_array().into_iter().flatten() {
            let found =
                apart(folder, text(case, "file")?, batch).map_err(|e| format!("{name}: {e}"))?;
            if !(found <= bound) {
                return Err(
                    format!("{name}: off by {found:.1e}, and {bound:.0e} is allowed").into(),
                );
            }
            worst = worst.max(found);
        }
        println!("{name:48} tract {worst:.1e}");
        count += 1;
    }
    if count == 0 {
        return Err("no such case".into());
    }
    println!("{count} files agree in tract");
    Ok(())
}
