//! Weights and inputs that every contestant gets.

use crate::{Result, serving};
use burn::tensor::{Device, Distribution, Tensor};
use multirnet_nn::{SystemConfig, weights};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use safetensors::SafeTensors;
use std::path::Path;

/// Writes seeded random weights for `config` to `path`. They resemble trained weights: running
/// statistics follow the activations, which therefore stay in range. Norms differ from their initial
/// values, so a fault in folding them shows.
///
/// # Errors
/// A sentence that says what failed.
pub fn write_weights(path: &Path, config: &SystemConfig, seed: u64) -> Result<()> {
    let device = Device::flex().autodiff();
    device.seed(seed);
    let net = config.init(&device);
    // Each pass moves running statistics by a tenth towards those of its batch.
    for _ in 0..30 {
        let x = Tensor::<5>::random([4, 1, 16, 32, 32], Distribution::Uniform(0.0, 1.0), &device);
        drop(net.answer(x));
    }
    let mut bytes = weights::to_bytes(&net, weights::Dtype::F32).map_err(|e| e.to_string())?;
    let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| e.to_string())?;
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    for (name, info) in metadata.tensors() {
        if info.shape.len() != 1 {
            continue;
        }
        let shift = if name.ends_with("beta") { 0.2 } else { 0.0 };
        let (from, to) = info.data_offsets;
        for value in bytes[8 + header + from..8 + header + to]
            .as_chunks_mut::<4>()
            .0
        {
            let v = f32::from_le_bytes(*value) * rng.random_range(0.8..1.25)
                + shift * rng.random_range(-1.0f32..1.0);
            *value = v.to_le_bytes();
        }
    }
    std::fs::write(path, bytes).map_err(|e| format!("{}: cannot write: {e}", path.display()))
}

/// Random images in `[0, 1]`, as a mean of grains of several sizes. Fine noise alone would average
/// out in the deep levels of a network.
pub fn images(batch: usize, [d, h, w]: [usize; 3], seed: u64) -> Vec<f32> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut all = Vec::with_capacity(batch * d * h * w);
    for _ in 0..batch {
        let layers: Vec<(usize, Vec<f32>)> = [1usize, 4, 16]
            .into_iter()
            .map(|grain| {
                let n = d.div_ceil(grain) * h.div_ceil(grain) * w.div_ceil(grain);
                (grain, (0..n).map(|_| rng.random_range(0.0..1.0)).collect())
            })
            .collect();
        for z in 0..d {
            for y in 0..h {
                for x in 0..w {
                    let sum: f32 = layers
                        .iter()
                        .map(|(g, values)| {
                            let (ny, nx) = (h.div_ceil(*g), w.div_ceil(*g));
                            values[((z / g) * ny + y / g) * nx + x / g]
                        })
                        .sum();
                    all.push(sum / layers.len() as f32);
                }
            }
        }
    }
    all
}

/// Writes images in the peers' input format. With `masks`, lesion masks of their brightest parts
/// follow.
///
/// # Errors
/// A sentence that names the file.
pub fn write_input(path: &Path, images: &[f32], masks: bool) -> Result<()> {
    let mut values = images.to_vec();
    if masks {
        values.extend(lesions(images));
    }
    serving::save(path, &values)
}

/// Lesion masks: the brightest parts of images.
pub fn lesions(images: &[f32]) -> Vec<f32> {
    images
        .iter()
        .map(|v| f32::from(u8::from(*v > 0.65)))
        .collect()
}
