//! A net as an ONNX file.

use crate::graph::{Attribute, Axis, Builder, Value};
use crate::metadata::properties;
use crate::options::{ExportOptions, What};
use crate::proto::{ModelProto, OperatorSetIdProto};
use crate::writer::Writer;
use crate::{Error, ErrorKind, Result};
use multirnet_nn::{Kept, System, SystemConfig};
use prost::Message;

/// Version of ONNX's set of operators.
const OPSET: i64 = 17;
/// Version of ONNX's file format.
const IR_VERSION: i64 = 8;
/// Name of the input: windows of CT.
pub(crate) const INPUT: &str = "ct";
/// Name of the output with lesion probabilities.
pub const LESION_OUTPUT: &str = "lesion";
/// Name of the output with class logits.
pub const LOGITS_OUTPUT: &str = "class_logits";
/// Largest message that readers of protocol buffers take, in bytes.
const MAX_BYTES: usize = (1 << 31) - 1;

/// The net of `system` as the bytes of an ONNX file. Equal nets and options give equal bytes.
///
/// The input `ct` has shape `[batch, 1, depth, height, width]` with values in \[0, 1\]. The outputs
/// are `lesion`, probabilities `[batch, K, depth, height, width]` of the last pass, and
/// `class_logits`, `[batch, 3]` in the order normal, CAP, COVID-19.
///
/// # Errors
/// - `Unsupported`: the net is not written over [`multirnet_nn::Compute`] (those of slices are not),
///   it does not give what `options.what` asks for, or the file would have more than 2 GiB.
/// - `Weights`: a weight does not fit 16 bits.
pub fn export(system: &System, options: &ExportOptions) -> Result<Vec<u8>> {
    let config = system.config();
    let [lesion, class] = outputs(config, options.what)?;
    let writer = Writer::new(system, options.half);
    let named = ["batch", "depth", "height", "width"].map(Axis::Named);
    let [batch, depth, height, width] = named;
    let shape = vec![batch, Axis::Fixed(1), depth, height, width];
    let document = "windows of CT, scaled to 0..1; the metadata `multirnet.preprocessing` says how";
    let x = writer.with(|graph| graph.input(INPUT, shape, document));
    let (map, logits) = passes(&writer, system, &x).ok_or_else(|| flat(config))?;
    let mut graph = writer.into_builder();
    if let (true, Some(map)) = (lesion, map) {
        let axes = [
            Axis::Named("batch"),
            Axis::Fixed(config.lesion_channels()),
            Axis::Named("depth"),
            Axis::Named("height"),
            Axis::Named("width"),
        ];
        graph.output(&map, LESION_OUTPUT, axes.into(), "lesion probabilities");
    }
    if let (true, Some(logits)) = (class, logits) {
        let axes = vec![Axis::Named("batch"), Axis::Fixed(3)];
        let document = "class logits: normal, CAP, COVID-19; their softmax gives probabilities";
        graph.output(&logits, LOGITS_OUTPUT, axes, document);
    }
    if let Some((name, value)) = graph.overflow() {
        return Err(Error::new(
            ErrorKind::Weights,
            format!("the tensor `{name}` holds {value}, which 16 bits cannot store"),
        )
        .hint("export it with weights of 32 bits"));
    }
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: "multirnet".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: format!(
            "{}. For research use only, not a medical device.",
            config.card().name
        ),
        graph: Some(graph.finish(config.name())),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
        metadata_props: properties(config, options),
    };
    if model.encoded_len() > MAX_BYTES {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the file would have more than 2 GiB, which ONNX files cannot have",
        ));
    }
    Ok(model.encode_to_vec())
}

/// Whether lesion map and classes become outputs.
fn outputs(config: &SystemConfig, what: What) -> Result<[bool; 2]> {
    let has = [config.segments(), config.classifies()];
    let wanted = match what {
        What::Lesion => [true, false],
        What::Class => [false, true],
        What::Both => return Ok(has),
    };
    for (i, task) in ["segment lesions", "classify"].into_iter().enumerate() {
        if wanted[i] && !has[i] {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} does not {task}", config.card().name),
            )
            .hint("export all outputs that the net has"));
        }
    }
    Ok(wanted)
}

fn flat(config: &SystemConfig) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "{} works on slices, and only nets of volumes are exported",
            config.card().name
        ),
    )
    .hint("export multirnet, unet3d, unetpp3d, zhou or densenet")
}

/// Writes all passes. The results are the last pass's lesion map and the chosen class logits.
fn passes(writer: &Writer, system: &System, x: &Value) -> Option<(Option<Value>, Option<Value>)> {
    let passes = system.passes()?;
    // The first pass gets zeros of the input's shape, which is not known yet.
    let zero = writer.with(|graph| graph.floats("zero".to_owned(), &[1], &[0.0]));
    let mut previous = writer.with(|graph| graph.node("Mul", &[x, &zero], Vec::new()));
    let mut lesion = None;
    let mut kept: Option<Kept<Value>> = None;
    for _ in 0..passes.count {
        let pass = system.pass_on(writer, x.clone(), previous.clone())?;
        previous = pass.mask.unwrap_or(previous);
        lesion = pass.lesion;
        if let Some(logits) = pass.class_logits {
            kept = passes.class_from.keep(kept, logits, |sum, now| {
                writer.with(|graph| graph.node("Add", &[&sum, &now], Vec::new()))
            });
        }
    }
    let logits = kept.map(|kept| match kept.count {
        1 => kept.value,
        n => writer.with(|graph| mean(graph, &kept.value, n)),
    });
    Some((lesion, logits))
}

/// A sum of `n` vectors as their mean.
fn mean(graph: &mut Builder, sum: &Value, n: usize) -> Value {
    let share = graph.floats("share".to_owned(), &[1], &[1.0 / n as f32]);
    graph.node("Mul", &[sum, &share], Vec::<(&str, Attribute)>::new())
}
