//! Convolution, batch normalisation, residual and PReLU as one operation of mixed precision.
//!
//! Its convolution multiplies in bf16 and sums in `f32`. The sums are rounded to bf16 once, for the
//! normalisation and for the backward pass; the batch's statistics are those of the sums before that. The
//! output is in `f32`, with a copy in bf16 for the next convolution. A pass over memory is what such an
//! operation takes on a processor, so it saves about half of them.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use multirnet_kernels::{NormAct, Statistics};

use super::conv::{self, ConvOps};
use super::flex::{dense, floats, numbers, tensor};
use super::norm_act::{BatchNormAct, Parameters, fail, given, or_none};
use super::precision::in_bf16;
use super::rounded;
use crate::device::has_kernels;

/// The operation with the batch's statistics.
///
/// A `residual` with one axis stands for no residual, because the macro does not support optional tensors.
#[backend_extension(Flex, Autodiff)]
#[allow(clippy::type_complexity)] // The macro reads the signatures, so they cannot be aliases.
pub trait ConvNormActOps: Backend {
    /// Output, mean and biased variance of each channel, and the convolution's output.
    #[allow(clippy::too_many_arguments)]
    fn conv_norm_act(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        stride: usize,
        padding: usize,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );
}

/// What the backward pass needs.
#[derive(Debug, Clone)]
pub struct Kept<B: Backend> {
    x: FloatTensor<B>,
    w: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    slope: FloatTensor<B>,
    residual: FloatTensor<B>,
    /// The convolution's output.
    z: FloatTensor<B>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    stride: usize,
    padding: usize,
    epsilon: f64,
}

/// Gradients of [`ConvNormActOps`].
pub trait ConvNormActGrads: ConvOps {
    /// Gradients of x, w, γ, β, the slope and the residual, those that are `wanted`.
    fn conv_norm_act_grads(
        kept: Kept<Self>,
        g: FloatTensor<Self>,
        wanted: [bool; 6],
    ) -> [Option<FloatTensor<Self>>; 6];

    /// A map as the operation keeps it.
    fn kept_map(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

fn norm<'a>(
    z: &FlexTensor,
    [gamma, beta, slope]: [&'a FlexTensor; 3],
    epsilon: f64,
) -> NormAct<'a> {
    let shape = z.shape();
    NormAct {
        batch: shape[0],
        channels: shape[1],
        size: shape.iter().skip(2).product(),
        gamma: floats(gamma),
        beta: floats(beta),
        slope: floats(slope),
        epsilon,
    }
}

impl ConvNormActOps for Flex {
    fn conv_norm_act(
        x: FlexTensor,
        w: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        slope: FlexTensor,
        residual: FlexTensor,
        stride: usize,
        padding: usize,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let [x, w, gamma, beta, slope] = [x, w, gamma, beta, slope].map(|t| dense(&t));
        let Some(conv) = conv::plan(&x, &w, stride, padding) else {
            // burn panics on wrong shapes as well. The layers make these shapes.
            panic!("conv_norm_act: the kernel does not fit");
        };
        let (z, statistics) = conv
            .forward_rounded(numbers(&x), floats(&w))
            .unwrap_or_else(|e| fail(e));
        let z = rounded::tensor(z, conv::output_shape(&conv));
        let residual = given(&residual);
        let norm = norm(&z, [&gamma, &beta, &slope], epsilon);
        let (y, short) = norm
            .forward_rounded(numbers(&z), &statistics, residual.as_ref().map(numbers))
            .unwrap_or_else(|e| fail(e));
        let y = tensor(y, z.shape());
        rounded::remember(&y, rounded::tensor(short, z.shape()));
        let channels = [norm.channels];
        (
            y,
            tensor(statistics.mean, channels),
            tensor(statistics.variance, channels),
            z,
        )
    }
}

impl ConvNormActGrads for Flex {
    fn conv_norm_act_grads(
        kept: Kept<Self>,
        g: FlexTensor,
        wanted: [bool; 6],
    ) -> [Option<FlexTensor>; 6] {
        let Kept {
            x,
            w,
            gamma,
            beta,
            slope,
            residual,
            z,
            mean,
            variance,
            stride,
            padding,
            epsilon,
        } = kept;
        let [gamma, beta, slope, g] = [gamma, beta, slope, g].map(|t| dense(&t));
        let residual = given(&residual);
        let statistics = Statistics {
            mean: floats(&mean).to_vec(),
            variance: floats(&variance).to_vec(),
        };
        let norm = norm(&z, [&gamma, &beta, &slope], epsilon);
        let r = residual.as_ref().map(numbers);
        let (dz, grads) = norm
            .backward_rounded(numbers(&z), floats(&g), &statistics, r, wanted[5])
            .unwrap_or_else(|e| fail(e));
        let dz = rounded::tensor(dz, z.shape());
        drop((z, g));
        let of_residual = grads.residual.zip(residual.as_ref());
        let channels = [norm.channels];
        // The weights come first: working memory of theirs is gone before there is a gradient of the map.
        let dw = wanted[1]
            .then(|| Self::conv_weight_grad(x.clone(), w.clone(), dz.clone(), stride, padding));
        let dx = wanted[0].then(|| Self::conv_input_grad(x, w, dz, stride, padding));
        [
            dx,
            dw,
            Some(tensor(grads.gamma, channels)),
            Some(tensor(grads.beta, channels)),
            Some(tensor(grads.slope, channels)),
            of_residual.map(|(values, like)| tensor(values, like.shape())),
        ]
    }

    fn kept_map(x: FlexTensor) -> FlexTensor {
        // One value stands for no residual.
        if x.shape().num_dims() > 1 {
            rounded::rounded_map(x)
        } else {
            x
        }
    }
}

#[derive(Debug)]
struct ConvNormActBackward;

/// The parents are x, w, γ, β, the slope and the residual.
impl<B: ConvNormActGrads> Backward<B, 6> for ConvNormActBackward {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 6>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let g = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let all = B::conv_norm_act_grads(ops.state, g, wanted);
        for (node, grad) in ops.parents.into_iter().zip(all) {
            if let (Some(node), Some(grad)) = (node, grad) {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

impl<B: ConvNormActOps + ConvNormActGrads, C: CheckpointStrategy> ConvNormActOps
    for Autodiff<B, C>
{
    fn conv_norm_act(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        stride: usize,
        padding: usize,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let inputs = [x, w, gamma, beta, slope, residual];
        let nodes = inputs.each_ref().map(|t| t.node());
        let [x, w, gamma, beta, slope, residual] = inputs.map(|t| t.into_primitive());
        let [x, residual] = [x, residual].map(B::kept_map);
        let (y, mean, variance, z) = B::conv_norm_act(
            x.clone(),
            w.clone(),
            gamma.clone(),
            beta.clone(),
            slope.clone(),
            residual.clone(),
            stride,
            padding,
            epsilon,
        );
        let kept = Kept {
            x,
            w,
            gamma,
            beta,
            slope,
            residual,
            z: z.clone(),
            mean: mean.clone(),
            variance: variance.clone(),
            stride,
            padding,
            epsilon,
        };
        let y = match ConvNormActBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(kept, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        let [mean, variance, z] = [mean, variance, z].map(<Self as AutodiffBackend>::from_inner);
        (y, mean, variance, z)
    }
}

/// `prelu(γ · (z − mean) / √(variance + ε) + β + residual)`, where `z` is the convolution of `x` without bias,
/// with the batch's own statistics; `None` where the operation is not one of mixed precision: outside a
/// [`with_precision`](super::with_precision) of bf16, on other devices, and without gradients.
///
/// # Shapes
///
/// - `x` and `weight`: as in [`conv3d`](super::conv::conv3d)
/// - `residual`: as the output, or with one channel, which is then added to every channel
/// - output: as in [`conv3d`](super::conv::conv3d)
pub fn conv_norm_act(
    x: &Tensor<5>,
    weight: Tensor<5>,
    stride: usize,
    padding: usize,
    parameters: &Parameters,
    residual: Option<&Tensor<5>>,
) -> Option<BatchNormAct> {
    let reads = matches!(x.dtype(), DType::F32 | DType::BF16);
    if !in_bf16() || !reads || !x.device().is_autodiff() || !has_kernels(x) {
        return None;
    }
    let p = parameters.clone();
    let (output, mean, variance, _) = <Dispatch as ConvNormActOps>::conv_norm_act(
        x.clone().into_dispatch(),
        weight.into_dispatch(),
        p.gamma.into_dispatch(),
        p.beta.into_dispatch(),
        p.slope.into_dispatch(),
        or_none(residual.cloned(), x),
        stride,
        padding,
        p.epsilon,
    );
    Some(BatchNormAct {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv::conv3d;
    use crate::ops::norm_act::batch_norm_act;
    use crate::ops::{Precision, with_precision};
    use burn::tensor::{Device, Distribution};

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device).require_grad()
    }

    #[test]
    fn is_near_the_separate_operations_in_f32() {
        let device = Device::flex().autodiff();
        for (residual_channels, stride) in [(0, 1), (1, 1), (6, 1), (0, 2)] {
            let x = random([2, 5, 4, 8, 20], &device);
            let w = random([6, 5, 3, 3, 3], &device);
            let [gamma, beta] = [0; 2].map(|_| random([6], &device));
            // A value whose sign the rounding changes takes the other slope. Slopes near 1 keep that small; the
            // kernels' own tests compare the branches value by value.
            let slopes = Distribution::Uniform(0.9, 1.1);
            let slope = Tensor::<1>::random([6], slopes, &device).require_grad();
            let residual =
                (residual_channels > 0).then(|| random([2, residual_channels, 4, 8, 20], &device));
            let parameters = Parameters {
                gamma: gamma.clone(),
                beta: beta.clone(),
                slope: slope.clone(),
                epsilon: 1e-5,
            };
            let fused = || conv_norm_act(&x, w.clone(), stride, 1, &parameters, residual.as_ref());
            assert!(fused().is_none());
            let ours = with_precision(Precision::Bf16, fused).unwrap();
            let z = conv3d(x.clone(), w.clone(), None, stride, 1);
            let theirs = batch_norm_act(z, parameters.clone(), residual.clone());
            let near = |what: &str, a: Vec<f32>, b: Vec<f32>| {
                let norm = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                let apart: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
                let (apart, scale) = (norm(&apart), norm(&b));
                assert_eq!(a.len(), b.len());
                // Winograd's products in bf16, which some processors take, are up to 0.008 apart each.
                assert!(apart < 0.04 * scale, "{what}: {apart} of {scale}");
            };
            let read = |t: Tensor<5>| t.into_data().iter::<f32>().collect::<Vec<_>>();
            let line = |t: Tensor<1>| t.into_data().iter::<f32>().collect::<Vec<_>>();
            near(
                "output",
                read(ours.output.clone()),
                read(theirs.output.clone()),
            );
            assert_ne!(read(ours.output.clone()), read(theirs.output.clone()));
            near("mean", line(ours.mean), line(theirs.mean));
            near("variance", line(ours.variance), line(theirs.variance));
            let g = random(theirs.output.dims(), &device).detach();
            let a = (ours.output * g.clone()).sum().backward();
            let b = (theirs.output * g).sum().backward();
            for t in [&x, &w].into_iter().chain(&residual) {
                near(
                    "gradient",
                    read(t.grad(&a).unwrap()),
                    read(t.grad(&b).unwrap()),
                );
            }
            for t in [&gamma, &beta, &slope] {
                near(
                    "gradient",
                    line(t.grad(&a).unwrap()),
                    line(t.grad(&b).unwrap()),
                );
            }
        }
    }
}
