//! Scores of a set of scans.

use multirnet_metrics::{
    CaseMetrics, CohortMetrics, Convention, EmptyPolicy, ErrorKind, Metric, SurfaceConfig, number,
};
use multirnet_volume::{Geometry, Volume};

fn row(values: [u8; 6]) -> Volume<u8> {
    let grid = Geometry::axial([1, 1, 6], [3.0, 4.0, 2.0]).unwrap();
    Volume::new(values.to_vec(), grid).unwrap()
}

fn case(truth: [u8; 6], predicted: [u8; 6]) -> CaseMetrics {
    CaseMetrics::from_masks(&row(truth), &row(predicted), &SurfaceConfig::default()).unwrap()
}

fn cases() -> Vec<CaseMetrics> {
    vec![
        case([1, 1, 0, 0, 1, 0], [1, 1, 0, 0, 0, 0]),
        case([0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0]),
        case([0, 0, 1, 0, 0, 0], [0; 6]),
        case([0; 6], [0; 6]),
        case([0; 6], [0, 0, 0, 1, 1, 0]),
    ]
}

#[test]
fn every_scan_is_in_exactly_one_line() {
    let cohort = CohortMetrics::from_cases(&cases(), EmptyPolicy::Worst).unwrap();
    assert_eq!(cohort.n_scans, 5);
    let dice = cohort.score(Metric::Dice).unwrap();
    assert_eq!((dice.n, dice.n_undefined, dice.n_infinite), (3, 0, 0));
    assert!((dice.mean.unwrap() - (0.8 + 1.0 + 0.0) / 3.0).abs() < 1e-12);
    let free = &cohort.false_positives;
    assert_eq!(
        (free.n, free.n_with_prediction, free.rate),
        (2, 1, Some(0.5))
    );
    assert!((free.volume_ml.mean.unwrap() - 0.024).abs() < 1e-12);
    let lesions = cohort.lesions.unwrap();
    let counts = [
        lesions.truth,
        lesions.missed,
        lesions.predicted,
        lesions.invented,
    ];
    assert_eq!(counts, [4, 2, 3, 1]);
}

#[test]
fn a_scan_without_prediction_counts_as_its_diagonal() {
    let scans = cases();
    // sqrt(3² + 4² + 12²): no distance in the scan is larger.
    assert_eq!(scans[0].diagonal_mm, 13.0);
    let of = |policy| CohortMetrics::from_cases(&scans, policy).unwrap();
    let asd = |policy| of(policy).score(Metric::Asd).unwrap().clone();
    let (worst, skip) = (asd(EmptyPolicy::Worst), asd(EmptyPolicy::Skip));
    assert_eq!((worst.n_undefined, worst.n_infinite), (1, 0));
    assert_eq!(worst.max, Some(13.0));
    let kept = skip.mean.unwrap() * 2.0;
    assert!((worst.mean.unwrap() - (kept + 13.0) / 3.0).abs() < 1e-12);
    assert_eq!(asd(EmptyPolicy::Propagate).mean, None);
    let pooled = of(EmptyPolicy::Propagate);
    let pooled = pooled.score(Metric::AsdPooled).unwrap();
    assert_eq!((pooled.n_infinite, pooled.mean), (1, Some(f64::INFINITY)));
    assert_eq!(number::text(pooled.mean, 2), "infinite");
}

#[test]
fn json_has_words_for_undefined_and_infinite_values() {
    let cohort = CohortMetrics::from_cases(&cases(), EmptyPolicy::Propagate).unwrap();
    let json = serde_json::to_value(&cohort).unwrap();
    assert_eq!(json["surface"]["convention"], "area");
    assert_eq!(json["scores"][0]["metric"], "asd");
    assert_eq!(json["scores"][0]["mean"], "undefined");
    assert_eq!(json["scores"][9]["metric"], "hausdorff");
    assert_eq!(json["scores"][9]["mean"], "infinite");
    let read: CohortMetrics = serde_json::from_value(json).unwrap();
    assert_eq!(read, cohort);
}

#[test]
fn conventions_do_not_mix() {
    let voxels = SurfaceConfig {
        convention: Convention::Voxel6,
        ..SurfaceConfig::default()
    };
    let mask = row([0, 1, 0, 0, 0, 0]);
    let other = CaseMetrics::from_masks(&mask, &mask, &voxels).unwrap();
    let error =
        CohortMetrics::from_cases(&[cases()[0].clone(), other], EmptyPolicy::Skip).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.to_string().contains("voxel-6"), "{error}");
    assert_eq!(
        CohortMetrics::from_cases(&[], EmptyPolicy::Skip)
            .unwrap_err()
            .kind(),
        ErrorKind::Empty
    );
    let bad = SurfaceConfig {
        tolerance_mm: f64::NAN,
        ..voxels
    };
    let error = CaseMetrics::from_masks(&mask, &mask, &bad).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
