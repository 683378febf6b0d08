//! Reorientation moves voxels, never their values or world positions.

mod common;

use common::{continuous, counted, direction_of, distance, indices, rotated};
use multirnet_volume::{Axis, Geometry, Orientation, Volume};
use proptest::prelude::*;

fn oblique(orientation: Orientation, angles: [f64; 3], shape: [usize; 3]) -> Volume<i32> {
    let direction = rotated(direction_of(orientation), angles);
    let geometry = Geometry::new(shape, [2.5, 0.7, 0.9], [-180.0, 40.5, -733.0], direction);
    counted(geometry.unwrap())
}

/// Asserts that `b` has every voxel of `a` at the same world position.
fn assert_same_in_world(a: &Volume<i32>, b: &Volume<i32>) {
    for index in indices(a.shape()) {
        let world = a.geometry().index_to_world(continuous(index));
        let there = b.geometry().world_to_index(world);
        let rounded = there.map(|i| i.round() as usize);
        assert!(distance(there, continuous(rounded)) < 1e-9, "{there:?}");
        assert_eq!(a.at(index), b.at(rounded));
    }
}

#[test]
fn there_are_48_different_orientations() {
    let all = Orientation::all();
    assert_eq!(all.len(), 48);
    for (i, o) in all.iter().enumerate() {
        assert!(!all[..i].contains(o));
        assert_eq!(Orientation::new(o.axes()), Some(*o));
    }
    assert!(all.contains(&Orientation::CANONICAL));
    assert_eq!(
        Orientation::new([Axis::Left, Axis::Right, Axis::Superior]),
        None
    );
    assert_eq!(Orientation::CANONICAL.to_string(), "LPS");
}

#[test]
fn every_orientation_reaches_every_other_and_returns() {
    for source in Orientation::all() {
        let volume = oblique(source, [0.0; 3], [3, 4, 5]);
        assert_eq!(volume.geometry().orientation(), source);
        for target in Orientation::all() {
            let moved = volume.reorient(target);
            assert_eq!(moved.geometry().orientation(), target);
            assert_eq!(*moved.geometry(), volume.geometry().reoriented(target));
            assert_same_in_world(&volume, &moved);
            let back = moved.reorient(source);
            assert_eq!(back.data(), volume.data());
            assert!(back.geometry().matches(volume.geometry(), 1e-9));
        }
    }
}

#[test]
fn canonical_axial_data_is_left_alone() {
    let geometry = Geometry::axial([3, 4, 5], [1.0, 2.0, 3.0]).unwrap();
    let volume = counted(geometry);
    assert_eq!(geometry.orientation(), Orientation::CANONICAL);
    assert_eq!(volume.to_canonical(), volume);
}

#[test]
fn ras_data_is_turned_by_half() {
    // x to the right and y to the front, as NIfTI has it most often.
    let direction = [[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]];
    let geometry = Geometry::new([1, 2, 3], [1.0; 3], [0.0; 3], direction).unwrap();
    let volume = Volume::new(vec![1u8, 2, 3, 4, 5, 6], geometry).unwrap();
    let canonical = volume.to_canonical();
    assert_eq!(canonical.data(), [6, 5, 4, 3, 2, 1]);
    assert_eq!(canonical.geometry().origin_mm(), [-2.0, -1.0, 0.0]);
}

#[test]
fn blocks_larger_than_a_tile_are_moved_whole() {
    let axes = [Axis::Right, Axis::Inferior, Axis::Posterior];
    let volume = oblique(Orientation::new(axes).unwrap(), [0.0; 3], [17, 33, 40]);
    assert_same_in_world(&volume, &volume.to_canonical());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn oblique_grids_keep_world_positions(
        from in 0usize..48,
        to in 0usize..48,
        angles in prop::array::uniform3(-0.4f64..0.4),
        shape in prop::array::uniform3(1usize..7),
    ) {
        let all = Orientation::all();
        let volume = oblique(all[from], angles, shape);
        let moved = volume.reorient(all[to]);
        assert_same_in_world(&volume, &moved);
        let back = moved.reorient(volume.geometry().orientation());
        prop_assert_eq!(back.data(), volume.data());
        prop_assert!(back.geometry().matches(volume.geometry(), 1e-9));
        prop_assert_eq!(back.geometry().direction(), volume.geometry().direction());
    }
}
