//! Grids for the tests.
#![allow(dead_code)]

use multirnet_volume::{Geometry, Orientation, Volume};

/// Rotation by `angles` (radians) about X, then Y, then Z, applied to `axes`.
pub fn rotated(axes: [[f64; 3]; 3], angles: [f64; 3]) -> [[f64; 3]; 3] {
    axes.map(|mut v| {
        for (k, angle) in angles.into_iter().enumerate() {
            let (i, j) = ((k + 1) % 3, (k + 2) % 3);
            let (sin, cos) = angle.sin_cos();
            (v[i], v[j]) = (cos * v[i] - sin * v[j], sin * v[i] + cos * v[j]);
        }
        v
    })
}

/// The axis-aligned direction of an orientation.
pub fn direction_of(orientation: Orientation) -> [[f64; 3]; 3] {
    orientation.axes().map(|axis| {
        let mut v = [0.0; 3];
        v[axis.world()] = if axis.is_positive() { 1.0 } else { -1.0 };
        v
    })
}

/// A volume whose values are all different.
pub fn counted(geometry: Geometry) -> Volume<i32> {
    let mut n = 0;
    Volume::from_fn(geometry, |_| {
        n += 1;
        n
    })
}

/// Voxel indices of a shape.
pub fn indices(shape: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [nz, ny, nx] = shape;
    (0..nz * ny * nx).map(move |i| [i / (ny * nx), i / nx % ny, i % nx])
}

/// Distance in mm.
pub fn distance(p: [f64; 3], q: [f64; 3]) -> f64 {
    p.iter()
        .zip(q)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// The index of a voxel as continuous index.
pub fn continuous(index: [usize; 3]) -> [f64; 3] {
    index.map(|i| i as f64)
}
