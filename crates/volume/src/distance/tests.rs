//! Compares distances with their definition.

use super::between::distances_by;
use super::*;
use crate::Geometry;

/// The definition, evaluated for every pair of voxels.
fn naive(mask: &Volume<u8>) -> Vec<f32> {
    let spacing = mask.geometry().spacing_mm();
    let indices: Vec<[usize; 3]> = {
        let mut all = Vec::new();
        Volume::from_fn(*mask.geometry(), |i| {
            all.push(i);
            0u8
        });
        all
    };
    indices
        .iter()
        .map(|p| {
            indices
                .iter()
                .filter(|&&q| mask.at(q) != 0)
                .map(|q| {
                    (0..3)
                        .map(|a| ((p[a] as f64 - q[a] as f64) * spacing[a]).powi(2))
                        .sum::<f64>()
                })
                .fold(f64::INFINITY, f64::min)
                .sqrt() as f32
        })
        .collect()
}

#[test]
fn equals_the_definition() {
    for (seed, shape, density) in [
        (1u32, [5, 7, 6], 40),
        (2, [1, 9, 8], 10),
        (3, [9, 1, 4], 20),
        (4, [6, 6, 6], 3),
        (5, [4, 3, 11], 90),
    ] {
        let geometry = Geometry::axial(shape, [2.5, 0.7, 1.3]).expect("a valid grid");
        let mut state = seed;
        let mask = Volume::from_fn(geometry, |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u8::from((state >> 16) % 100 < density)
        });
        let fast = distance_to_mask(&mask);
        for (a, b) in fast.data().iter().zip(naive(&mask)) {
            assert!(a == &b || (a - b).abs() < 1e-4, "{a} is not {b}");
        }
        let inverse = mask.map(|v| u8::from(v == 0));
        assert_eq!(distance_to_background(&inverse), fast);
    }
}

#[test]
fn without_a_target_it_is_infinitely_far() {
    let geometry = Geometry::axial([2, 3, 4], [1.0; 3]).expect("a valid grid");
    let empty = Volume::filled(0u8, geometry);
    assert!(
        distance_to_mask(&empty)
            .data()
            .iter()
            .all(|v| v.is_infinite())
    );
}

#[test]
fn between_marked_voxels_as_by_the_definition() {
    for (seed, shape, density) in [
        (1u32, [5, 7, 6], 20),
        (2, [1, 9, 8], 10),
        (3, [9, 1, 4], 30),
        (4, [7, 6, 1], 3),
    ] {
        let spacing = [5.0, 0.7, 0.9];
        let geometry = Geometry::axial(shape, spacing).expect("a valid grid");
        let mut state = seed;
        let mut marks = || {
            Volume::from_fn(geometry, |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let r = (state >> 16) % 100;
                if r < density { 1 + (r % 3) as u8 } else { 0 }
            })
        };
        let (a, b) = (marks(), marks());
        let [_, ny, nx] = shape;
        let rows = |v: &Volume<u8>| {
            let data = v.data().to_vec();
            move |z: usize, y: usize, row: &mut [u8]| {
                row.copy_from_slice(&data[(z * ny + y) * nx..][..nx]);
            }
        };
        let by =
            |effort| distances_by(effort, shape, spacing, rows(&a), rows(&b)).expect("few planes");
        let (fast, searched) = (by(0), by(1 << 20));
        for ((m, d), (n, e)) in fast.iter().zip(&searched) {
            assert!(m == n && (d == e || (d - e).abs() < 1e-12 * d), "{d} {e}");
        }
        let far = naive(&b);
        let marked = a.data().iter().zip(far).filter(|(m, _)| **m != 0);
        assert_eq!(fast.len(), marked.clone().count());
        for ((mark, distance), (m, d)) in fast.into_iter().zip(marked) {
            assert_eq!(mark, *m);
            let d = f64::from(d);
            assert!(
                distance == d || (distance - d).abs() < 1e-5 * d,
                "{distance} {d}"
            );
        }
    }
}
