//! Crop, pad and window keep values at their world positions.

mod common;

use common::{continuous, counted, direction_of, distance, indices, rotated};
use multirnet_volume::{ErrorKind, Geometry, Orientation, Volume};
use proptest::prelude::*;

fn volume(shape: [usize; 3]) -> Volume<i32> {
    let direction = rotated(direction_of(Orientation::CANONICAL), [0.1, -0.2, 0.3]);
    counted(Geometry::new(shape, [3.0, 0.8, 0.7], [10.0, -20.0, 30.0], direction).unwrap())
}

proptest! {
    #[test]
    fn windows_keep_world_positions(
        shape in prop::array::uniform3(1usize..6),
        start in prop::array::uniform3(-8i64..8),
        size in prop::array::uniform3(1usize..9),
    ) {
        let whole = volume(shape);
        let part = whole.window(start, size, -1).unwrap();
        prop_assert_eq!(part.shape(), size);
        for index in indices(size) {
            let there: [i64; 3] = std::array::from_fn(|a| index[a] as i64 + start[a]);
            let inside = (0..3).all(|a| there[a] >= 0 && there[a] < shape[a] as i64);
            let expected = if inside { whole.at(there.map(|i| i as usize)) } else { -1 };
            prop_assert_eq!(part.at(index), expected);
            let p = part.geometry().index_to_world(continuous(index));
            let q = whole.geometry().index_to_world(there.map(|i| i as f64));
            prop_assert!(distance(p, q) < 1e-9);
        }
    }
}

#[test]
fn a_crop_undoes_a_pad() {
    let whole = volume([3, 4, 5]);
    let padded = whole.pad([1, 0, 2], [0, 3, 1], 7).unwrap();
    assert_eq!(padded.shape(), [4, 7, 8]);
    assert_eq!(padded.at([0, 0, 0]), 7);
    let back = padded.crop([1, 0, 2], [3, 4, 5]).unwrap();
    assert_eq!(back.data(), whole.data());
    assert!(back.geometry().matches(whole.geometry(), 1e-9));
}

#[test]
fn a_window_far_outside_is_empty_space() {
    let whole = volume([2, 2, 2]);
    for start in [i64::MIN, -2, 2, i64::MAX] {
        let part = whole.window([0, 0, start], [2, 2, 2], 0);
        assert!(part.is_ok_and(|p| p.data().iter().all(|&v| v == 0)));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let whole = volume([2, 3, 4]);
    let kind = |result: multirnet_volume::Result<_>| result.unwrap_err().kind();
    assert_eq!(kind(whole.crop([0, 0, 1], [2, 3, 4])), ErrorKind::Mismatch);
    let overflow = whole.crop([usize::MAX, 0, 0], [2, 3, 4]);
    assert_eq!(kind(overflow), ErrorKind::Mismatch);
    assert_eq!(kind(whole.crop([0; 3], [0, 1, 1])), ErrorKind::Geometry);
    let empty = whole.window([0; 3], [1, 0, 1], 0);
    assert_eq!(kind(empty), ErrorKind::Geometry);
    for n in [usize::MAX, 1 << 60] {
        let huge = whole.pad([n, 0, 0], [0; 3], 0);
        assert_eq!(kind(huge), ErrorKind::Geometry);
    }
}
