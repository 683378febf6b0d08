//! The recording of a net: its operations and the maps that they read and write.

use burn::module::Param;
use burn::nn::{BatchNorm, Dropout, Linear, PRelu};
use burn::tensor::Tensor;
use multirnet_kernels::Layer;
use multirnet_nn::layers::{Conv, FusionUp, NormLayer, UpConv};
use multirnet_nn::{Compute, MultiRNet};
use std::cell::RefCell;

/// A map of features in the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Value(pub(super) usize);

/// Number of channels of a map, and how often its sides have been halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) channels: usize,
    pub(super) halvings: u32,
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
    /// Concatenation of the channels of both maps.
    Cat([Value; 2]),
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
            Self::Cat(v) | Self::Attend(v) | Self::Multiply(v) | Self::Add(v) => v.to_vec(),
            Self::Fuse(parts) => parts.iter().map(|p| p.map).collect(),
            Self::Largest(x) => vec![*x],
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
    /// The two maps whose averages, one after the other, are the layer's input.
    pub(super) maps: [Value; 2],
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
    pub(super) lesion: Value,
    /// The lesion map that is fed back.
    pub(super) mask: Value,
    pub(super) head: Head,
}

impl Recording {
    /// Records a pass of `net`.
    ///
    /// # Errors
    /// The reason why the engine cannot run the net.
    pub(super) fn new(net: &MultiRNet) -> Result<Self, String> {
        let recorder = Recorder::default();
        let input = || {
            recorder.value(Kind {
                channels: 1,
                halvings: 0,
            })
        };
        let inputs = [input(), input()];
        let pass = net.pass_on(&recorder, inputs[0], inputs[1]);
        let mask = net.lesion_mask(&recorder, pass.lesion);
        let Recorded {
            kinds,
            steps,
            problem,
        } = recorder.0.into_inner();
        if let Some(problem) = problem {
            return Err(problem);
        }
        Ok(Self {
            kinds,
            steps,
            inputs,
            lesion: pass.lesion,
            mask,
            head: pass.class_logits.ok_or("it has no classification subnet")?,
        })
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

/// The PReLU's slopes, one per channel.
fn slopes(act: &PRelu, channels: usize) -> Vec<f32> {
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

fn fused(conv: &Conv, norm: &NormLayer, act: &PRelu) -> Result<Layer, String> {
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
        .and_then(|l| l.with_slope(slopes(act, co)))
        .map_err(|e| e.to_string())
}

impl Compute for Recorder {
    type Map = Value;
    type Vector = Head;

    fn conv(&self, x: Value, layer: &Conv) -> Value {
        let kind = Kind {
            channels: layer.weight.dims()[0],
            halvings: self.kind(x).halvings + layer.stride.ilog2(),
        };
        self.layer(plain(layer), x, None, kind)
    }

    fn conv_norm_act(
        &self,
        x: Value,
        conv: &Conv,
        norm: &NormLayer,
        act: &PRelu,
        residual: Option<Value>,
    ) -> Value {
        let kind = Kind {
            channels: conv.weight.dims()[0],
            halvings: self.kind(x).halvings + conv.stride.ilog2(),
        };
        self.layer(fused(conv, norm, act), x, residual, kind)
    }

    fn up(&self, x: Value, conv: &UpConv, norm: &NormLayer, act: &PRelu) -> Value {
        let kind = Kind {
            channels: conv.weight.dims()[1],
            halvings: self.kind(x).halvings - 1,
        };
        self.layer(fused_up(conv, norm, act), x, None, kind)
    }

    fn cat(&self, a: Value, b: Value) -> Value {
        let kind = Kind {
            channels: self.kind(a).channels + self.kind(b).channels,
            ..self.kind(a)
        };
        self.step(Operation::Cat([a, b]), kind)
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

    fn head(&self, maps: [Value; 2], _: &Dropout, linear: &Linear) -> Head {
        let classes = linear.weight.dims()[1];
        Head {
            maps,
            weights: parameter(&linear.weight),
            bias: linear.bias.as_ref().map_or(vec![0.0; classes], parameter),
        }
    }
}
