//! A scan's analysis on the GPU against the same on the CPU. A software adapter suffices. Without
//! any adapter, the test reports that it was skipped.
#![cfg(feature = "wgpu")]

use multirnet_base::StopToken;
use multirnet_finding::{Prediction, ScanSource};
use multirnet_infer::{DeviceChoice, Model, ModelCard, Pipeline, PredictOptions};
use multirnet_nn::{MultiRNetConfig, weights};
use multirnet_phantom::PhantomConfig;
use multirnet_volume::{Diagnosis, Volume};

const TOLERANCE: f32 = 1e-3;

#[test]
fn findings_agree() {
    if let Err(reason) = DeviceChoice::Gpu.open() {
        eprintln!("SKIPPED, nothing was tested: {reason}");
        return;
    }
    eprintln!("on {}", DeviceChoice::Gpu.describe().unwrap());
    let cpu = DeviceChoice::Cpu.open().unwrap();
    cpu.seed(11);
    let config = MultiRNetConfig {
        channels: [2, 2, 4, 4, 4],
        class_channels: [2, 2, 4, 4, 4, 4],
        lesion_channels: 2,
        iterations: 1,
        ..MultiRNetConfig::small()
    };
    let bytes = weights::to_bytes(&config.init(&cpu), weights::Dtype::F32).unwrap();
    let bytes = ModelCard::unknown("tiny").package("tiny", &bytes).unwrap();
    let phantom = PhantomConfig::sample(4, Diagnosis::Covid19, 128)
        .with_slices(48)
        .unwrap()
        .generate()
        .unwrap();
    for pipeline in [Pipeline::Global, Pipeline::Windows] {
        let mut options = PredictOptions {
            pipeline,
            window_shape: [16, 48, 48],
            batch: 2,
            ..PredictOptions::default()
        };
        options.prepare.spacing_mm = [8.0, 4.0, 4.0];
        options.prepare.global_shape = [16, 48, 48];
        let [want, got] = DeviceChoice::ALL.map(|device| -> Prediction {
            Model::from_bytes("tiny", &bytes, device)
                .unwrap()
                .analyse(
                    &phantom.ct,
                    Some(&phantom.lungs),
                    ScanSource::default(),
                    &options,
                    &StopToken::new(),
                    &mut |_| {},
                )
                .unwrap()
        });
        close(
            "probability",
            &got.maps.probability.to_volume(),
            &want.maps.probability.to_volume(),
            0.1,
        );
        let heat = |p: &Prediction| p.maps.heatmap.as_ref().unwrap().to_volume();
        close("heat map", &heat(&got), &heat(&want), 0.5);
        let classes = |p: &Prediction| p.finding.probabilities.to_array();
        for (a, b) in classes(&got).into_iter().zip(classes(&want)) {
            assert!((a - b).abs() <= f64::from(TOLERANCE), "{pipeline}: {a} {b}");
        }
    }
}

/// Asserts that the maps agree everywhere and are not empty: somewhere they reach `least`.
fn close(what: &str, got: &Volume<f32>, want: &Volume<f32>, least: f32) {
    got.check_same_grid(want).unwrap();
    let most = want.data().iter().fold(0f32, |m, v| m.max(*v));
    assert!(most >= least, "{what} is empty: {most}");
    let pairs = got.data().iter().zip(want.data());
    let off = pairs.fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    eprintln!("{what}: off by at most {off:.1e}");
    assert!(off <= TOLERANCE, "{what}: off by {off}");
}
