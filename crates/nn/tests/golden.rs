//! The net against an independent implementation in PyTorch: outputs, losses, every gradient and
//! every running statistic. `golden/make_multirnet.py` made the files.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use multirnet_nn::{LossConfig, MultiRNet, MultiRNetConfig, Output, Truth, weights};
use safetensors::{SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, HashMap};

const TOLERANCE: f32 = 1e-4;

struct Golden<'a> {
    file: SafeTensors<'a>,
    config: MultiRNetConfig,
}

impl<'a> Golden<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
        let config = &metadata.metadata().as_ref().unwrap()["config"];
        let config: MultiRNetConfig = serde_json::from_str(config).unwrap();
        Self {
            file: SafeTensors::deserialize(bytes).unwrap(),
            // In the other implementation the classification loss reaches the lesion map.
            config: MultiRNetConfig {
                detach_mask: false,
                ..config
            },
        }
    }

    fn floats(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let view = self.file.tensor(name).unwrap();
        let chunks = view.data().as_chunks::<4>().0;
        let values = chunks.iter().map(|b| f32::from_le_bytes(*b)).collect();
        (view.shape().to_vec(), values)
    }

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = self.floats(name);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn classes(&self, device: &Device) -> Tensor<1, Int> {
        let view = self.file.tensor("classes").unwrap();
        let chunks = view.data().as_chunks::<8>().0;
        let values: Vec<i64> = chunks.iter().map(|b| i64::from_le_bytes(*b)).collect();
        Tensor::from_data(values.as_slice(), device)
    }

    /// The net with the golden weights, read from a weights file.
    fn net(&self, device: &Device) -> MultiRNet {
        let views = self.file.iter().filter_map(|(name, view)| {
            let name = name.strip_prefix("weight/")?;
            let view = TensorView::new(view.dtype(), view.shape().to_vec(), view.data()).unwrap();
            Some((name, view))
        });
        let config = serde_json::to_value(&self.config).unwrap();
        let header = serde_json::json!({"format": 1, "config": config}).to_string();
        let metadata = HashMap::from([("multirnet".to_owned(), header)]);
        let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
        weights::from_bytes("golden", &bytes, device).unwrap()
    }

    /// Asserts that `got` is within the tolerance of the golden tensor `name`, relative to the
    /// tensor's largest value.
    fn check(&self, name: &str, got: Vec<f32>, floor: f32) {
        let (_, want) = self.floats(name);
        assert_eq!(got.len(), want.len(), "{name}");
        let scale = want.iter().fold(floor, |m, v| m.max(v.abs()));
        let worst = got
            .iter()
            .zip(&want)
            .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(
            worst <= TOLERANCE * scale,
            "{name}: off by {worst:.2e}, largest value {scale:.2e}"
        );
    }

    fn check_output(&self, mode: &str, output: &Output) {
        assert_eq!(output.passes.len(), self.config.iterations + 1);
        for (t, pass) in output.passes.iter().enumerate() {
            self.check(
                &format!("{mode}/lesion/{t}"),
                data(pass.lesion.clone()),
                0.0,
            );
            match &pass.class_logits {
                Some(logits) => {
                    self.check(&format!("{mode}/logits/{t}"), data(logits.clone()), 0.0);
                }
                None => assert!(!self.config.classification),
            }
        }
    }
}

fn data<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

struct Grads<'a> {
    grads: &'a Gradients,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Grads<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum") {
            self.path.push(name.to_owned());
        }
    }
    fn exit_module(&mut self, _: &str, container: &str) {
        if !container.starts_with("Enum") {
            self.path.pop();
        }
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if param.is_require_grad() {
            let grad = param.val().grad(self.grads);
            let grad = grad.unwrap_or_else(|| panic!("no gradient reached {name}"));
            self.found.insert(name, data(grad));
        }
    }
}

fn compare(bytes: &[u8]) {
    let golden = Golden::read(bytes);
    let device = Device::flex().autodiff();
    let net = golden.net(&device);
    let output = net.forward(golden.tensor("x", &device));
    golden.check_output("train", &output);

    let truth = Truth::known(golden.tensor("lesion", &device), golden.classes(&device));
    // The mean over windows and channels.
    let loss = LossConfig {
        union_weight: 0.0,
        ..LossConfig::paper()
    };
    let losses = loss.forward(&output, &truth);
    golden.check("loss/total", data(losses.total.clone()), 0.0);
    golden.check("loss/segmentation", data(losses.segmentation), 0.0);
    golden.check("loss/classification", data(losses.classification), 0.0);

    let grads = losses.total.backward();
    let mut visitor = Grads {
        grads: &grads,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    net.visit(&mut visitor);
    let names: Vec<&str> = golden
        .file
        .names()
        .into_iter()
        .filter_map(|n| n.strip_prefix("grad/"))
        .collect();
    assert_eq!(names.len(), visitor.found.len());
    for name in names {
        // Sums that (nearly) cancel to zero contain the rounding errors of their terms.
        golden.check(&format!("grad/{name}"), visitor.found[name].clone(), 1e-3);
    }

    for tensor in weights::tensors(&net) {
        if tensor.name.contains("running_") {
            golden.check(&format!("running/{}", tensor.name), tensor.values, 0.0);
        }
    }
    let evaluated = net.valid();
    let x = golden.tensor("x", &Device::flex());
    golden.check_output("eval", &evaluated.forward(x));
}

#[test]
fn batch_norm_three_passes() {
    compare(include_bytes!("golden/multirnet_batch.safetensors"));
}

#[test]
fn batch_norm_without_classification() {
    compare(include_bytes!(
        "golden/multirnet_batch_no_class.safetensors"
    ));
}

#[test]
fn instance_norm_two_lesions_added_mask_attached_feedback() {
    compare(include_bytes!(
        "golden/multirnet_instance_two_lesions.safetensors"
    ));
}

#[test]
fn group_norm_kernel_5_without_attention_or_mask() {
    compare(include_bytes!("golden/multirnet_group_vnet5.safetensors"));
}
