//! A made-up scan with its finding.

use multirnet_finding::{
    Finding, Involvement, Maps, NOTICE, Prediction, Probabilities, Provenance, SCHEMA, ScanSource,
    Timing, ValidatedOn, involvement,
};
use multirnet_volume::{Diagnosis, Geometry, Orientation, Volume};

/// Two ellipsoid lungs in a soft-tissue block with a dense ball in the left lower lung.
pub fn scene(orientation: Orientation) -> (Volume<f32>, Prediction) {
    let grid = Geometry::axial([40, 60, 80], [5.0, 5.0, 5.0]).unwrap();
    let ball = |[z, y, x]: [usize; 3], c: [f64; 3], r: [f64; 3]| {
        let d = [z as f64 - c[0], y as f64 - c[1], x as f64 - c[2]];
        (0..3).map(|k| (d[k] / r[k]).powi(2)).sum::<f64>() <= 1.0
    };
    let lung = |p| {
        if ball(p, [20.0, 30.0, 22.0], [16.0, 18.0, 12.0]) {
            1
        } else {
            2 * u8::from(ball(p, [20.0, 30.0, 58.0], [16.0, 18.0, 12.0]))
        }
    };
    let lesion = |p| u8::from(ball(p, [12.0, 36.0, 58.0], [5.0, 5.0, 5.0]));
    let lungs = Volume::from_fn(grid, lung).reorient(orientation);
    let lesions = Volume::from_fn(grid, lesion).reorient(orientation);
    let ct = Volume::from_fn(grid, |p| match (lung(p), lesion(p)) {
        (0, _) => 40.0,
        (_, 0) => -850.0,
        _ => -100.0,
    })
    .reorient(orientation);
    let probability = lesions.map(f32::from);
    let heatmap = Some(probability.map(|v| v * 0.9));
    let measures: Involvement = involvement(&lungs, &lesions).unwrap();
    let finding = Finding {
        validated_on: ValidatedOn::default(),
        schema: SCHEMA,
        notice: NOTICE.into(),
        source: ScanSource {
            path: "somewhere/<b>scan & co</b>.nii.gz".into(),
            format: "nifti".into(),
            ..ScanSource::default()
        },
        geometry: *ct.geometry(),
        diagnosis: Diagnosis::Cap,
        probabilities: Probabilities::from_array([0.05, 0.9, 0.05]),
        involvement: measures,
        lesion_kinds: vec![],
        warnings: vec!["slices are 5 mm apart".into()],
        timings: vec![Timing {
            stage: "read".into(),
            seconds: 1.25,
        }],
        provenance: Provenance {
            version: "0.0.0".into(),
            model: "test".into(),
            model_sha256: "00".into(),
            trained_on: "nothing at all".into(),
            config_sha256: "11".into(),
            config: serde_json::json!({}),
            windows: 3,
            voxels: 3 * 32 * 96 * 96,
        },
    };
    let maps = Maps {
        lungs,
        lesions,
        probability: probability.into(),
        heatmap: heatmap.map(Into::into),
    };
    (ct, Prediction { finding, maps })
}
