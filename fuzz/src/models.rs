//! Weights files, model cards and checkpoints.

use crate::Target;
use multirnet::{DeviceChoice, Model};
use multirnet_infer::ModelCard;
use multirnet_nn::weights;
use std::sync::LazyLock;

/// The target `weights`.
pub static WEIGHTS: Target = Target {
    name: "weights",
    about: "weights files and model cards",
    longest: 1 << 17,
    fixed: NET_BYTES,
    per_byte: 64,
    has_threads: false,
    prepare,
    parse: weights,
    seeds: || vec![STATE.weights()],
};
/// The target `checkpoint`.
pub static CHECKPOINT: Target = Target {
    name: "checkpoint",
    about: "checkpoints of trainings",
    longest: 1 << 17,
    fixed: NET_BYTES,
    per_byte: 64,
    has_threads: false,
    prepare,
    parse: checkpoint,
    seeds: || vec![STATE.checkpoint()],
};

/// A net of the largest configuration that is valid is made before its tensors are compared with those
/// of the file. Its tensors are made when they are used first, so this holds names and shapes only.
pub const NET_BYTES: usize = 64 << 20;

/// A net of few channels.
const TINY: &str =
    "[model]\nchannels = [2, 2, 2, 2, 2]\nclass_channels = [2, 2, 2, 2, 2, 2]\niterations = 1\n";

static STATE: LazyLock<multirnet_train::fuzzing::Tiny> =
    LazyLock::new(|| multirnet_train::fuzzing::Tiny::new(TINY));

fn prepare() {
    LazyLock::force(&STATE);
}

fn weights(input: &[u8]) {
    let _ = ModelCard::read("model.safetensors", input);
    if weights::config_of("model.safetensors", input).is_ok() {
        let _ = Model::from_bytes("model.safetensors", input, DeviceChoice::Cpu);
    }
}

fn checkpoint(input: &[u8]) {
    STATE.resume(input);
}
