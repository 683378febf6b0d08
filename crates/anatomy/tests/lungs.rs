//! The lung mask on phantoms: against the truth, in all orientations, with all kinds of padding.

mod common;

use common::{dice, normal, phantom};
use multirnet_anatomy::{LungConfig, segment_lungs};
use multirnet_volume::{Diagnosis, Orientation, Volume};

fn segment(scan: &Volume<f32>) -> Volume<u8> {
    segment_lungs(scan, &LungConfig::default()).expect("a chest with lungs")
}

/// The share of the phantom's lesions that lies within the mask.
fn lesions_inside(phantom: &multirnet_phantom::Phantom, lungs: &Volume<u8>) -> f64 {
    let lesion = || {
        let pairs = phantom.lesions.data().iter().zip(lungs.data());
        pairs.filter(|(l, _)| **l != 0)
    };
    let inside = lesion().filter(|(_, m)| **m != 0).count();
    inside as f64 / lesion().count().max(1) as f64
}

#[test]
fn each_lung_is_found_with_its_lesions() {
    for (seed, class) in [
        (0, Diagnosis::Normal),
        (3, Diagnosis::Normal),
        (8, Diagnosis::Covid19),
        (11, Diagnosis::Covid19),
        (13, Diagnosis::Cap),
    ] {
        let phantom = phantom(seed, class, 128);
        let lungs = segment(&phantom.ct);
        for label in [1, 2] {
            let dice = dice(&lungs, &phantom.lungs, label);
            assert!(
                dice >= 0.95,
                "seed {seed} {class}, lung {label}: Dice {dice}"
            );
        }
        let share = lesions_inside(&phantom, &lungs);
        assert!(
            class == Diagnosis::Normal || share > 0.97,
            "seed {seed} {class}: {share} of the lesions are within the mask"
        );
    }
}

/// A normal phantom with 11 cm of airless consolidation at the back of one lung, which closing
/// cannot reach.
#[test]
fn a_consolidated_lobe_is_mostly_found_by_the_other_lung() {
    let phantom = phantom(9, Diagnosis::Normal, 128);
    let spacing = phantom.ct.geometry().spacing_mm();
    for side in [1u8, 2] {
        let own: Vec<usize> = (0..phantom.lungs.data().len())
            .filter(|&i| phantom.lungs.data()[i] == side)
            .collect();
        let [_, ny, nx] = phantom.lungs.shape();
        let index = |i: usize| [i / (ny * nx), i / nx % ny, i % nx];
        let centre: [f64; 3] = std::array::from_fn(|a| {
            own.iter().map(|&i| index(i)[a] as f64).sum::<f64>() / own.len() as f64
        });
        let mut scan = phantom.ct.clone();
        let mut truth = phantom.lungs.map(|_| 0u8);
        for &i in &own {
            // Behind the lung's middle and at about its height.
            let at = index(i);
            let mm = |a: usize, shift: f64| (at[a] as f64 - centre[a]) * spacing[a] + shift;
            if mm(0, -10.0).powi(2) + mm(1, -60.0).powi(2) + mm(2, 0.0).powi(2) < 55f64.powi(2) {
                scan.data_mut()[i] = 35.0;
                truth.data_mut()[i] = 1;
            }
        }
        let found = |mirror: bool| {
            let config = LungConfig {
                mirror,
                ..LungConfig::default()
            };
            let lungs = segment_lungs(&scan, &config).expect("a chest with lungs");
            let lesion = || {
                truth
                    .data()
                    .iter()
                    .zip(lungs.data())
                    .filter(|(t, _)| **t != 0)
            };
            let inside = lesion().filter(|(_, l)| **l == side).count() as f64;
            (
                inside / lesion().count() as f64,
                dice(&lungs, &phantom.lungs, side),
            )
        };
        let ((without, _), (with, dice)) = (found(false), found(true));
        assert!(
            with > 0.7 && without < 0.5,
            "side {side}: {with} with the mirror, {without} without"
        );
        assert!(dice > 0.94, "side {side}: Dice {dice}");
    }
}

#[test]
fn left_and_right_follow_the_patient_in_all_orientations() {
    let phantom = normal();
    let reference = segment(&phantom.ct);
    let own = phantom.ct.geometry().orientation();
    for orientation in Orientation::all() {
        let turned = segment(&phantom.ct.reorient(orientation));
        assert_eq!(turned.geometry().orientation(), orientation);
        let back = turned.reorient(own);
        for label in [1, 2] {
            let dice = dice(&back, &reference, label);
            assert!(dice > 0.995, "{orientation:?}, lung {label}: Dice {dice}");
        }
    }
}

#[test]
fn padding_outside_the_field_of_view_is_air() {
    let phantom = normal();
    let reference = segment(&phantom.ct);
    let [_, ny, nx] = phantom.ct.shape();
    for padding in [-1024.0, -2000.0, -3024.0, -32768.0] {
        let mut scan = phantom.ct.clone();
        for (i, v) in scan.data_mut().iter_mut().enumerate() {
            let (y, x) = (i / nx % ny, i % nx);
            let off = |p: usize, n: usize| (p as f64 + 0.5) / n as f64 - 0.5;
            if off(y, ny).hypot(off(x, nx)) > 0.5 {
                *v = padding;
            }
        }
        let lungs = segment(&scan);
        for label in [1, 2] {
            let dice = dice(&lungs, &reference, label);
            assert!(dice > 0.99, "padding {padding}, lung {label}: Dice {dice}");
        }
    }
}

#[test]
fn lungs_that_touch_are_parted() {
    // The thinnest anterior junction: a bridge joins the two lungs.
    let phantom = normal();
    let mut scan = phantom.ct.clone();
    let [nz, ny, nx] = scan.shape();
    let edge = |label: u8, z: usize, y: usize| -> Option<(usize, usize)> {
        let row = |x: usize| phantom.lungs.at([z, y, x]) == label;
        let first = (0..nx).find(|&x| row(x))?;
        let last = (0..nx).rev().find(|&x| row(x))?;
        Some((first, last))
    };
    for z in nz / 2..nz / 2 + 4 {
        for y in 0..ny {
            if let (Some((_, from)), Some((to, _))) = (edge(1, z, y), edge(2, z, y)) {
                for x in from..=to {
                    let at = scan.offset([z, y, x]);
                    if y % 2 == 0 && scan.data()[at] < 150.0 && to - from < nx / 6 {
                        scan.data_mut()[at] = -700.0;
                    }
                }
            }
        }
    }
    let lungs = segment(&scan);
    for label in [1, 2] {
        let dice = dice(&lungs, &phantom.lungs, label);
        assert!(dice > 0.93, "lung {label}: Dice {dice}");
    }
}

#[test]
fn nonsense_in_the_configuration_is_refused() {
    let scan = normal().ct;
    for config in [
        LungConfig {
            air_hu: 100.0,
            ..LungConfig::default()
        },
        LungConfig {
            coarse_mm: 0.0,
            ..LungConfig::default()
        },
        LungConfig {
            closing_mm: f64::NAN,
            ..LungConfig::default()
        },
        LungConfig {
            border_hu: -900.0,
            ..LungConfig::default()
        },
    ] {
        let error = segment_lungs(&scan, &config).expect_err("a bad value");
        assert_eq!(error.kind(), multirnet_anatomy::ErrorKind::Config);
    }
}
