//! Batch normalisation, residual and PReLU as one fused operation.
//!
//! As separate operations these take a dozen passes over memory forward and backward, and keep as
//! many tensors for the backward pass. The fused operation takes two passes forward and two
//! backward, and keeps only its inputs and the statistics.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::{DType, Tensor, activation::prelu, module};
use burn_flex::FlexTensor;
use multirnet_kernels::{NormAct, Statistics, statistics};

use super::flex::{dense, floats, numbers, tensor};
use super::precision::in_bf16;
use super::rounded::rounded_map;
use crate::device::has_kernels;

#[cfg(test)]
mod tests;

/// The fused operation with the batch's statistics, and its gradients.
///
/// A `residual` with one axis stands for no residual, because the macro does not support optional
/// tensors.
#[backend_extension(Flex, Autodiff)]
#[allow(clippy::type_complexity)] // The macro reads the signatures, so they cannot be aliases.
pub trait BatchNormActOps: Backend {
    /// The tensor as the backward pass keeps it: in bf16 if `in_bf16` and the gradients can read it.
    fn rounded(x: FloatTensor<Self>, in_bf16: bool) -> FloatTensor<Self> {
        let _ = in_bf16;
        x
    }

    /// Output, mean and biased variance of each channel.
    fn batch_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of x, γ, β, the slope and (if `want_residual`) the residual.
    #[allow(clippy::too_many_arguments)]
    fn batch_norm_act_grad(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        g: FloatTensor<Self>,
        want_residual: bool,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        Option<FloatTensor<Self>>,
    );
}

/// The fused operation with given statistics, without gradients.
#[backend_extension(Flex)]
pub trait NormActOps: Backend {
    /// The output.
    #[allow(clippy::too_many_arguments)]
    fn norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
}

/// The residual in dense order; `None` if it stands for no residual (see [`BatchNormActOps`]).
pub(super) fn given(residual: &FlexTensor) -> Option<FlexTensor> {
    (residual.shape().num_dims() > 1).then(|| dense(residual))
}

/// Shapes and parameters in the form that the kernels need.
fn plan<'a>(
    x: &FlexTensor,
    [gamma, beta, slope]: [&'a FlexTensor; 3],
    epsilon: f64,
) -> NormAct<'a> {
    let shape = x.shape();
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

pub(super) fn fail(error: multirnet_kernels::Error) -> ! {
    // burn panics on wrong shapes as well. The layers make these shapes, so no input can cause it.
    panic!("norm_act: {error}")
}

impl BatchNormActOps for Flex {
    fn rounded(x: FlexTensor, in_bf16: bool) -> FlexTensor {
        // One value stands for no residual.
        if in_bf16 && x.shape().num_dims() > 1 {
            rounded_map(x)
        } else {
            x
        }
    }

    fn batch_norm_act(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        slope: FlexTensor,
        residual: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [x, gamma, beta, slope] = [x, gamma, beta, slope].map(|t| dense(&t));
        let residual = given(&residual);
        let norm = plan(&x, [&gamma, &beta, &slope], epsilon);
        let run = || {
            let stats = statistics(floats(&x), norm.batch, norm.channels, norm.size)?;
            let y = norm.forward(floats(&x), &stats, residual.as_ref().map(floats))?;
            Ok((y, stats))
        };
        let (y, stats) = run().unwrap_or_else(|e| fail(e));
        let channels = [norm.channels];
        (
            tensor(y, x.shape()),
            tensor(stats.mean, channels),
            tensor(stats.variance, channels),
        )
    }

    fn batch_norm_act_grad(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        slope: FlexTensor,
        residual: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        g: FlexTensor,
        want_residual: bool,
        epsilon: f64,
    ) -> (
        FlexTensor,
        FlexTensor,
        FlexTensor,
        FlexTensor,
        Option<FlexTensor>,
    ) {
        let [x, gamma, beta, slope, g] = [x, gamma, beta, slope, g].map(|t| dense(&t));
        let residual = given(&residual);
        let norm = plan(&x, [&gamma, &beta, &slope], epsilon);
        let stats = Statistics {
            mean: floats(&mean).to_vec(),
            variance: floats(&variance).to_vec(),
        };
        let r = residual.as_ref().map(numbers);
        let grads = norm
            .backward(numbers(&x), floats(&g), &stats, r, want_residual)
            .unwrap_or_else(|e| fail(e));
        let channels = [norm.channels];
        let of_residual = grads.residual.zip(residual.as_ref());
        (
            tensor(grads.x, x.shape()),
            tensor(grads.gamma, channels),
            tensor(grads.beta, channels),
            tensor(grads.slope, channels),
            of_residual.map(|(values, like)| tensor(values, like.shape())),
        )
    }
}

impl NormActOps for Flex {
    fn norm_act(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        slope: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        residual: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        let [x, gamma, beta, slope] = [x, gamma, beta, slope].map(|t| dense(&t));
        let residual = given(&residual);
        let stats = Statistics {
            mean: floats(&dense(&mean)).to_vec(),
            variance: floats(&dense(&variance)).to_vec(),
        };
        let y = plan(&x, [&gamma, &beta, &slope], epsilon)
            .forward(floats(&x), &stats, residual.as_ref().map(floats))
            .unwrap_or_else(|e| fail(e));
        tensor(y, x.shape())
    }
}

#[derive(Debug)]
struct NormActBackward;

/// The tensors that the backward pass needs.
#[derive(Debug, Clone)]
struct Kept<B: Backend> {
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    slope: FloatTensor<B>,
    residual: FloatTensor<B>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    epsilon: f64,
}

/// The parents are x, γ, β, the slope and the residual.
impl<B: BatchNormActOps> Backward<B, 5> for NormActBackward {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 5>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let g = grads.consume::<B>(&ops.node);
        let s = ops.state;
        let want_residual = ops.parents[4].is_some();
        let (x, gamma, beta, slope, residual) = B::batch_norm_act_grad(
            s.x,
            s.gamma,
            s.beta,
            s.slope,
            s.residual,
            s.mean,
            s.variance,
            g,
            want_residual,
            s.epsilon,
        );
        let all = [Some(x), Some(gamma), Some(beta), Some(slope), residual];
        for (node, grad) in ops.parents.into_iter().zip(all) {
            if let (Some(node), Some(grad)) = (node, grad) {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

impl<B: BatchNormActOps, C: CheckpointStrategy> BatchNormActOps for Autodiff<B, C> {
    fn batch_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = [x, gamma, beta, slope, residual];
        let nodes = inputs.each_ref().map(|t| t.node());
        let [x, gamma, beta, slope, residual] = inputs.map(|t| t.into_primitive());
        let (y, mean, variance) = B::batch_norm_act(
            x.clone(),
            gamma.clone(),
            beta.clone(),
            slope.clone(),
            residual.clone(),
            epsilon,
        );
        let y = match NormActBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let in_bf16 = in_bf16();
                let kept = Kept {
                    x: B::rounded(x, in_bf16),
                    gamma,
                    beta,
                    slope,
                    residual: B::rounded(residual, in_bf16),
                    mean: mean.clone(),
                    variance: variance.clone(),
                    epsilon,
                };
                prep.finish(kept, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        let [mean, variance] = [mean, variance].map(<Self as AutodiffBackend>::from_inner);
        (y, mean, variance)
    }

    fn batch_norm_act_grad(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        g: FloatTensor<Self>,
        want_residual: bool,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        Option<FloatTensor<Self>>,
    ) {
        // The result is a constant, because second derivatives are not supported.
        let lift = <Self as AutodiffBackend>::from_inner;
        let (x, gamma, beta, slope, residual) = B::batch_norm_act_grad(
            x.into_primitive(),
            gamma.into_primitive(),
            beta.into_primitive(),
            slope.into_primitive(),
            residual.into_primitive(),
            mean.into_primitive(),
            variance.into_primitive(),
            g.into_primitive(),
            want_residual,
            epsilon,
        );
        (
            lift(x),
            lift(gamma),
            lift(beta),
            lift(slope),
            residual.map(lift),
        )
    }
}

/// Output of [`batch_norm_act`].
#[derive(Debug, Clone)]
pub struct BatchNormAct {
    /// Output `[batch, channels, d, h, w]`.
    pub output: Tensor<5>,
    /// The batch's mean of each channel, `[channels]`.
    pub mean: Tensor<1>,
    /// The batch's biased variance of each channel, `[channels]`.
    pub variance: Tensor<1>,
}

/// Parameters of the fused operation.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// Scale γ, `[channels]`.
    pub gamma: Tensor<1>,
    /// Shift β, `[channels]`.
    pub beta: Tensor<1>,
    /// PReLU's negative slope, `[channels]`.
    pub slope: Tensor<1>,
    /// ε, added to the variance.
    pub epsilon: f64,
}

pub(super) fn or_none(residual: Option<Tensor<5>>, x: &Tensor<5>) -> burn::backend::DispatchTensor {
    match residual {
        Some(residual) => residual.into_dispatch(),
        None => Tensor::<1>::zeros([1], &x.device()).into_dispatch(),
    }
}

/// `prelu(γ · (x − mean) / √(variance + ε) + β + residual)` with the batch's own statistics.
///
/// # Shapes
///
/// - `x` and output: `[batch, channels, d, h, w]`
/// - `residual`: as `x`, or with one channel, which is then added to every channel
pub fn batch_norm_act(
    x: Tensor<5>,
    parameters: Parameters,
    residual: Option<Tensor<5>>,
) -> BatchNormAct {
    let Parameters {
        gamma,
        beta,
        slope,
        epsilon,
    } = parameters;
    if x.dtype() != DType::F32 || !has_kernels(&x) {
        let norm = module::batch_norm_train(x, gamma, beta, epsilon);
        return BatchNormAct {
            output: prelu(add(norm.output, residual), slope),
            mean: norm.mean,
            variance: norm.variance,
        };
    }
    let residual = or_none(residual, &x);
    let (output, mean, variance) = <Dispatch as BatchNormActOps>::batch_norm_act(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        slope.into_dispatch(),
        residual,
        epsilon,
    );
    BatchNormAct {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// [`batch_norm_act`]'s operation with given statistics in place of the batch's.
///
/// # Shapes
///
/// - `x`, `residual` and output: as in [`batch_norm_act`]
/// - `mean` and `variance`: `[channels]`
pub fn norm_act(
    x: Tensor<5>,
    parameters: Parameters,
    [mean, variance]: [Tensor<1>; 2],
    residual: Option<Tensor<5>>,
) -> Tensor<5> {
    let Parameters {
        gamma,
        beta,
        slope,
        epsilon,
    } = parameters;
    if x.dtype() != DType::F32 || x.device().is_autodiff() || !has_kernels(&x) {
        let y = module::batch_norm(x, gamma, beta, mean, variance, epsilon);
        return prelu(add(y, residual), slope);
    }
    let residual = or_none(residual, &x);
    Tensor::from_dispatch(<Dispatch as NormActOps>::norm_act(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        slope.into_dispatch(),
        mean.into_dispatch(),
        variance.into_dispatch(),
        residual,
        epsilon,
    ))
}

fn add(x: Tensor<5>, residual: Option<Tensor<5>>) -> Tensor<5> {
    match residual {
        Some(residual) => x + residual,
        None => x,
    }
}
