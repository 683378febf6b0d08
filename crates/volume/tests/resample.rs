//! Resampling is exact where possible, and both paths give the same result.

mod common;

use common::{continuous, counted, direction_of, distance, indices, rotated};
use multirnet_volume::{Geometry, Orientation, Volume};
use proptest::prelude::*;

fn grid(shape: [usize; 3], spacing: [f64; 3], angles: [f64; 3]) -> Geometry {
    let direction = rotated(direction_of(Orientation::CANONICAL), angles);
    Geometry::new(shape, spacing, [-150.0, 33.0, 700.0], direction).unwrap()
}

/// A value that is linear in world coordinates. Trilinear interpolation of it is exact.
fn ramp(world: [f64; 3]) -> f64 {
    0.5 * world[0] - 0.25 * world[1] + 0.125 * (world[2] - 700.0) + 3.0
}

fn ramp_on(geometry: Geometry) -> Volume<f32> {
    Volume::from_fn(geometry, |i| {
        ramp(geometry.index_to_world(continuous(i))) as f32
    })
}

/// The definition, slow and in f64; `None` within rounding of a change of value.
fn reference(source: &Volume<i32>, world: [f64; 3]) -> Option<(f64, i32)> {
    let at = source.geometry().world_to_index(world);
    let mut linear = 0.0;
    let mut nearest = [0; 3];
    for a in 0..3 {
        let last = source.shape()[a] as f64 - 1.0;
        if at[a] < -0.5 || at[a] > last + 0.5 {
            return None;
        }
        nearest[a] = (at[a] + 0.5).floor().clamp(0.0, last) as usize;
    }
    for corner in 0..8 {
        let mut weight = 1.0;
        let mut index = [0; 3];
        for a in 0..3 {
            let last = source.shape()[a] - 1;
            let p = at[a].clamp(0.0, last as f64);
            let low = p.floor();
            let up = corner >> a & 1;
            weight *= if up == 1 { p - low } else { 1.0 - (p - low) };
            index[a] = (low as usize + up).min(last);
        }
        linear += weight * f64::from(source.at(index));
    }
    Some((linear, source.at(nearest)))
}

#[test]
fn an_aligned_grid_is_an_exact_copy() {
    let geometry = grid([4, 5, 6], [2.5, 0.7, 0.7], [0.1, 0.2, -0.3]);
    let mut volume = ramp_on(geometry);
    // Neighbours with weight zero must not leak.
    volume.data_mut()[7] = f32::NAN;
    volume.data_mut()[8] = f32::INFINITY;
    let same = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
    };
    let copy = volume.resample_linear(&geometry, 0.0);
    assert_eq!(*copy.geometry(), geometry);
    assert!(same(copy.data(), volume.data()));
    let copy = volume.resample_nearest(&geometry, 0.0);
    assert!(same(copy.data(), volume.data()));
    let part = geometry.window([1, -1, 2], [2, 4, 3]).unwrap();
    let expected = volume.window([1, -1, 2], [2, 4, 3], 9.0).unwrap();
    let part = volume.resample_linear(&part, 9.0);
    assert!(same(part.data(), expected.data()));
}

#[test]
fn another_orientation_is_the_reoriented_copy() {
    let volume = counted(grid([3, 4, 5], [2.0, 1.0, 0.5], [0.1, 0.0, 0.2]));
    for target in Orientation::all() {
        let expected = volume.reorient(target);
        let linear = volume.resample_linear(expected.geometry(), -1.0);
        assert_eq!(linear.map(|v| v as i32), expected);
        assert_eq!(volume.resample_nearest(expected.geometry(), -1), expected);
    }
}

#[test]
fn finer_and_back_keeps_a_ramp() {
    let coarse = ramp_on(grid([9, 10, 11], [2.0, 1.5, 1.0], [0.2, -0.1, 0.05]));
    let fine = coarse
        .geometry()
        .window([1, 1, 1], [7, 8, 9])
        .and_then(|inner| inner.with_shape([21, 19, 30]))
        .unwrap();
    let up = coarse.resample_linear(&fine, f32::NAN);
    for index in indices(up.shape()) {
        let expected = ramp(fine.index_to_world(continuous(index)));
        assert!((f64::from(up.at(index)) - expected).abs() < 1e-4);
    }
    let inner = coarse.geometry().window([2, 2, 2], [5, 6, 7]).unwrap();
    let down = up.resample_linear(&inner, f32::NAN);
    for index in indices(inner.shape()) {
        let expected = coarse.at(index.map(|i| i + 2));
        assert!((down.at(index) - expected).abs() < 1e-4);
    }
}

#[test]
fn the_edge_value_reaches_half_a_voxel_out() {
    let source = Geometry::axial([1, 1, 4], [1.0; 3]).unwrap();
    let volume = Volume::new(vec![10.0f32, 20.0, 30.0, 40.0], source).unwrap();
    let x = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];
    let target = Geometry::new([1, 1, 12], [1.0, 1.0, 0.5], [-1.0, 0.0, 0.0], x).unwrap();
    let linear = volume.resample_linear(&target, -1.0);
    let expected = [
        -1.0, 10.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 40.0, -1.0, -1.0,
    ];
    assert_eq!(linear.data(), expected);
    let nearest = volume.resample_nearest(&target, -1.0);
    let expected = [
        -1.0, 10.0, 10.0, 20.0, 20.0, 30.0, 30.0, 40.0, 40.0, 40.0, -1.0, -1.0,
    ];
    assert_eq!(nearest.data(), expected);
    // A slice half a voxel off in z is still on the edge, more is not.
    for (z, value) in [(0.5, 10.0), (-0.5, 10.0), (0.6, -1.0), (-0.6, -1.0)] {
        let one = Geometry::new([1, 1, 1], [1.0; 3], [0.0, 0.0, z], x).unwrap();
        assert_eq!(volume.resample_linear(&one, -1.0).data(), [value]);
    }
}

#[test]
fn a_resized_grid_lies_wholly_inside() {
    let volume = ramp_on(grid([7, 30, 31], [5.0, 0.7, 0.7], [0.0, 0.0, 0.1]));
    for target in [
        volume.geometry().with_shape([32, 96, 96]).unwrap(),
        volume.geometry().with_shape([2, 3, 4]).unwrap(),
        volume.geometry().with_spacing([2.5, 1.5, 1.5]).unwrap(),
        volume.geometry().with_spacing([2.0, 0.3, 0.5]).unwrap(),
    ] {
        let moved = volume.resample_linear(&target, f32::NAN);
        assert!(moved.data().iter().all(|v| v.is_finite()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn both_paths_follow_the_definition(
        shape in prop::array::uniform3(1usize..9),
        target_shape in prop::array::uniform3(1usize..12),
        spacing in prop::array::uniform3(0.3f64..3.0),
        shift in prop::array::uniform3(-6.0f64..3.0),
        orientation in 0usize..48,
        tilt in prop_oneof![Just([0.0; 3]), prop::array::uniform3(-0.5f64..0.5)],
    ) {
        let source = counted(grid(shape, [2.0, 1.1, 0.9], [0.1, 0.2, 0.3]));
        let g = source.geometry();
        let target = Geometry::new(
            target_shape,
            spacing,
            g.index_to_world(shift),
            rotated(g.direction(), tilt),
        ).unwrap().reoriented(Orientation::all()[orientation]);
        let linear = source.resample_linear(&target, -1e3);
        let nearest = source.resample_nearest(&target, -1);
        for index in indices(target.shape()) {
            let world = target.index_to_world(continuous(index));
            // Rounding decides ties and edges, so positions near them are skipped.
            let at = g.world_to_index(world);
            if at.iter().any(|p| ((p * 2.0) - (p * 2.0).round()).abs() < 1e-5) {
                continue;
            }
            match reference(&source, world) {
                Some((l, n)) => {
                    prop_assert!((f64::from(linear.at(index)) - l).abs() < 1e-2);
                    prop_assert_eq!(nearest.at(index), n);
                }
                None => {
                    prop_assert_eq!(linear.at(index), -1e3);
                    prop_assert_eq!(nearest.at(index), -1);
                }
            }
        }
        prop_assert!(distance(target.origin_mm(), linear.geometry().origin_mm()) == 0.0);
    }
}
