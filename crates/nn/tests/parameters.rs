//! Parameter counts, against an independent formula and against the counts of PyTorch
//! (`golden/make_multirnet.py` prints them).

use burn::module::Module;
use burn::tensor::Device;
use multirnet_nn::{MultiRNetConfig, Norm};

/// Trained parameters of the segmentation and classification subnets.
fn count(config: &MultiRNetConfig) -> (usize, usize) {
    let (c, k3) = (config.channels, config.kernel_size.pow(3));
    let lesions = config.lesion_channels;
    // A unit has a convolution without bias, γ, β and the PReLU's slope.
    let unit = |from: usize, to: usize, kernel: usize| from * to * kernel + 3 * to;
    let mut segmentation = 0;
    for (i, convs) in [1, 2, 3, 3, 3].into_iter().enumerate() {
        let from = if i == 0 { 2 } else { c[i] };
        segmentation += unit(from, c[i], k3) + (convs - 1) * unit(c[i], c[i], k3);
    }
    for (i, convs) in [1, 2, 3, 3].into_iter().enumerate() {
        segmentation += unit(c[i], c[i + 1], 8) + unit(c[i + 1], c[i], 8);
        segmentation += unit(2 * c[i], c[i], k3) + (convs - 1) * unit(c[i], c[i], k3);
        if config.reverse_attention {
            segmentation += c[i + 1] + 1 + unit(c[i], c[i], 27);
        }
        segmentation += lesions * (c[i] + 1) + lesions * lesions * 8usize.pow(i as u32);
    }
    let mut classification = 3 * (config.class_channels[5] + c[4] + 1);
    let mut from = 1;
    for (i, to) in config.class_channels.into_iter().enumerate() {
        classification += unit(from, to, 27) + unit(to, to, 27);
        if from != to || (1..=4).contains(&i) {
            classification += from * to;
        }
        from = to;
    }
    (
        segmentation,
        if config.classification {
            classification
        } else {
            0
        },
    )
}

/// Trained parameters of the net. burn's count also includes the running statistics of batch norms.
fn held(config: &MultiRNetConfig) -> usize {
    let net = config.init(&Device::flex());
    let names = multirnet_nn::weights::names(&net);
    let trained = names.iter().filter(|(name, ..)| !name.contains("running_"));
    let total: usize = trained
        .map(|(_, _, shape)| shape.iter().product::<usize>())
        .sum();
    if config.norm != Norm::Batch {
        assert_eq!(net.num_params(), total);
    }
    total
}

#[test]
fn presets_have_the_counts_of_the_twin() {
    for (name, total, segmentation) in [
        ("base", 15_108_740, 10_626_337),
        ("small", 3_781_740, 2_659_705),
        ("vnet5", 48_980_676, 44_498_273),
    ] {
        let config = MultiRNetConfig::preset(name).unwrap();
        assert_eq!(
            count(&config),
            (segmentation, total - segmentation),
            "{name}"
        );
        assert_eq!(held(&config), total, "{name}");
    }
    assert!(MultiRNetConfig::preset("large").is_none());
}

#[test]
fn options_change_the_counts_as_they_should() {
    let small = MultiRNetConfig::small;
    for config in [
        MultiRNetConfig {
            reverse_attention: false,
            ..small()
        },
        MultiRNetConfig {
            classification: false,
            ..small()
        },
        MultiRNetConfig {
            lesion_channels: 2,
            ..small()
        },
        MultiRNetConfig {
            norm: Norm::Group,
            ..small()
        },
        MultiRNetConfig {
            norm: Norm::Instance,
            ..small()
        },
        MultiRNetConfig {
            iterations: 5,
            ..small()
        },
    ] {
        let (segmentation, classification) = count(&config);
        assert_eq!(held(&config), segmentation + classification, "{config:?}");
    }
}
