//! How the pipelines join the network's outputs.

mod common;

use common::{case, grid, options, predict, predictor, seeing};
use multirnet_base::StopToken;
use multirnet_finding::Probabilities;
use multirnet_finding::{Finding, LesionKind, NOTICE, Prediction, SCHEMA, ScanSource};
use multirnet_infer::{Pipeline, PredictOptions, Tile, WindowOutput};
use multirnet_volume::content_sha256;
use multirnet_volume::{Diagnosis, Orientation};
use serde_json::Value;

fn with(pipeline: Pipeline) -> PredictOptions {
    PredictOptions {
        pipeline,
        ..options()
    }
}

fn sick() -> common::Case {
    case(grid(Orientation::CANONICAL), true)
}

fn close(a: [f64; 3], b: [f64; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

/// Whether two values are equal, apart from the last digit of numbers, which JSON may lose.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-12 * a.abs()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| alike(v, w)))
        }
        _ => a == b,
    }
}

#[test]
fn cascade_spends_windows_on_lesions_and_thorough_on_the_lungs() {
    let predictor = seeing();
    let count = |options: &PredictOptions, sick: bool| {
        let case = case(grid(Orientation::CANONICAL), sick);
        predict(&predictor, &case, options)
            .finding
            .provenance
            .windows
    };
    let cascade = with(Pipeline::Cascade);
    let thorough = PredictOptions {
        thorough: true,
        ..cascade.clone()
    };
    assert_eq!(count(&cascade, false), 1);
    let (few, all) = (count(&cascade, true), count(&with(Pipeline::Windows), true));
    assert!(few > 1 && few < all, "{few} {all}");
    assert!(count(&thorough, true) > few);
    assert!(count(&thorough, false) > 1);
    assert_eq!(count(&with(Pipeline::Global), true), 1);
    let dense = PredictOptions {
        overlap: 0.7,
        ..with(Pipeline::Windows)
    };
    assert!(count(&dense, true) > all);
}

#[test]
fn classes_are_joined_as_documented() {
    // The global view gives CAP, windows with a lesion COVID-19, and windows without one normal.
    let predictor = predictor(1, |window, shape| {
        let lesion: Vec<f32> = window
            .iter()
            .map(|&v| if v > 0.4 { 0.9 } else { 0.1 })
            .collect();
        let any = lesion.iter().any(|&p| p > 0.5);
        let probabilities = match (shape == [16, 32, 48], any) {
            (true, _) => [0.2, 0.7, 0.1],
            (_, true) => [0.0, 0.2, 0.8],
            (_, false) => [1.0, 0.0, 0.0],
        };
        WindowOutput {
            lesion,
            probabilities: Probabilities::from_array(probabilities),
            cams: None,
        }
    });
    let classes = |options: &PredictOptions, sick: bool| {
        let case = case(grid(Orientation::CANONICAL), sick);
        predict(&predictor, &case, options).finding
    };
    let finding = classes(&with(Pipeline::Global), true);
    assert!(close(finding.probabilities.to_array(), [0.2, 0.7, 0.1]));
    assert_eq!(finding.diagnosis, Diagnosis::Cap);
    let finding = classes(&with(Pipeline::Windows), true);
    assert!(close(finding.probabilities.to_array(), [0.0, 0.2, 0.8]));
    let finding = classes(&with(Pipeline::Windows), false);
    assert!(close(finding.probabilities.to_array(), [1.0, 0.0, 0.0]));
    let finding = classes(&with(Pipeline::Cascade), true);
    assert!(close(finding.probabilities.to_array(), [0.1, 0.45, 0.45]));
    let text = finding.warnings.join("\n");
    assert!(text.contains("uncertain") && text.contains("CAP") && text.contains("COVID-19"));
    assert!(text.contains("only 0.45"), "{text}");
    let options = PredictOptions {
        local_class_weight: 1.0,
        ..with(Pipeline::Cascade)
    };
    let finding = classes(&options, true);
    assert!(close(finding.probabilities.to_array(), [0.0, 0.2, 0.8]));
    let finding = classes(&options, false);
    assert!(
        close(finding.probabilities.to_array(), [0.2, 0.7, 0.1]),
        "no lesion: global only"
    );
}

#[test]
fn a_scan_without_lesion_has_empty_maps() {
    for pipeline in Pipeline::ALL {
        let case = case(grid(Orientation::CANONICAL), false);
        let Prediction { finding, maps } = predict(&seeing(), &case, &with(pipeline));
        assert!(maps.lesions.data().iter().all(|&v| v == 0));
        assert_eq!(finding.diagnosis, Diagnosis::Normal);
        assert_eq!(finding.involvement.severity_score, 0);
        assert_eq!(finding.involvement.both.lesion_ml, 0.0);
        assert!(finding.involvement.both.lung_ml > 1000.0);
        // Class 0's map is 0 in this network.
        assert!(
            maps.heatmap
                .unwrap()
                .to_volume()
                .data()
                .iter()
                .all(|&v| v == 0.0)
        );
        assert!(
            finding
                .warnings
                .iter()
                .any(|w| w.contains("heat map is empty"))
        );
    }
}

#[test]
fn lesions_outside_the_lungs_are_kept_only_on_demand() {
    // The network calls everything lesion, but outside the lungs nothing counts as lesion.
    let predictor = predictor(1, |window, _| WindowOutput {
        lesion: vec![0.9; window.len()],
        probabilities: Probabilities::from_array([0.0, 0.0, 1.0]),
        cams: None,
    });
    let case = sick();
    let maps = predict(&predictor, &case, &options()).maps;
    for ((l, p), lung) in maps
        .lesions
        .data()
        .iter()
        .zip(maps.probability.to_volume().data())
        .zip(case.lungs.data())
    {
        assert_eq!(*l, u8::from(*lung != 0));
        assert_eq!(*p > 0.0, *lung != 0);
    }
    let count = |options: PredictOptions| {
        let finding = predict(&predictor, &case, &options);
        finding
            .maps
            .lesions
            .data()
            .iter()
            .filter(|v| **v != 0)
            .count()
    };
    let strict = count(options());
    let margin = count(PredictOptions {
        lung_margin_mm: 3.0,
        ..options()
    });
    let free = count(PredictOptions {
        restrict_to_lungs: false,
        ..options()
    });
    assert!(strict < margin && margin < free, "{strict} {margin} {free}");
}

#[test]
fn two_channels_become_two_labels() {
    let predictor = predictor(2, |window, _| {
        let ggo = window.iter().map(|&v| if v > 0.4 { 0.6 } else { 0.1 });
        let dense = window.iter().map(|&v| if v > 0.6 { 0.9 } else { 0.0 });
        WindowOutput {
            lesion: ggo.chain(dense).collect(),
            probabilities: Probabilities::from_array([0.0, 1.0, 0.0]),
            cams: None,
        }
    });
    let mut case = sick();
    let mut want = case.lesions.clone();
    for (i, v) in case.scan.data_mut().iter_mut().enumerate() {
        if *v == common::LESION {
            *v = if i % 80 < 60 { 0.5 } else { 0.7 };
            want.data_mut()[i] = if i % 80 < 60 { 1 } else { 2 };
        }
    }
    for pipeline in [Pipeline::Windows, Pipeline::Cascade] {
        let Prediction { finding, maps } = predict(&predictor, &case, &with(pipeline));
        assert_eq!(maps.lesions.data(), want.data());
        let ml = want.geometry().voxel_mm3() / 1000.0;
        let mut sum = 0.0;
        for (found, kind) in finding.lesion_kinds.iter().zip(LesionKind::ALL) {
            let voxels = want.data().iter().filter(|&&v| v == kind.value()).count();
            assert_eq!(found.kind, kind);
            assert!((found.lesion_ml - voxels as f64 * ml).abs() < 1e-9);
            // The lesion lies in the left lung.
            assert!(found.right_fraction == 0.0 && found.left_fraction > found.fraction);
            sum += found.lesion_ml;
        }
        assert!((finding.involvement.both.lesion_ml - sum).abs() < 1e-9);
        assert!(want.data().contains(&1) && want.data().contains(&2));
        let p =
            maps.probability.to_volume().data()[want.data().iter().position(|&v| v == 2).unwrap()];
        assert!((p - 0.9).abs() < 1e-5);
    }
}

#[test]
fn results_do_not_depend_on_batch_or_thread() {
    let predictor = seeing();
    let case = sick();
    let one = predict(&predictor, &case, &options());
    let two = predict(
        &predictor,
        &case,
        &PredictOptions {
            batch: 3,
            ..options()
        },
    );
    assert_eq!(one.maps.probability, two.maps.probability);
    std::thread::scope(|scope| {
        let run = || predict(&predictor, &case, &options());
        for handle in [scope.spawn(run), scope.spawn(run)] {
            let other = handle.join().unwrap();
            assert_eq!(one.maps.probability, other.maps.probability);
            assert_eq!(one.maps.heatmap, other.maps.heatmap);
            assert_eq!(one.finding.probabilities, other.finding.probabilities);
        }
    });
}

#[test]
fn tiles_say_what_windows_say() {
    // This network's probability of a voxel depends on that voxel alone, so tiles may change
    // nothing.
    let predictor = seeing();
    for orientation in Orientation::all().into_iter().step_by(11) {
        let case = case(grid(orientation), true);
        for pipeline in [Pipeline::Windows, Pipeline::Cascade] {
            for thorough in [false, true] {
                let options = PredictOptions {
                    thorough,
                    explain: false,
                    overlap: 0.5,
                    halo: [2, 4, 4],
                    ..with(pipeline)
                };
                let windows = predict(&predictor, &case, &options);
                let voxels = windows.finding.provenance.voxels;
                for tile in [
                    Tile::Auto,
                    Tile::Shape([16, 32, 32]),
                    Tile::Shape([32, 64, 48]),
                    // This shape is larger than the lungs' box.
                    Tile::Shape([64, 96, 128]),
                ] {
                    let options = PredictOptions {
                        tile,
                        ..options.clone()
                    };
                    let tiles = predict(&predictor, &case, &options);
                    assert_eq!(tiles.maps.lesions, windows.maps.lesions, "{tile}");
                    let pairs = [&tiles, &windows].map(|p| p.maps.probability.to_volume());
                    let values = pairs[0].data().iter().zip(pairs[1].data());
                    for ((a, b), lesion) in values.zip(windows.maps.lesions.data()) {
                        // Tiles and windows of a cascade fade into the coarse map at different
                        // places, but never within a lesion.
                        let fades = pipeline == Pipeline::Cascade && *lesion == 0;
                        assert!(fades || (a - b).abs() < 1e-5, "{tile}: {a} {b}");
                    }
                    let [a, b] = [&tiles, &windows].map(|p| p.finding.probabilities.to_array());
                    assert!(close(a, b), "{tile}: {a:?} {b:?}");
                    let fewer = tiles.finding.provenance.voxels;
                    assert!(tile != Tile::Auto || fewer <= voxels, "{fewer} {voxels}");
                }
            }
        }
    }
}

#[test]
fn the_finding_tells_its_origin_and_survives_json() {
    let case = sick();
    let source = ScanSource {
        path: "scan.nii.gz".to_owned(),
        format: "nifti".to_owned(),
        warnings: vec!["It was read with one eye closed.".to_owned()],
        ..ScanSource::default()
    };
    let mut stages = Vec::new();
    let options = with(Pipeline::Cascade);
    let prediction = seeing()
        .analyse(
            &case.scan,
            Some(&case.lungs),
            source,
            &options,
            &StopToken::new(),
            &mut |s| {
                stages.push(s.stage.name());
            },
        )
        .unwrap();
    stages.dedup();
    assert_eq!(
        stages,
        ["hash", "prepare", "global", "windows", "restore", "measure"]
    );
    let finding = prediction.finding;
    let timed: Vec<&str> = finding.timings.iter().map(|t| t.stage.as_str()).collect();
    assert_eq!(timed, stages);
    assert_eq!(finding.schema, SCHEMA);
    assert_eq!(finding.notice, NOTICE);
    assert_eq!(finding.source.content_sha256, content_sha256(&case.scan));
    assert_eq!(
        finding.source.lungs_sha256,
        Some(content_sha256(&case.lungs))
    );
    assert!(finding.warnings[0].contains("one eye"));
    assert_eq!(finding.provenance.model, "fake");
    assert_eq!(finding.provenance.version, env!("CARGO_PKG_VERSION"));
    let used: PredictOptions = serde_json::from_value(finding.provenance.config.clone()).unwrap();
    assert_eq!(used, options);

    let text = serde_json::to_string_pretty(&finding).unwrap();
    assert!(!text.contains("lesion_kinds"), "the model knows one kind");
    let back: Finding = serde_json::from_str(&text).unwrap();
    assert!(alike(
        &serde_json::to_value(&back).unwrap(),
        &serde_json::to_value(&finding).unwrap()
    ));
    for key in [
        "schema",
        "notice",
        "diagnosis",
        "probabilities",
        "involvement",
        "provenance",
    ] {
        assert!(text.contains(&format!("\"{key}\"")), "{key}");
    }

    let other = PredictOptions {
        threshold: 0.4,
        ..options
    };
    let second = predict(&seeing(), &case, &other).finding.provenance;
    assert_ne!(second.config_sha256, finding.provenance.config_sha256);
}

/// A temperature changes how sure the result is. If the threshold moves with it, the lesions stay where they are, but for
/// the interpolation at their border.
#[test]
fn temperatures_change_probabilities_and_not_lesions() {
    let (predictor, case) = (seeing(), sick());
    for pipeline in Pipeline::ALL {
        let plain = PredictOptions {
            complete_consolidation: false,
            ..with(pipeline)
        };
        let odds = f64::from(plain.threshold / (1.0 - plain.threshold)).sqrt();
        let warm = PredictOptions {
            lesion_temperature: 2.0,
            class_temperature: 2.0,
            threshold: (odds / (1.0 + odds)) as f32,
            ..plain.clone()
        };
        let [a, b] = [&plain, &warm].map(|options| predict(&predictor, &case, options));
        let lesions = [&a, &b].map(|p| p.maps.lesions.data().to_vec());
        let marked = lesions[0].iter().filter(|l| **l != 0).count();
        let other = lesions[0].iter().zip(&lesions[1]).filter(|(a, b)| a != b);
        let other = other.count();
        assert!(
            marked > 0 && 20 * other <= marked,
            "{pipeline}: {other} of {marked}"
        );
        let [p, q] = [&a, &b].map(|p| p.finding.probabilities.to_array());
        let roots = p.map(f64::sqrt);
        let sum: f64 = roots.iter().sum();
        assert!(close(q, roots.map(|r| r / sum)), "{pipeline}: {p:?} {q:?}");
        assert_eq!(a.finding.diagnosis, b.finding.diagnosis);
        let most = |p: &Prediction| {
            let map = p.maps.probability.to_volume();
            map.data().iter().copied().fold(0.0, f32::max)
        };
        let (cold, warm) = (f64::from(most(&a)), f64::from(most(&b)));
        let root = (cold / (1.0 - cold)).sqrt();
        assert!(
            (warm - root / (1.0 + root)).abs() < 1e-4,
            "{pipeline}: {cold} {warm}"
        );
    }
}
