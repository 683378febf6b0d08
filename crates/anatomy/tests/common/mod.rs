//! Scans for the tests.
#![allow(dead_code, reason = "each test file uses its own part")]

use multirnet_phantom::{Phantom, PhantomConfig};
use multirnet_volume::{Diagnosis, Geometry, Volume};

/// A small phantom without lesions.
pub fn normal() -> Phantom {
    phantom(3, Diagnosis::Normal, 96)
}

/// The phantom of a seed.
pub fn phantom(seed: u64, class: Diagnosis, matrix: usize) -> Phantom {
    PhantomConfig::sample(seed, class, matrix)
        .generate()
        .expect("a sampled configuration is valid")
}

/// Dice of one label.
pub fn dice(mask: &Volume<u8>, truth: &Volume<u8>, label: u8) -> f64 {
    let (mut both, mut sum) = (0u64, 0u64);
    for (&m, &t) in mask.data().iter().zip(truth.data()) {
        both += u64::from(m == label && t == label);
        sum += u64::from(m == label) + u64::from(t == label);
    }
    2.0 * both as f64 / sum as f64
}

/// The volume with other spacing.
pub fn respaced<T: multirnet_volume::Voxel>(volume: &Volume<T>, spacing_mm: [f64; 3]) -> Volume<T> {
    let old = volume.geometry();
    let geometry = Geometry::new(old.shape(), spacing_mm, old.origin_mm(), old.direction());
    volume
        .clone()
        .with_geometry(geometry.expect("a valid grid"))
        .expect("the same shape")
}

/// Reverses the voxels along an axis and keeps the geometry, which is then wrong.
pub fn flipped(volume: &Volume<f32>, axis: usize) -> Volume<f32> {
    let shape = volume.shape();
    Volume::from_fn(*volume.geometry(), |mut index| {
        index[axis] = shape[axis] - 1 - index[axis];
        volume.at(index)
    })
}
