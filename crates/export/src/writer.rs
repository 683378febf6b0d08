//! The operations of nets as nodes of a graph.

use crate::graph::{Attribute, Builder, Value};
use burn::module::{Param, ParamId};
use burn::nn::{BatchNorm, Dropout, Linear, PRelu};
use burn::tensor::Tensor;
use multirnet_nn::layers::{Conv, FusionUp, NormLayer, UpConv};
use multirnet_nn::{Activation, Compute, PoolWindow, System, weights};
use std::cell::RefCell;
use std::collections::HashMap;

/// Writes each operation of a net as nodes. It implements [`Compute`], so a net's own definition
/// makes the graph.
///
/// Batch norms after a convolution become the convolution's weights and bias. Other norms are
/// decomposed into operators that every runtime has: `InstanceNormalization`, `Mul` and `Add`.
/// Upsampling is a transposed convolution, because runtimes seldom have a 3D `Resize`.
#[derive(Debug)]
pub(crate) struct Writer {
    builder: RefCell<Builder>,
    /// Names of the net's tensors.
    names: HashMap<ParamId, String>,
    /// Whether kernels and matrices are stored in 16 bits.
    half: bool,
}

/// Scale and shift per channel that replace a batch norm.
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Writer {
    /// A writer for the net of `system`.
    pub(crate) fn new(system: &System, half: bool) -> Self {
        let names = weights::names(system).into_iter();
        Self {
            builder: RefCell::default(),
            names: names.map(|(name, id, _)| (id, name)).collect(),
            half,
        }
    }

    /// Calls `work` with the graph.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Builder) -> T) -> T {
        work(&mut self.builder.borrow_mut())
    }

    /// The graph.
    pub(crate) fn into_builder(self) -> Builder {
        self.builder.into_inner()
    }

    fn node(&self, op: &str, inputs: &[&Value], attributes: Vec<(&str, Attribute)>) -> Value {
        self.with(|graph| graph.node(op, inputs, attributes))
    }

    fn name<const D: usize>(&self, param: &Param<Tensor<D>>) -> String {
        match self.names.get(&param.id) {
            Some(name) => name.clone(),
            None => format!("tensor.{}", param.id),
        }
    }

    /// A kernel or matrix as a constant, multiplied by `scale` along the axis `axis` of its shape.
    ///
    /// In 16 bits the constant holds the net's own numbers, and the factors are a second constant.
    /// A model whose weights are stored in 16 bits therefore loses nothing.
    fn kernel<const D: usize>(
        &self,
        param: &Param<Tensor<D>>,
        axis: usize,
        scale: Option<&[f32]>,
    ) -> Value {
        let name = self.name(param);
        let shape = param.val().dims();
        // The name of the constant, or of the value that is made of it. A later pass finds it.
        let folded = match (scale, self.half) {
            (Some(_), _) => format!("{name}.folded"),
            (None, true) => Builder::cast_name(&name),
            (None, false) => name.clone(),
        };
        if self.with(|graph| graph.has(&folded)) {
            return Value::new(folded, 0);
        }
        let mut values = parameter(param);
        if self.half {
            let stored = self.with(|graph| graph.halves(name, &shape, &values));
            let Some(scale) = scale else {
                return stored;
            };
            let mut along = [1; D];
            along[axis] = scale.len();
            return self.with(|graph| {
                let factors = graph.floats(format!("{folded}.scale"), &along, scale);
                graph.node_as(folded, "Mul", &[&stored, &factors], Vec::new())
            });
        }
        if let Some(scale) = scale {
            let inner: usize = shape[axis + 1..].iter().product();
            for (i, value) in values.iter_mut().enumerate() {
                *value *= scale[i / inner % scale.len()];
            }
        }
        self.with(|graph| graph.floats(folded, &shape, &values))
    }

    /// One value per channel as a constant of shape `[C, 1, 1, 1]`.
    fn channels(&self, name: String, values: &[f32]) -> Value {
        self.with(|graph| graph.floats(name, &[values.len(), 1, 1, 1], values))
    }

    fn convolution(&self, x: &Value, conv: &Conv, norm: Option<&Affine>) -> Value {
        let kernel = self.kernel(&conv.weight, 0, norm.map(|n| n.scale.as_slice()));
        let own = conv.bias.as_ref().map(parameter);
        let bias = match (norm, own) {
            (None, None) => None,
            (None, Some(bias)) => Some(bias),
            (Some(norm), None) => Some(norm.shift.clone()),
            (Some(norm), Some(bias)) => {
                let both = bias.iter().zip(&norm.scale).zip(&norm.shift);
                Some(both.map(|((b, scale), shift)| b * scale + shift).collect())
            }
        };
        let bias = bias.map(|bias| {
            let name = format!("{}.bias", kernel.name);
            self.with(|graph| graph.floats(name, &[bias.len()], &bias))
        });
        let [channels, _, side, _, _] = conv.weight.dims();
        let inputs: Vec<&Value> = [x, &kernel].into_iter().chain(&bias).collect();
        self.node("Conv", &inputs, window(side, conv.stride, conv.padding))
            .with_channels(channels)
    }

    /// A transposed convolution whose stride is the side of its kernel.
    fn transposed(
        &self,
        x: &Value,
        kernel: &Value,
        bias: Option<&Value>,
        [channels, side]: [usize; 2],
    ) -> Value {
        let inputs: Vec<&Value> = [x, kernel].into_iter().chain(bias).collect();
        self.node("ConvTranspose", &inputs, window(side, side, 0))
            .with_channels(channels)
    }

    /// A norm that is not folded into weights.
    fn norm(&self, x: &Value, norm: &NormLayer) -> Value {
        let (gamma, beta) = match norm {
            NormLayer::Batch(norm) => {
                let Affine { scale, shift } = folded(norm);
                let name = self.name(&norm.gamma);
                let scale = self.channels(format!("{name}.scale"), &scale);
                let shift = self.channels(format!("{name}.shift"), &shift);
                let scaled = self.node("Mul", &[x, &scale], Vec::new());
                return self.node("Add", &[&scaled, &shift], Vec::new());
            }
            NormLayer::Instance(norm) => {
                let (Some(gamma), Some(beta)) = (&norm.gamma, &norm.beta) else {
                    return x.clone();
                };
                let constants = [gamma, beta].map(|p| {
                    let values = parameter(p);
                    self.with(|graph| graph.floats(self.name(p), &[values.len()], &values))
                });
                let epsilon = vec![("epsilon", Attribute::Float(norm.epsilon as f32))];
                let inputs = [x, &constants[0], &constants[1]];
                return self.node("InstanceNormalization", &inputs, epsilon);
            }
            NormLayer::Group(norm) => (&norm.gamma, &norm.beta),
        };
        let NormLayer::Group(norm) = norm else {
            return x.clone();
        };
        let groups = norm.num_groups;
        let shape = self.node("Shape", &[x], Vec::new());
        let (grouped, ones, zeros) = self.with(|graph| {
            (
                graph.ints(&format!("groups.{groups}"), &[0, groups as i64, -1]),
                graph.floats(format!("ones.{groups}"), &[groups], &vec![1.0; groups]),
                graph.floats(format!("zeros.{groups}"), &[groups], &vec![0.0; groups]),
            )
        });
        let flat = self.node("Reshape", &[x, &grouped], Vec::new());
        let epsilon = vec![("epsilon", Attribute::Float(norm.epsilon as f32))];
        let flat = self.node("InstanceNormalization", &[&flat, &ones, &zeros], epsilon);
        let mut y = self.node("Reshape", &[&flat, &shape], Vec::new());
        for (op, parameters) in [("Mul", gamma), ("Add", beta)] {
            if let Some(param) = parameters {
                let values = self.channels(self.name(param), &parameter(param));
                y = self.node(op, &[&y, &values], Vec::new());
            }
        }
        y
    }

    fn activation(&self, x: &Value, act: Activation<'_>) -> Value {
        match act {
            Activation::Relu => self.node("Relu", &[x], Vec::new()),
            Activation::PRelu(act) => {
                let slopes = self.slopes(act, x.channels);
                self.node("PRelu", &[x, &slopes], Vec::new())
            }
        }
    }

    fn slopes(&self, act: &PRelu, channels: usize) -> Value {
        let alpha = parameter(&act.alpha);
        let all = match alpha.as_slice() {
            [one] => vec![*one; channels],
            _ => alpha,
        };
        self.channels(self.name(&act.alpha), &all)
    }
}

/// Scale and shift of a batch norm if its statistics are foldable.
fn batch(norm: &NormLayer) -> Option<Affine> {
    match norm {
        NormLayer::Batch(norm) => Some(folded(norm)),
        _ => None,
    }
}

fn folded(norm: &BatchNorm) -> Affine {
    let [gamma, beta] = [&norm.gamma, &norm.beta].map(parameter);
    let [mean, variance] = [&norm.running_mean, &norm.running_var].map(|s| floats(s.value()));
    let scales = gamma.iter().zip(&variance);
    let scale: Vec<f64> = scales
        .map(|(g, v)| f64::from(*g) / (f64::from(*v) + norm.epsilon).sqrt())
        .collect();
    let shifts = beta.iter().zip(&mean).zip(&scale);
    Affine {
        shift: shifts
            .map(|((b, m), s)| (f64::from(*b) - f64::from(*m) * s) as f32)
            .collect(),
        scale: scale.into_iter().map(|s| s as f32).collect(),
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn parameter<const D: usize>(parameter: &Param<Tensor<D>>) -> Vec<f32> {
    floats(parameter.val())
}

/// Attributes of a cubic kernel.
fn window(side: usize, stride: usize, padding: usize) -> Vec<(&'static str, Attribute)> {
    let each = |n: usize, axes: usize| Attribute::Ints(vec![n as i64; axes]);
    vec![
        ("kernel_shape", each(side, 3)),
        ("pads", each(padding, 6)),
        ("strides", each(stride, 3)),
    ]
}

impl Compute for Writer {
    type Map = Value;
    type Vector = Value;

    fn conv(&self, x: Value, layer: &Conv) -> Value {
        self.convolution(&x, layer, None)
    }

    fn conv_norm_act(
        &self,
        x: Value,
        conv: &Conv,
        norm: &NormLayer,
        act: Activation<'_>,
        residual: Option<Value>,
    ) -> Value {
        let affine = batch(norm);
        let mut y = self.convolution(&x, conv, affine.as_ref());
        if affine.is_none() {
            y = self.norm(&y, norm);
        }
        if let Some(residual) = residual {
            y = self.node("Add", &[&y, &residual], Vec::new());
        }
        self.activation(&y, act)
    }

    fn norm_relu(&self, x: Value, norm: &NormLayer) -> Value {
        let y = self.norm(&x, norm);
        self.node("Relu", &[&y], Vec::new())
    }

    fn up(&self, x: Value, conv: &UpConv, norm: &NormLayer, act: &PRelu) -> Value {
        let affine = batch(norm);
        let scale = affine.as_ref().map(|n| n.scale.as_slice());
        let kernel = self.kernel(&conv.weight, 1, scale);
        let bias = affine.as_ref().map(|n| {
            let name = format!("{}.bias", kernel.name);
            self.with(|graph| graph.floats(name, &[n.shift.len()], &n.shift))
        });
        let channels = conv.weight.dims()[1];
        let mut y = self.transposed(&x, &kernel, bias.as_ref(), [channels, 2]);
        if affine.is_none() {
            y = self.norm(&y, norm);
        }
        self.activation(&y, Activation::PRelu(act))
    }

    fn up_conv(&self, x: Value, conv: &UpConv) -> Value {
        let kernel = self.kernel(&conv.weight, 1, None);
        self.transposed(&x, &kernel, None, [conv.weight.dims()[1], 2])
    }

    fn trilinear_up2(&self, x: Value) -> Value {
        // A transposed convolution of each channel by itself gives each output its shares of the
        // nearest inputs. Repeating the outermost voxels first makes the edges right.
        let shares = [0.25f32, 0.75, 0.75, 0.25];
        let mut kernel = Vec::with_capacity(64 * x.channels);
        for _ in 0..x.channels {
            for z in shares {
                for y in shares {
                    kernel.extend(shares.map(|x| x * y * z));
                }
            }
        }
        let (ends, kernel) = self.with(|graph| {
            let name = format!("trilinear.{}", x.channels);
            (
                graph.ints("edges", &[0, 0, 1, 1, 1, 0, 0, 1, 1, 1]),
                graph.floats(name, &[x.channels, 1, 4, 4, 4], &kernel),
            )
        });
        let padded = self.node("Pad", &[&x, &ends], vec![("mode", Attribute::Text("edge"))]);
        let mut attributes = window(4, 2, 3);
        attributes.push(("group", Attribute::Int(x.channels as i64)));
        self.node("ConvTranspose", &[&padded, &kernel], attributes)
    }

    fn cat(&self, maps: Vec<Value>) -> Value {
        if let [one] = maps.as_slice() {
            return one.clone();
        }
        let inputs: Vec<&Value> = maps.iter().collect();
        self.node("Concat", &inputs, vec![("axis", Attribute::Int(1))])
            .with_channels(maps.iter().map(|map| map.channels).sum())
    }

    fn max_pool(&self, x: Value, pool: PoolWindow) -> Value {
        let attributes = window(pool.side, pool.stride, pool.padding);
        self.node("MaxPool", &[&x], attributes)
    }

    fn avg_pool(&self, x: Value, side: usize) -> Value {
        match side {
            1 => x,
            _ => self.node("AveragePool", &[&x], window(side, side, 0)),
        }
    }

    fn sigmoid(&self, x: Value) -> Value {
        self.node("Sigmoid", &[&x], Vec::new())
    }

    fn reverse_attention(&self, skip: Value, logit: Value) -> Value {
        // 1 − sigmoid(s) = sigmoid(−s), and upsampling by repetition commutes with it.
        let negative = self.node("Neg", &[&logit], Vec::new());
        let reverse = self.sigmoid(negative);
        let ones = vec![1.0; 8];
        let nearest =
            self.with(|graph| graph.floats("nearest".to_owned(), &[1, 1, 2, 2, 2], &ones));
        let wide = self.transposed(&reverse, &nearest, None, [1, 2]);
        self.multiply(skip, wide)
    }

    fn fuse(&self, parts: Vec<(Value, &FusionUp, f64)>) -> Value {
        let mut sum: Option<Value> = None;
        for (x, up, weight) in parts {
            let [_, out, side, _, _] = up.weight.dims();
            let kernel = self.kernel(&up.weight, 1, Some(&vec![weight as f32; out]));
            let wide = self.transposed(&x, &kernel, None, [out, side]);
            sum = Some(match sum {
                None => wide,
                Some(sum) => self.add(sum, wide),
            });
        }
        self.sigmoid(sum.expect("a fusion has parts"))
    }

    fn channel_max(&self, x: Value) -> Value {
        let axes = ("axes", Attribute::Ints(vec![1]));
        let keep = ("keepdims", Attribute::Int(1));
        self.node("ReduceMax", &[&x], vec![axes, keep])
            .with_channels(1)
    }

    fn multiply(&self, a: Value, b: Value) -> Value {
        self.node("Mul", &[&a, &b], Vec::new())
    }

    fn add(&self, a: Value, b: Value) -> Value {
        self.node("Add", &[&a, &b], Vec::new())
    }

    fn head(&self, maps: Vec<Value>, _: Option<&Dropout>, linear: &Linear) -> Value {
        let means = maps
            .iter()
            .map(|map| self.node("GlobalAveragePool", &[map], Vec::new()))
            .collect();
        let mean = self.cat(means);
        let flat = self.node("Flatten", &[&mean], vec![("axis", Attribute::Int(1))]);
        let kernel = self.kernel(&linear.weight, 0, None);
        let bias = linear.bias.as_ref().map(|bias| {
            let values = parameter(bias);
            self.with(|graph| graph.floats(self.name(bias), &[values.len()], &values))
        });
        let inputs: Vec<&Value> = [&flat, &kernel].into_iter().chain(&bias).collect();
        self.node("Gemm", &inputs, Vec::new())
    }
}
