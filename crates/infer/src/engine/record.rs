//! The recording of a net: its operations and the maps that they read and write.

use burn::module::Param;
use burn::nn::{BatchNorm, Dropout, Linear, PRelu};
use burn::tensor::Tensor;
use multirnet_kernels::Layer;
use multirnet_nn::layers::{Conv, FusionUp, NormLayer, UpConv};
use multirnet_nn::{Activation, Compute, PoolWindow, System};
use std::cell::RefCell;

/// A map of features in the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Value(pub(super) usize);

/// Number of channels of a map, and how often its sides have been halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) channels: usize,
    pub(super) halvings: u32,
    /// Number of the halvings, counted from the first, that round odd sides up. Kernels with odd
    /// sides do so (DenseNet's stem). The others round down.
    pub(super) rounded_up: u32,
}

impl Kind {
    /// Depth, height and width of the map for windows of `shape`.
    pub(super) fn size(self, shape: [usize; 3]) -> [usize; 3] {
        shape.map(|v| v.div_ceil(1 << self.rounded_up) >> (self.halvings - self.rounded_up))
    }

    /// The kind after a kernel of `side` moved by `stride`.
    fn after(self, channels: usize, side: usize, stride: usize) -> Self {
        let more = stride.ilog2();
        // The rounding matters only for odd sides. No net here has a halving that rounds down
        // before one that rounds up and takes windows with odd sides there.
        let up = side % 2 == 1 && self.rounded_up == self.halvings;
        Self {
            channels,
            halvings: self.halvings + more,
            rounded_up: self.rounded_up + if up { more } else { 0 },
        }
    }

    /// The kind with doubled sides.
    fn doubled(self, channels: usize) -> Self {
        let halvings = self.halvings - 1;
        Self {
            channels,
            halvings,
            rounded_up: self.rounded_up.min(halvings),
        }
    }
}

/// One part of the multi-scale fusion of lesion maps.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) map: Value,
    /// Weights `[in, out, s, s, s]`, multiplied by the scale's weight ω.
    pub(super) weights: Vec<f32>,
    pub(super) factor: usize,
}

/// An operation and the maps that it reads.
#[derive(Debug)]
pub(super) enum Operation {
    /// A convolution with its bias, residual and PReLU.
    Layer {
        layer: Box<Layer>,
        x: Value,
        residual: Option<Value>,
    },
    /// Concatenation of the channels of all maps.
    Cat(Vec<Value>),
    /// A norm and a ReLU: `max(scale · x + shift, 0)` with a scale and a shift per channel.
    NormRelu {
        x: Value,
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    /// The largest value of each window.
    MaxPool(Value, PoolWindow),
    /// The mean over cubes of a side.
    AvgPool(Value, usize),
    /// Trilinear upsampling by 2.
    Trilinear(Value),
    /// The sigmoid of each value.
    Sigmoid(Value),
    /// Reverse attention on a skip connection (first) by a logit (second).
    Attend([Value; 2]),
    /// Multi-scale fusion.
    Fuse(Vec<Part>),
    /// The maximum over channels.
    Largest(Value),
    Multiply([Value; 2]),
    Add([Value; 2]),
}

impl Operation {
    /// The maps that the operation reads.
    pub(super) fn inputs(&self) -> Vec<Value> {
        match self {
            Self::Layer { x, residual, .. } => residual.iter().copied().chain([*x]).collect(),
            Self::Cat(v) => v.clone(),
            Self::Attend(v) | Self::Multiply(v) | Self::Add(v) => v.to_vec(),
            Self::Fuse(parts) => parts.iter().map(|p| p.map).collect(),
            Self::Largest(x)
            | Self::NormRelu { x, .. }
            | Self::MaxPool(x, _)
            | Self::AvgPool(x, _)
            | Self::Trilinear(x)
            | Self::Sigmoid(x) => vec![*x],
        }
    }
}

/// An operation and the map that it writes.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) operation: Operation,
    pub(super) output: Value,
}

/// The linear layer at the end of the classification.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// The maps whose averages, one after the other, are the layer's input.
    pub(super) maps: Vec<Value>,
    /// Weights `[features, classes]`.
    pub(super) weights: Vec<f32>,
    /// Bias of each class.
    pub(super) bias: Vec<f32>,
}

/// One pass of the net.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) kinds: Vec<Kind>,
    pub(super) steps: Vec<Step>,
    /// The CT and the previous lesion map.
    pub(super) inputs: [Value; 2],
    /// The lesion map, if the net segments.
    pub(super) lesion: Option<Value>,
    /// The lesion map that is fed back, if the net has several passes.
    pub(super) mask: Option<Value>,
    /// The classifier's last layer, if the net classifies.
    pub(super) head: Option<Head>,
}

impl Recording {
    /// Records a pass of `net`.
    ///
    /// # Errors
    /// The reason why the engine cannot run the net.
    pub(super) fn new(system: &System) -> Result<Self, String> {
        let recorder = Recorder::default();
        let input = || {
            recorder.value(Kind {
                channels: 1,
                halvings: 0,
                rounded_up: 0,
            })
        };
        let inputs = [input(), input()];
        let pass = system
            .pass_on(&recorder, inputs[0], inputs[1])
            .ok_or("its net is two-dimensional")?;
        let Recorded {
            kinds,
            steps,
            problem,
        } = recorder.0.into_inner();
        if let Some(problem) = problem {
            return Err(problem);
        }
        let mut recording = Self {
            kinds,
            steps,
            inputs,
            lesion: pass.lesion,
            mask: pass.mask,
            head: pass.class_logits,
        };
        recording.remove_unused_steps();
        Ok(recording)
    }

    /// The maps that a run returns or feeds back.
    pub(super) fn results(&self) -> impl Iterator<Item = Value> + '_ {
        let features = self.head.iter().flat_map(|head| &head.maps);
        self.lesion
            .iter()
            .chain(&self.mask)
            .chain(features)
            .copied()
    }

    /// Removes steps whose maps nothing reads, such as outputs that only train.
    fn remove_unused_steps(&mut self) {
        let mut used = vec![false; self.kinds.len()];
        for v in self.results() {
            used[v.0] = true;
        }
        for step in self.steps.iter().rev() {
            if used[step.output.0] {
                for v in step.operation.inputs() {
                    used[v.0] = true;
                }
            }
        }
        self.steps.retain(|step| used[step.output.0]);
    }
}

#[derive(Debug, Default)]
struct Recorded {
    kinds: Vec<Kind>,
    steps: Vec<Step>,
    problem: Option<String>,
}

/// Records operations and computes nothing. It folds batch norms into the weights of the
/// convolutions before them.
#[derive(Debug, Default)]
struct Recorder(RefCell<Recorded>);

impl Recorder {
    fn value(&self, kind: Kind) -> Value {
        let kinds = &mut self.0.borrow_mut().kinds;
        kinds.push(kind);
        Value(kinds.len() - 1)
    }

    fn kind(&self, value: Value) -> Kind {
        self.0.borrow().kinds[value.0]
    }

    fn step(&self, operation: Operation, kind: Kind) -> Value {
        let output = self.value(kind);
        let steps = &mut self.0.borrow_mut().steps;
        steps.push(Step { operation, output });
        output
    }

    /// Adds a layer, or records why that is impossible.
    fn layer(
        &self,
        layer: Result<Layer, String>,
        x: Value,
        residual: Option<Value>,
        kind: Kind,
    ) -> Value {
        match layer {
            Ok(layer) => {
                let layer = Box::new(layer);
                self.step(Operation::Layer { layer, x, residual }, kind)
            }
            Err(problem) => {
                self.0.borrow_mut().problem.get_or_insert(problem);
                self.value(kind)
            }
        }
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn parameter<const D: usize>(parameter: &Param<Tensor<D>>) -> Vec<f32> {
    floats(parameter.val())
}

/// Scale and shift per channel that replace a norm.
fn folded(norm: &NormLayer) -> Result<(Vec<f32>, Vec<f32>), String> {
    let NormLayer::Batch(norm) = norm else {
        return Err("only batch norms can be folded into weights".to_owned());
    };
    Ok(scale_and_shift(norm))
}

fn scale_and_shift(norm: &BatchNorm) -> (Vec<f32>, Vec<f32>) {
    let [gamma, beta] = [&norm.gamma, &norm.beta].map(parameter);
    let [mean, variance] = [&norm.running_mean, &norm.running_var].map(|s| floats(s.value()));
    let scale: Vec<f64> = gamma
        .iter()
        .zip(&variance)
        .map(|(g, v)| f64::from(*g) / (f64::from(*v) + norm.epsilon).sqrt())
        .collect();
    let shift = beta
        .iter()
        .zip(&mean)
        .zip(&scale)
        .map(|((b, m), s)| (f64::from(*b) - f64::from(*m) * s) as f32)
        .collect();
    (scale.into_iter().map(|s| s as f32).collect(), shift)
}

/// The activation's slopes for negative values, one per channel.
fn slopes(act: Activation<'_>, channels: usize) -> Vec<f32> {
    let Activation::PRelu(act) = act else {
        return vec![0.0; channels];
    };
    let alpha = parameter(&act.alpha);
    match alpha.as_slice() {
        [one] => vec![*one; channels],
        _ => alpha,
    }
}

fn plain(layer: &Conv) -> Result<Layer, String> {
    let [co, ci, k, _, _] = layer.weight.dims();
    let made = Layer::conv(
        [ci, co],
        k,
        layer.stride,
        layer.padding,
        parameter(&layer.weight),
    );
    let made = match &layer.bias {
        Some(bias) => made.and_then(|l| l.with_bias(parameter(bias))),
        None => made,
    };
    made.map_err(|e| e.to_string())
}

fn fused(conv: &Conv, norm: &NormLayer, act: Activation<'_>) -> Result<Layer, String> {
    let [co, ci, k, _, _] = conv.weight.dims();
    let (scale, mut shift) = folded(norm)?;
    let mut weights = parameter(&conv.weight);
    for (weights, s) in weights.chunks_exact_mut(ci * k * k * k).zip(&scale) {
        weights.iter_mut().for_each(|w| *w *= s);
    }
    if let Some(bias) = &conv.bias {
        for ((shift, b), s) in shift.iter_mut().zip(parameter(bias)).zip(&scale) {
            *shift += b * s;
        }
    }
    Layer::conv([ci, co], k, conv.stride, conv.padding, weights)
        .and_then(|l| l.with_bias(shift))
        .and_then(|l| l.with_slope(slopes(act, co)))
        .map_err(|e| e.to_string())
}

fn fused_up(conv: &UpConv, norm: &NormLayer, act: &PRelu) -> Result<Layer, String> {
    let [ci, co, _, _, _] = conv.weight.dims();
    let (scale, shift) = folded(norm)?;
    let mut weights = parameter(&conv.weight);
    for weights in weights.chunks_exact_mut(co * 8) {
        for (weights, s) in weights.chunks_exact_mut(8).zip(&scale) {
            weights.iter_mut().for_each(|w| *w *= s);
        }
    }
    Layer::up([ci, co], weights)
        .and_then(|l| l.with_bias(shift))
        .and_then(|l| l.with_slope(slopes(Activation::PRelu(act), co)))
        .map_err(|e| e.to_string())
}

impl Compute for Recorder {
    type Map = Value;
    type Vector = Head;

    fn conv(&self, x: Value, layer: &Conv) -> Value {
        let [channels, _, side, _, _] = layer.weight.dims();
        let kind = self.kind(x).after(channels, side, layer.stride);
        self.layer(plain(layer), x, None, kind)
    }

    fn conv_norm_act(
        &self,
        x: Value,
        conv: &Conv,
        norm: &NormLayer,
        act: Activation<'_>,
        residual: Option<Value>,
    ) -> Value {
        let [channels, _, side, _, _] = conv.weight.dims();
        let kind = self.kind(x).after(channels, side, conv.stride);
        self.layer(fused(conv, norm, act), x, residual, kind)
    }

    fn up(&self, x: Value, conv: &UpConv, norm: &NormLayer, act: &PRelu) -> Value {
        let kind = self.kind(x).doubled(conv.weight.dims()[1]);
        self.layer(fused_up(conv, norm, act), x, None, kind)
    }

    fn norm_relu(&self, x: Value, norm: &NormLayer) -> Value {
        let kind = self.kind(x);
        match folded(norm) {
            Ok((scale, shift)) => self.step(Operation::NormRelu { x, scale, shift }, kind),
            Err(problem) => self.layer(Err(problem), x, None, kind),
        }
    }

    fn up_conv(&self, x: Value, conv: &UpConv) -> Value {
        let [from, to, ..] = conv.weight.dims();
        let layer = Layer::up([from, to], parameter(&conv.weight)).map_err(|e| e.to_string());
        self.layer(layer, x, None, self.kind(x).doubled(to))
    }

    fn trilinear_up2(&self, x: Value) -> Value {
        let kind = self.kind(x);
        self.step(Operation::Trilinear(x), kind.doubled(kind.channels))
    }

    fn cat(&self, maps: Vec<Value>) -> Value {
        let kind = Kind {
            channels: maps.iter().map(|v| self.kind(*v).channels).sum(),
            ..self.kind(maps[0])
        };
        match maps.as_slice() {
            [one] => *one,
            _ => self.step(Operation::Cat(maps), kind),
        }
    }

    fn max_pool(&self, x: Value, window: PoolWindow) -> Value {
        let kind = self.kind(x);
        let kind = kind.after(kind.channels, window.side, window.stride);
        self.step(Operation::MaxPool(x, window), kind)
    }

    fn avg_pool(&self, x: Value, side: usize) -> Value {
        if side == 1 {
            return x;
        }
        let kind = self.kind(x);
        let kind = kind.after(kind.channels, side, side);
        self.step(Operation::AvgPool(x, side), kind)
    }

    fn sigmoid(&self, x: Value) -> Value {
        self.step(Operation::Sigmoid(x), self.kind(x))
    }

    fn reverse_attention(&self, skip: Value, logit: Value) -> Value {
        self.step(Operation::Attend([skip, logit]), self.kind(skip))
    }

    fn fuse(&self, parts: Vec<(Value, &FusionUp, f64)>) -> Value {
        let kind = self.kind(parts[0].0);
        let parts = parts
            .into_iter()
            .map(|(map, up, weight)| Part {
                map,
                weights: parameter(&up.weight)
                    .into_iter()
                    .map(|w| (f64::from(w) * weight) as f32)
                    .collect(),
                factor: up.weight.dims()[2],
            })
            .collect();
        self.step(Operation::Fuse(parts), kind)
    }

    fn channel_max(&self, x: Value) -> Value {
        let kind = Kind {
            channels: 1,
            ..self.kind(x)
        };
        self.step(Operation::Largest(x), kind)
    }

    fn multiply(&self, a: Value, b: Value) -> Value {
        self.step(Operation::Multiply([a, b]), self.kind(a))
    }

    fn add(&self, a: Value, b: Value) -> Value {
        self.step(Operation::Add([a, b]), self.kind(a))
    }

    fn head(&self, maps: Vec<Value>, _: Option<&Dropout>, linear: &Linear) -> Head {
        let classes = linear.weight.dims()[1];
        Head {
            maps,
            weights: parameter(&linear.weight),
            bias: linear.bias.as_ref().map_or(vec![0.0; classes], parameter),
        }
    }
}
