//! The graphs of exported nets: sound, unrolled, and without what nothing needs.

use multirnet_export::proto::{FLOAT16, GraphProto, ModelProto};
use multirnet_export::{ExportOptions, What, export};
use multirnet_nn::device::Device;
use multirnet_nn::{System, SystemConfig};
use prost::Message;
use serde_json::json;
use std::collections::HashSet;

fn system(name: &str, fields: serde_json::Value) -> System {
    let fields = fields.as_object().cloned().unwrap_or_default();
    let config = SystemConfig::read(name, Some("small"), fields).unwrap();
    config.init(&Device::flex())
}

fn graph(system: &System, what: What, half: bool) -> GraphProto {
    let options = ExportOptions {
        what,
        half,
        ..ExportOptions::default()
    };
    let bytes = export(system, &options).unwrap();
    let model = ModelProto::decode(bytes.as_slice()).unwrap();
    assert_eq!(model.opset_import[0].version, Some(17));
    model.graph.unwrap()
}

fn count(graph: &GraphProto, op: &str) -> usize {
    graph.node.iter().filter(|n| n.op_type == op).count()
}

#[test]
fn every_value_is_made_once_before_its_use_and_is_needed() {
    for (name, fields) in [
        (
            "multirnet",
            json!({ "class_from": "mean", "lesion_channels": 2 }),
        ),
        ("multirnet", json!({ "norm": "group" })),
        ("unet3d", json!({ "norm": "instance" })),
        ("unetpp3d", json!({})),
        ("zhou", json!({})),
        ("densenet", json!({})),
    ] {
        for half in [false, true] {
            let graph = graph(&system(name, fields.clone()), What::Both, half);
            let inputs = graph.input.iter().map(|i| i.name.clone());
            let mut known: HashSet<String> = inputs.collect();
            let mut unused = HashSet::new();
            for constant in &graph.initializer {
                assert!(known.insert(constant.name.clone()), "{}", constant.name);
                unused.insert(constant.name.clone());
            }
            for node in &graph.node {
                for input in &node.input {
                    assert!(known.contains(input), "{name}: {input} comes too late");
                    unused.remove(input);
                }
                for output in &node.output {
                    assert!(known.insert(output.clone()), "{name}: {output} twice");
                    unused.insert(output.clone());
                }
            }
            let outputs: HashSet<String> = graph.output.into_iter().map(|o| o.name).collect();
            assert_eq!(unused, outputs, "{name}");
        }
    }
}

#[test]
fn passes_are_unrolled_and_share_their_weights() {
    let sizes = [0, 2].map(|iterations| {
        let net = system("multirnet", json!({ "iterations": iterations }));
        let graph = graph(&net, What::Both, false);
        (count(&graph, "Conv"), graph.initializer.len())
    });
    assert!(sizes[1].0 > 2 * sizes[0].0, "{sizes:?}");
    assert_eq!(sizes[1].1, sizes[0].1);
}

#[test]
fn only_what_the_outputs_need_is_kept() {
    let net = system("multirnet", json!({ "iterations": 0 }));
    let both = graph(&net, What::Both, false);
    let lesion = graph(&net, What::Lesion, false);
    assert_eq!(count(&lesion, "Gemm"), 0);
    assert!(lesion.initializer.len() < both.initializer.len());
    // U-Net++ has four supervised outputs, and the last one is the result.
    let sigmoids = count(
        &graph(&system("unetpp3d", json!({})), What::Both, false),
        "Sigmoid",
    );
    assert_eq!(sigmoids, 1);
}

#[test]
fn weights_of_16_bits_hold_the_nets_own_numbers() {
    let graph = graph(&system("multirnet", json!({})), What::Both, true);
    let halves: Vec<_> = graph
        .initializer
        .iter()
        .filter(|t| t.data_type == Some(FLOAT16))
        .collect();
    assert_eq!(halves.len(), count(&graph, "Cast"));
    assert!(halves.iter().all(|t| t.dims.len() > 1));
    // Only casts read them, also in later passes.
    for node in graph.node.iter().filter(|n| n.op_type != "Cast") {
        let half = |input: &String| halves.iter().any(|t| t.name == *input);
        assert!(!node.input.iter().any(half), "{}", node.name);
    }
    assert!(
        halves
            .iter()
            .any(|t| t.name == "segmentation.encoders.0.units.0.conv.weight")
    );
}
