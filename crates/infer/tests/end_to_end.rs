//! An untrained MultiR-Net on a phantom, through every pipeline.

use multirnet_base::StopToken;
use multirnet_finding::{Finding, ScanSource};
use multirnet_infer::{DeviceChoice, Model, ModelCard, Pipeline, PredictOptions, Stage};
use multirnet_nn::{MultiRNetConfig, weights};
use multirnet_phantom::{Phantom, PhantomConfig};
use multirnet_volume::Diagnosis;

fn predictor() -> Model {
    let device = burn::tensor::Device::flex();
    device.seed(11);
    let config = MultiRNetConfig {
        channels: [2, 2, 4, 4, 4],
        class_channels: [2, 2, 4, 4, 4, 4],
        lesion_channels: 2,
        iterations: 1,
        ..MultiRNetConfig::small()
    };
    let bytes = weights::to_bytes(&config.init(&device), weights::Dtype::F32).unwrap();
    let bytes = ModelCard::unknown("tiny").package("tiny", &bytes).unwrap();
    Model::from_bytes("tiny", &bytes, DeviceChoice::Cpu).unwrap()
}

fn phantom() -> Phantom {
    PhantomConfig::sample(4, Diagnosis::Covid19, 128)
        .with_slices(48)
        .unwrap()
        .generate()
        .unwrap()
}

fn options(pipeline: Pipeline) -> PredictOptions {
    let mut options = PredictOptions {
        pipeline,
        window_shape: [16, 48, 48],
        ..PredictOptions::default()
    };
    options.prepare.spacing_mm = [8.0, 4.0, 4.0];
    options.prepare.global_shape = [16, 48, 48];
    options
}

#[test]
fn every_pipeline_gives_a_whole_and_repeatable_finding() {
    let (predictor, phantom) = (predictor(), phantom());
    for pipeline in Pipeline::ALL {
        let options = options(pipeline);
        let mut windows = (0, 0);
        let mut run = |lungs| {
            predictor
                .analyse(
                    &phantom.ct,
                    lungs,
                    ScanSource::default(),
                    &options,
                    &StopToken::new(),
                    &mut |stage| {
                        if let Stage::Windows { done, total } = stage.stage {
                            windows = (done, total);
                        }
                    },
                )
                .unwrap()
        };
        let one = run(None);
        let two = run(None);
        let given = run(Some(&phantom.lungs));
        assert_eq!(windows.0, windows.1, "{pipeline}");
        let mut finding = one.finding;
        for map in [&one.maps.probability, one.maps.heatmap.as_ref().unwrap()] {
            let map = map.to_volume();
            map.check_same_grid(&phantom.ct).unwrap();
            assert!(map.data().iter().all(|v| (0.0..=1.0).contains(v)));
        }
        for (l, lung) in one.maps.lesions.data().iter().zip(one.maps.lungs.data()) {
            assert!(*l <= 2 && (*lung != 0 || *l == 0));
        }
        let sum: f64 = finding.probabilities.to_array().iter().sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert!(finding.involvement.both.lung_ml > 500.0);
        assert!(finding.involvement.severity_score <= 24);
        assert_eq!(finding.provenance.model, "tiny");

        assert_eq!(given.maps.lungs.data(), phantom.lungs.data());
        assert!(given.finding.source.lungs_sha256.is_some());
        assert!(finding.source.lungs_sha256.is_none());

        assert_eq!(one.maps.lesions, two.maps.lesions);
        assert_eq!(one.maps.probability, two.maps.probability);
        assert_eq!(one.maps.heatmap, two.maps.heatmap);
        finding.timings = two.finding.timings.clone();
        let json = |f: &Finding| serde_json::to_string(f).unwrap();
        assert_eq!(json(&finding), json(&two.finding));
    }
}
