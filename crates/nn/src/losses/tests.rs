//! Losses against values that were computed by hand.

use super::terms::{FLOOR, edge_of};
use super::*;
use crate::ErrorKind;
use crate::nets::Pass;
use burn::tensor::Device;

// TP = 1.2, FN = 0.2 + 0.6 = 0.8, FP = 0.1 + 0.2 = 0.3
const P: [f32; 4] = [0.8, 0.4, 0.1, 0.2];
const G: [f32; 4] = [1.0, 1.0, 0.0, 0.0];
// 1 − (2·1.2 + 1) / (2·1.2 + 0.8 + 0.3 + 1) = 1 − 3.4 / 4.5
const DICE: f32 = 0.244_444_44;
// 1 − (1.2 + 1) / (1.2 + 0.7·0.8 + 0.3·0.3 + 1) = 1 − 2.2 / 2.85
const TVERSKY: f32 = 0.228_070_18;
// 0.22807018^0.9 = exp(0.9 · −1.4781018)
const FOCAL: f32 = 0.264_400_2;
// ln(e² + e + 1) − 2 and ln 3
const CE: [f32; 2] = [0.407_605_96, 1.098_612_3];

fn map(values: [f32; 4]) -> Tensor<5> {
    Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, 1, 1, 2, 2])
}

fn output(lesions: &[[f32; 4]], logits: Option<[f32; 3]>) -> Output {
    let logits = logits.map(|l| Tensor::<2>::from_floats([l], &Device::flex()));
    let pass = |l: &[f32; 4]| Pass {
        lesion: map(*l),
        class_logits: logits.clone(),
        class_features: None,
        bottleneck: map(*l),
    };
    Output {
        passes: lesions.iter().map(pass).collect(),
    }
}

/// A truth of lesions; all windows are normal.
fn lesions(lesion: Tensor<5>) -> Truth {
    let classes = Tensor::zeros([lesion.dims()[0]], &lesion.device());
    Truth::known(lesion, classes)
}

fn classes<const N: usize>(classes: [i64; N]) -> Tensor<1, Int> {
    Tensor::from_data(classes, &Device::flex())
}

fn segmentation(config: &LossConfig) -> f32 {
    config.segmentation(map(P), &lesions(map(G))).into_scalar()
}

#[track_caller]
fn close(got: f32, want: f32) {
    assert!((got - want).abs() < 2e-6, "got {got}, want {want}");
}

fn of(segmentation_loss: SegmentationLoss) -> LossConfig {
    LossConfig {
        segmentation_loss,
        ..LossConfig::paper()
    }
}

#[test]
fn segmentation_losses_by_hand() {
    close(segmentation(&of(SegmentationLoss::Dice)), DICE);
    close(segmentation(&of(SegmentationLoss::Tversky)), TVERSKY);
    close(segmentation(&of(SegmentationLoss::FocalTversky)), FOCAL);
}

#[test]
fn alpha_weighs_misses_and_beta_false_alarms() {
    let tversky = |alpha, beta| {
        segmentation(&LossConfig {
            alpha,
            beta,
            ..of(SegmentationLoss::Tversky)
        })
    };
    // 1 − 2.2 / (2.2 + 0.8α + 0.3β)
    close(tversky(0.3, 0.7), 1.0 - 2.2 / 2.65);
    close(tversky(1.0, 0.0), 1.0 - 2.2 / 3.0);
    close(tversky(0.0, 1.0), 1.0 - 2.2 / 2.5);
}

#[test]
fn exponent_changes_the_focal_loss_and_gamma_is_its_inverse() {
    let loss = |config: LossConfig| segmentation(&config);
    close(LossConfig::from_gamma(2.0).exponent as f32, 0.5);
    let focal = |gamma| LossConfig {
        cross_entropy: 0.0,
        ..LossConfig::from_gamma(gamma)
    };
    close(loss(focal(2.0)), TVERSKY.sqrt());
    close(loss(focal(1.0)), TVERSKY);
}

#[test]
fn perfect_and_empty_masks_have_a_finite_loss_and_slope() {
    let device = Device::flex().autodiff();
    let truth = Tensor::<5>::from_data(map(G).into_data(), &device);
    let p = truth.clone().require_grad();
    let loss = LossConfig::paper().segmentation(p.clone(), &lesions(truth));
    close(loss.clone().into_scalar(), FLOOR.powf(0.9) as f32);
    let grads = loss.backward();
    let slope = p.grad(&grads).unwrap();
    assert!(slope.into_data().iter::<f32>().all(f32::is_finite));

    let empty = LossConfig::paper().segmentation(map([0.0; 4]), &lesions(map([0.0; 4])));
    close(empty.into_scalar(), FLOOR.powf(0.9) as f32);
}

#[test]
fn mean_over_windows_and_channels_not_over_their_voxels_together() {
    let cat = |a, b, dim| Tensor::cat(vec![map(a), map(b)], dim);
    for dim in [0, 1] {
        let config = LossConfig {
            union_weight: 0.0,
            ..of(SegmentationLoss::Tversky)
        };
        let truth = lesions(cat(G, [1.0; 4], dim));
        let loss = config.segmentation(cat(P, [0.0; 4], dim), &truth);
        // The second: TP = 0, FN = 4 → 1 − 1 / (0.7·4 + 1)
        close(loss.into_scalar(), (TVERSKY + 1.0 - 1.0 / 3.8) / 2.0);
    }
}

#[test]
fn cross_entropy_by_hand_and_class_weights() {
    let logits = || Tensor::<2>::from_floats([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]], &Device::flex());
    let mut truth = Truth::known(map([0.0; 4]), classes([0, 2]));
    truth.knows_class = vec![true; 2];
    let loss = |config: &LossConfig, truth: &Truth| -> f32 {
        config.classification(logits(), truth).into_scalar()
    };
    close(loss(&LossConfig::default(), &truth), (CE[0] + CE[1]) / 2.0);
    let weighted = LossConfig {
        class_weights: Some([1.0, 2.0, 3.0]),
        ..LossConfig::default()
    };
    close(loss(&weighted, &truth), (CE[0] + 3.0 * CE[1]) / 4.0);
    // A window of unknown class neither adds to the sum nor counts in the mean.
    truth.knows_class = vec![false, true];
    close(loss(&LossConfig::default(), &truth), CE[1]);
    close(loss(&weighted, &truth), CE[1]);
    truth.knows_class = vec![false; 2];
    close(loss(&LossConfig::default(), &truth), 0.0);
    close(loss(&weighted, &truth), 0.0);
}

// −(ln 0.8 + ln 0.4 + ln 0.9 + ln 0.8) / 4
const ENTROPY: f32 = 0.366_984_6;

fn pair(a: [f32; 4], b: [f32; 4], dim: usize) -> Tensor<5> {
    Tensor::cat(vec![map(a), map(b)], dim)
}

#[test]
fn voxel_cross_entropy_is_a_mean_over_all_windows_and_tversky_over_those_with_lesion() {
    let config = LossConfig {
        segmentation_loss: SegmentationLoss::Tversky,
        cross_entropy: 2.0,
        ..LossConfig::default()
    };
    let p = || pair(P, [0.5, 0.25, 0.25, 0.5], 0);
    let truth = lesions(pair(G, [0.0; 4], 0));
    // The second window: −(2 ln 0.5 + 2 ln 0.75) / 4
    let entropy = (ENTROPY + 0.490_414_65) / 2.0;
    close(
        config.segmentation(p(), &truth).into_scalar(),
        TVERSKY + 2.0 * entropy,
    );
    let all = LossConfig {
        tversky_windows: TverskyWindows::All,
        ..config
    };
    // The second window: TP = FN = 0, FP = 1.5 → 1 − 1 / (0.3·1.5 + 1)
    close(
        all.segmentation(p(), &truth).into_scalar(),
        (TVERSKY + 1.0 - 1.0 / 1.45) / 2.0 + 2.0 * entropy,
    );
}

#[test]
fn cross_entropy_has_a_finite_value_and_slope_where_the_net_is_sure_and_wrong() {
    let device = Device::flex().autodiff();
    let p = Tensor::<5>::from_data(map([0.0, 1e-9, 1.0, 0.5]).into_data(), &device).require_grad();
    let truth = Tensor::from_data(map(G).into_data(), &device);
    let loss = LossConfig::default().segmentation(p.clone(), &lesions(truth));
    assert!(loss.clone().into_scalar::<f32>().is_finite());
    let slope: Vec<f32> = p
        .grad(&loss.backward())
        .unwrap()
        .into_data()
        .iter()
        .collect();
    assert!(slope.iter().all(|s| s.is_finite()), "{slope:?}");
    // −1 / (4 · 1e-9) from the cross-entropy outweighs all else.
    assert!((slope[1] / -2.5e8 - 1.0).abs() < 1e-3, "{slope:?}");
}

#[test]
fn windows_without_truth_are_left_out() {
    let config = LossConfig::default();
    let alone: f32 = config.segmentation(map(P), &lesions(map(G))).into_scalar();
    let mut truth = lesions(pair(G, [1.0; 4], 0));
    truth.knows_lesion = vec![true, false];
    let p = pair(P, [0.3; 4], 0);
    close(config.segmentation(p.clone(), &truth).into_scalar(), alone);

    // Without any known truth the loss and its gradients are 0.
    truth.knows_lesion = vec![false; 2];
    truth.knows_class = vec![false; 2];
    let device = Device::flex().autodiff();
    let p = Tensor::<5>::from_data(p.into_data(), &device).require_grad();
    let logits = Tensor::<2>::from_floats([[2.0, 1.0, 0.0]; 2], &device).require_grad();
    let truth = Truth {
        lesion: Tensor::from_data(truth.lesion.into_data(), &device),
        classes: Tensor::zeros([2], &device),
        ..truth
    };
    let answer = ModelOutput {
        lesion: vec![p.clone()],
        class_logits: vec![logits.clone()],
        ..ModelOutput::default()
    };
    let losses = config.score(&answer, &truth);
    close(losses.total.clone().into_scalar(), 0.0);
    let grads = losses.total.backward();
    let slopes = [
        p.grad(&grads).unwrap().into_data(),
        logits.grad(&grads).unwrap().into_data(),
    ];
    for slope in slopes {
        assert!(slope.iter::<f32>().all(|s| s == 0.0));
    }
}

#[test]
fn two_kinds_weigh_half_and_their_union_half() {
    // Ground glass is G, and there is no consolidation. The union's probabilities are 0.8, 0.6, 0.3
    // and 0.2.
    let p = || pair(P, [0.1, 0.6, 0.3, 0.2], 1);
    let config = |tversky_windows, cross_entropy| LossConfig {
        segmentation_loss: SegmentationLoss::Tversky,
        tversky_windows,
        cross_entropy,
        ..LossConfig::default()
    };
    let loss = |config: LossConfig, truth: &Truth| -> f32 {
        config.segmentation(p(), truth).into_scalar()
    };
    let truth = lesions(pair(G, [0.0; 4], 1));
    // TP = 1.4, FN = 0.6, FP = 0.5
    let union = 1.0 - 2.4 / (2.4 + 0.7 * 0.6 + 0.3 * 0.5);
    let with_lesion = loss(config(TverskyWindows::WithLesion, 0.0), &truth);
    close(with_lesion, (TVERSKY + union) / 2.0);
    // Consolidation: FP = 1.2 → 1 − 1 / (0.3·1.2 + 1)
    let kinds = (TVERSKY + 1.0 - 1.0 / 1.36) / 2.0;
    let all = loss(config(TverskyWindows::All, 0.0), &truth);
    close(all, (kinds + union) / 2.0);
    // −(ln 0.9 + ln 0.4 + ln 0.7 + ln 0.8) / 4 and −(ln 0.8 + ln 0.6 + ln 0.7 + ln 0.8) / 4
    let entropy = ((ENTROPY + 0.400_367_44) / 2.0 + 0.328_446_92) / 2.0;
    let both = loss(config(TverskyWindows::WithLesion, 1.0), &truth);
    close(both, with_lesion + entropy);

    // If the kinds are not known, every lesion voxel is 1 in both channels, and only the union
    // counts.
    let mut truth = lesions(pair(G, G, 1));
    truth.knows_kinds = vec![false];
    close(loss(config(TverskyWindows::WithLesion, 0.0), &truth), union);
    close(
        loss(config(TverskyWindows::All, 1.0), &truth),
        union + 0.328_446_92,
    );
}

#[test]
fn total_weighs_the_tasks_and_averages_the_passes() {
    let output = output(&[P, [0.0; 4]], Some([2.0, 1.0, 0.0]));
    for weight in [0.0, 0.3, 1.0] {
        let config = LossConfig {
            classification_weight: f64::from(weight),
            ..of(SegmentationLoss::Tversky)
        };
        let losses = config.forward(&output, &lesions(map(G)));
        // The second pass: TP = 0, FN = 2 → 1 − 1 / (0.7·2 + 1)
        let segmentation = (TVERSKY + 1.0 - 1.0 / 2.4) / 2.0;
        close(losses.segmentation.into_scalar(), segmentation);
        close(losses.classification.into_scalar(), CE[0]);
        let total = (1.0 - weight) * segmentation + weight * CE[0];
        close(losses.total.into_scalar(), total);
    }
}

#[test]
fn without_classification_the_total_is_the_segmentation_loss() {
    let losses = LossConfig::paper().forward(&output(&[P], None), &lesions(map(G)));
    close(losses.total.into_scalar(), FOCAL);
    close(losses.classification.into_scalar(), 0.0);
}

#[test]
fn fields_out_of_range_are_named() {
    let good = LossConfig::default;
    let cases = [
        (
            "alpha",
            LossConfig {
                alpha: -0.1,
                ..good()
            },
        ),
        (
            "beta",
            LossConfig {
                beta: f64::NAN,
                ..good()
            },
        ),
        (
            "exponent",
            LossConfig {
                exponent: 0.0,
                ..good()
            },
        ),
        (
            "cross_entropy",
            LossConfig {
                cross_entropy: f64::INFINITY,
                ..good()
            },
        ),
        (
            "union_weight",
            LossConfig {
                union_weight: -0.5,
                ..good()
            },
        ),
        (
            "classification_weight",
            LossConfig {
                classification_weight: 1.1,
                ..good()
            },
        ),
        (
            "class_weights",
            LossConfig {
                class_weights: Some([1.0, 0.0, 1.0]),
                ..good()
            },
        ),
    ];
    assert!(good().validate().is_ok());
    for (field, config) in cases {
        let error = config.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains(&format!("loss.{field} = ")),
            "{error}"
        );
    }
}

#[test]
fn a_net_with_one_task_has_its_loss_alone() {
    let config = LossConfig::paper();
    let logits = Tensor::<2>::from_floats([[2.0, 1.0, 0.0]], &Device::flex());
    let (maps, classes_only) = (
        ModelOutput {
            lesion: vec![map(P)],
            ..ModelOutput::default()
        },
        ModelOutput {
            class_logits: vec![logits],
            ..ModelOutput::default()
        },
    );
    let score = |answer: &ModelOutput| {
        let l = config.score(answer, &lesions(map(G)));
        [l.total, l.segmentation, l.classification].map(|t| t.into_scalar::<f32>())
    };
    let [total, segmentation, classification] = score(&maps);
    close(total, FOCAL);
    assert_eq!((segmentation, classification), (total, 0.0));
    let [total, segmentation, classification] = score(&classes_only);
    close(total, CE[0]);
    assert_eq!((segmentation, classification), (0.0, total));
}

#[test]
fn edges_are_lesion_voxels_with_a_neighbour_outside_in_their_slice() {
    let rows = [
        [1.0, 1.0, 1.0, 0.0],
        [1.0, 1.0, 1.0, 0.0],
        [1.0, 1.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ];
    let lesion = Tensor::<2>::from_floats(rows, &Device::flex()).reshape([1, 1, 1, 4, 4]);
    let edge = edge_of(lesion.clone());
    let values: Vec<f32> = edge.into_data().iter::<f32>().collect();
    let expected = [
        0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ];
    assert_eq!(values, expected);
    // Five of 16 voxels are edges: −(5 ln ¼ + 11 ln ¾) / 16.
    let even = lesion.zeros_like().add_scalar(0.25);
    let answer = ModelOutput {
        lesion: vec![lesion.clone()],
        edges: vec![even],
        ..ModelOutput::default()
    };
    let config = of(SegmentationLoss::Dice);
    let loss = config.score(&answer, &lesions(lesion));
    close(loss.total.into_scalar::<f32>(), 0.630_998_6);
}
