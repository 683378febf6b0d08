//! Properties of the net besides its numbers.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use multirnet_nn::{ClassFrom, Eager, ErrorKind, MultiRNet, MultiRNetConfig, Output, weights};

fn tiny() -> MultiRNetConfig {
    MultiRNetConfig {
        channels: [3, 4, 4, 5, 6],
        class_channels: [2, 3, 4, 4, 5, 7],
        iterations: 2,
        ..MultiRNetConfig::base()
    }
}

fn x(batch: usize, device: &Device) -> Tensor<5> {
    Tensor::random(
        [batch, 1, 16, 32, 16],
        Distribution::Uniform(0.0, 1.0),
        device,
    )
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn running(net: &MultiRNet) -> Vec<f32> {
    let all = weights::tensors(net).into_iter();
    all.filter(|t| t.name.contains("running_"))
        .flat_map(|t| t.values)
        .collect()
}

#[test]
fn outputs_have_the_promised_shapes() {
    let device = Device::flex();
    for lesions in [1, 2] {
        let config = MultiRNetConfig {
            lesion_channels: lesions,
            ..tiny()
        };
        let output = config.init(&device).forward(x(2, &device));
        assert_eq!(output.passes.len(), 3);
        assert_eq!(output.lesion().dims(), [2, lesions, 16, 32, 16]);
        assert!(
            values(output.lesion())
                .iter()
                .all(|p| (0.0..=1.0).contains(p))
        );
        let logits = output.class_logits(ClassFrom::Last).unwrap();
        assert_eq!(logits.dims(), [2, 3]);
        let features = output.class_features(ClassFrom::Last).unwrap();
        assert_eq!(features.dims(), [2, 7, 1, 2, 1]);
    }
}

#[test]
fn without_classification_there_are_no_class_outputs() {
    let device = Device::flex();
    let config = MultiRNetConfig {
        classification: false,
        ..tiny()
    };
    let net = config.init(&device);
    let (output, cam) = net.grad_cam(x(1, &device), None);
    assert!(output.class_logits(ClassFrom::Mean).is_none());
    assert!(cam.is_none());
}

#[test]
fn later_passes_see_the_map_of_the_pass_before() {
    let device = Device::flex();
    let net = tiny().init(&device);
    let x = x(1, &device);
    let (one, three) = (net.forward_with(x.clone(), 0), net.forward(x.clone()));
    assert_eq!(one.passes.len(), 1);
    assert_eq!(values(one.lesion()), values(three.passes[0].lesion.clone()));
    let by_hand = net.pass(x, one.lesion());
    assert_eq!(
        values(by_hand.lesion.clone()),
        values(three.passes[1].lesion.clone())
    );
    assert_ne!(values(by_hand.lesion), values(one.lesion()));
}

#[test]
fn class_logits_come_from_the_chosen_pass() {
    let device = Device::flex();
    let output = tiny().init(&device).forward(x(2, &device));
    let of = |output: &Output, from| values(output.class_logits(from).unwrap());
    let pass = |t: usize| values(output.passes[t].class_logits.clone().unwrap());
    assert_eq!(of(&output, ClassFrom::First), pass(0));
    assert_eq!(of(&output, ClassFrom::Last), pass(2));
    for (i, mean) in of(&output, ClassFrom::Mean).into_iter().enumerate() {
        let sum: f32 = (0..3).map(|t| pass(t)[i]).sum();
        assert!((mean - sum / 3.0).abs() < 1e-6);
    }
}

#[test]
fn only_training_moves_running_statistics() {
    let device = Device::flex().autodiff();
    let net = tiny().init(&device);
    let start = running(&net);
    let valid = net.valid();
    valid.forward(x(1, &Device::flex()));
    assert_eq!(running(&valid), start);
    net.forward(x(1, &device));
    assert_ne!(running(&net), start);
    assert_eq!(
        running(&valid),
        start,
        "a copy for evaluation stays as it is"
    );
}

#[test]
fn windows_that_do_not_fit_are_refused_beforehand() {
    for shape in [[0, 96, 96], [32, 96, 90], [8, 16, 16]] {
        let error = MultiRNetConfig::check_window(shape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(error.to_string().contains("multiple of 16"));
    }
    assert!(MultiRNetConfig::check_window([32, 96, 96]).is_ok());
}

#[test]
fn configurations_out_of_range_are_named() {
    type Change = fn(&mut MultiRNetConfig);
    let cases: [(&str, Change); 7] = [
        ("channels", |c| c.channels[0] = 0),
        ("class_channels", |c| c.class_channels[5] = 4096),
        ("kernel_size", |c| c.kernel_size = 4),
        ("lesion_channels", |c| c.lesion_channels = 3),
        ("scale_weights", |c| c.scale_weights[3] = f64::NAN),
        ("dropout", |c| c.dropout = 1.0),
        ("iterations", |c| c.iterations = 17),
    ];
    for (field, change) in cases {
        let mut config = tiny();
        assert!(config.validate().is_ok());
        change(&mut config);
        let error = config.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
    }
    let unknown = serde_json::from_str::<MultiRNetConfig>(r#"{"chanels": [1, 2, 3, 4, 5]}"#);
    assert!(unknown.is_err());
}

/// The closed form of Grad-CAM agrees with the definition, computed by autodiff.
#[test]
fn grad_cam_agrees_with_autodiff() {
    let plain = Device::flex();
    let device = Device::flex().autodiff();
    // A frozen net is on the autodiff device, but uses running statistics and no dropout.
    let net = tiny().init(&device).freeze();
    let x = x(2, &plain);
    let on_device = Tensor::from_data(x.clone().into_data(), &device);
    let (lesion, bottleneck) =
        net.segmentation
            .forward(&Eager, on_device.clone(), on_device.zeros_like());
    let class = net.classification.as_ref().unwrap();
    let (_, features) = class.forward(&Eager, on_device, lesion, bottleneck.clone());
    let features = features.detach().require_grad();
    let [b, c, d, h, w] = features.dims();
    for chosen in 0..3 {
        let logit = class.head(&Eager, features.clone(), bottleneck.clone());
        let grads = logit.slice([0..b, chosen..chosen + 1]).sum().backward();
        let alpha = features
            .grad(&grads)
            .unwrap()
            .reshape([b, c, d * h * w])
            .mean_dim(2);
        let weighted = features.clone().inner() * alpha.reshape([b, c, 1, 1, 1]);
        let want = values(burn::tensor::activation::relu(weighted.sum_dim(1)));

        let output = net.valid().forward_with(x.clone(), 0);
        let cam = net.valid().explain(&output, Some(chosen)).unwrap();
        assert_eq!(cam.map.dims(), [b, 1, d, h, w]);
        assert_eq!(cam.classes, vec![chosen; b]);
        let got = values(cam.map);
        let scale = want.iter().fold(1e-6f32, |m, v| m.max(*v));
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() < 1e-4 * scale, "{got} {want}");
        }
    }
}

#[test]
fn grad_cam_explains_the_likeliest_class_of_each_window() {
    let device = Device::flex();
    for from in [ClassFrom::Last, ClassFrom::Mean] {
        let config = MultiRNetConfig {
            class_from: from,
            ..tiny()
        };
        let net = config.init(&device);
        let (output, cam) = net.grad_cam(x(3, &device), None);
        let cam = cam.unwrap();
        let logits = values(output.class_logits(from).unwrap());
        for (window, class) in cam.classes.iter().enumerate() {
            let row = &logits[3 * window..3 * window + 3];
            assert!(row.iter().all(|l| *l <= row[*class]));
            let alone = net.explain(&output, Some(*class)).unwrap();
            let n = values(cam.map.clone()).len() / 3;
            let part = window * n..(window + 1) * n;
            assert_eq!(
                values(cam.map.clone())[part.clone()],
                values(alone.map)[part]
            );
        }
        assert!(net.explain(&output, Some(3)).is_none());
    }
}

#[test]
fn fusion_starts_as_nearest_neighbour_upsampling() {
    use multirnet_nn::layers::{FusionUpConfig, nearest_up2};
    let device = Device::flex();
    let x = Tensor::<5>::random([2, 2, 2, 3, 4], Distribution::Default, &device);
    let mut want = x.clone();
    for factor in [1, 2, 4, 8] {
        let got = FusionUpConfig::new(2, factor)
            .init(&device)
            .forward(x.clone());
        assert_eq!(values(got), values(want.clone()), "{factor}");
        let got = FusionUpConfig::new(2, factor)
            .with_gain(4.0)
            .init(&device)
            .forward(x.clone());
        assert_eq!(
            values(got),
            values(want.clone().mul_scalar(4.0)),
            "{factor}"
        );
        want = nearest_up2(want);
    }
}

#[test]
fn the_classes_loss_reaches_the_lesion_map_only_where_it_is_not_cut_off() {
    let device = Device::flex().autodiff();
    for detach_mask in [true, false] {
        let config = MultiRNetConfig {
            detach_mask,
            iterations: 0,
            ..tiny()
        };
        let net = config.init(&device);
        let x = Tensor::<5>::random([1, 1, 16, 16, 16], Distribution::Default, &device);
        let logits = net.forward(x).passes[0].class_logits.clone().unwrap();
        let grads = logits.square().sum().backward();
        let slope = net.segmentation.fusion.ups[0].weight.val().grad(&grads);
        let moved = slope.is_some_and(|s| values(s).iter().any(|v| *v != 0.0));
        assert_eq!(moved, !detach_mask);
    }
}
