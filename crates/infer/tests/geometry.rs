//! Maps on the scan's own grid lie where the scan shows the lesions.

mod common;

use common::{case, dice, grid, options, predict, predictor, seeing};
use multirnet_finding::Probabilities;
use multirnet_infer::{Pipeline, PredictOptions, WindowOutput};
use multirnet_volume::{Geometry, Orientation, Volume};

#[test]
fn lesions_land_on_the_voxel_in_all_orientations_of_an_oblique_grid() {
    let predictor = seeing();
    for orientation in Orientation::all() {
        let case = case(grid(orientation), true);
        for pipeline in [Pipeline::Windows, Pipeline::Cascade] {
            let prediction = predict(
                &predictor,
                &case,
                &PredictOptions {
                    pipeline,
                    ..options()
                },
            );
            assert_eq!(
                prediction.maps.lesions.data(),
                case.lesions.data(),
                "{pipeline} {orientation:?}"
            );
            assert_eq!(prediction.maps.lesions.geometry(), case.scan.geometry());
            let involved = &prediction.finding.involvement;
            assert_eq!(involved.right.lesion_ml, 0.0, "{orientation:?}");
            assert!(involved.zones[5].lesion_ml > 0.9 * involved.both.lesion_ml);
            assert!(involved.severity_score >= 1);
        }
    }
}

#[test]
fn lesions_land_when_every_view_is_interpolated() {
    let predictor = seeing();
    for orientation in Orientation::all().into_iter().step_by(7) {
        let case = case(grid(orientation), true);
        for (pipeline, least) in [
            (Pipeline::Windows, 0.93),
            (Pipeline::Cascade, 0.93),
            (Pipeline::Global, 0.8),
        ] {
            let mut options = PredictOptions {
                pipeline,
                ..options()
            };
            options.prepare.spacing_mm = [3.7, 2.1, 2.3];
            let prediction = predict(&predictor, &case, &options);
            let dice = dice(&prediction.maps.lesions, &case.lesions);
            assert!(dice > least, "{pipeline} {orientation:?}: {dice}");
        }
    }
}

#[test]
fn the_heat_map_points_to_the_patients_left_in_all_orientations() {
    let predictor = seeing();
    for orientation in Orientation::all() {
        let case = case(grid(orientation), true);
        for pipeline in Pipeline::ALL {
            let options = PredictOptions {
                pipeline,
                ..options()
            };
            let heat = predict(&predictor, &case, &options)
                .maps
                .heatmap
                .unwrap()
                .to_volume();
            let g = *heat.geometry();
            let mut centre = 0.0;
            let mut sum = 0.0;
            let middle = g.index_to_world(g.shape().map(|n| (n as f64 - 1.0) / 2.0))[0];
            let [_, ny, nx] = g.shape();
            for (i, &v) in heat.data().iter().enumerate() {
                assert!((0.0..=1.0).contains(&v));
                let at = [i / (ny * nx), i / nx % ny, i % nx].map(|i| i as f64);
                centre += f64::from(v) * (g.index_to_world(at)[0] - middle);
                sum += f64::from(v);
            }
            let top = heat.data().iter().copied().fold(0.0, f32::max);
            assert_eq!(top, 1.0, "{pipeline}");
            // In the pipeline `windows` each window points to its own left, so only the sum leans
            // to the left.
            let least = if pipeline == Pipeline::Windows {
                2.0
            } else {
                20.0
            };
            assert!(
                centre / sum > least,
                "{pipeline} {orientation:?}: {}",
                centre / sum
            );
        }
    }
}

#[test]
fn fine_windows_fade_into_the_coarse_map() {
    // The coarse view gives 0.3 everywhere and windows give 0.4. Between them nothing may jump.
    let predictor = predictor(1, |window, shape| {
        let p = if shape == [16, 32, 48] { 0.3 } else { 0.4 };
        let bright = window.iter().map(|&v| if v > 0.5 { 0.9 } else { p });
        WindowOutput {
            lesion: bright.collect(),
            probabilities: Probabilities::from_array([1.0, 0.0, 0.0]),
            cams: None,
        }
    });
    let case = case(grid(Orientation::CANONICAL), true);
    let mut options = PredictOptions {
        restrict_to_lungs: false,
        coarse_threshold: 0.5,
        window_shape: [16, 16, 16],
        ..options()
    };
    options.prepare.spacing_mm = [1.5, 1.5, 1.5];
    let probability = predict(&predictor, &case, &options)
        .maps
        .probability
        .to_volume();
    let [nz, ny, nx] = probability.shape();
    let calm = |v: f32| (0.29..0.41).contains(&v);
    let (mut low, mut high) = (0, 0);
    for z in 0..nz {
        for y in 0..ny {
            for x in 1..nx {
                let (a, b) = (probability.at([z, y, x - 1]), probability.at([z, y, x]));
                if calm(a) && calm(b) {
                    // 3 mm steps over a fade of 2 * 6 mm from 0.3 to 0.4.
                    assert!((a - b).abs() < 0.06, "{a} {b} at {z} {y} {x}");
                    low += usize::from(a < 0.31);
                    high += usize::from(a > 0.39);
                }
            }
        }
    }
    assert!(low > 500 && high > 500, "{low} {high}");
}

#[test]
fn constants_and_ramps_survive_every_pipeline() {
    // This network returns its own input, so the map must be the scan.
    let predictor = predictor(1, |window, _| WindowOutput {
        lesion: window.to_vec(),
        probabilities: Probabilities::from_array([1.0, 0.0, 0.0]),
        cams: None,
    });
    let geometry = grid(Orientation::CANONICAL);
    let mut case = case(geometry, false);
    case.scan = Volume::from_fn(geometry, |[z, y, x]| {
        0.1 + 0.005 * z as f32 + 0.004 * y as f32 + 0.003 * x as f32
    });
    for pipeline in Pipeline::ALL {
        for thorough in [false, true] {
            let options = PredictOptions {
                pipeline,
                thorough,
                coarse_threshold: 0.45,
                ..options()
            };
            let map = predict(&predictor, &case, &options)
                .maps
                .probability
                .to_volume();
            for ((p, want), lung) in map
                .data()
                .iter()
                .zip(case.scan.data())
                .zip(case.lungs.data())
            {
                let want = if *lung == 0 { 0.0 } else { *want };
                assert!((p - want).abs() < 2e-5, "{pipeline}: {p} {want}");
            }
        }
    }
}

#[test]
fn lungs_smaller_than_a_window_work() {
    let geometry = Geometry::axial([10, 12, 14], [5.0, 3.0, 3.0]).unwrap();
    let lung = |[z, y, x]: [usize; 3]| {
        (3..7).contains(&z) && (4..9).contains(&y) && (3..11).contains(&x) && x != 7
    };
    let ill = |i: [usize; 3]| i[0] == 4 && (5..7).contains(&i[1]) && i[2] == 9;
    let case = common::Case {
        scan: Volume::from_fn(geometry, |i| if ill(i) { common::LESION } else { 0.15 }),
        lungs: Volume::from_fn(geometry, |i| u8::from(lung(i)) * (1 + u8::from(i[2] > 7))),
        lesions: Volume::from_fn(geometry, |i| u8::from(ill(i))),
    };
    for pipeline in [Pipeline::Windows, Pipeline::Cascade] {
        let options = PredictOptions {
            pipeline,
            coarse_threshold: 0.01,
            ..options()
        };
        let prediction = predict(&seeing(), &case, &options);
        assert_eq!(
            prediction.maps.lesions.data(),
            case.lesions.data(),
            "{pipeline}"
        );
    }
}
