//! Concatenation of the channels of two maps that convolutions read, in mixed precision.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use multirnet_kernels::Values;
use rayon::prelude::*;

use super::conv::ConvOps;
use super::flex::{dense, floats, tensor, values};
use super::precision::in_bf16;
use super::rounded;
use crate::device::has_kernels;

/// The concatenation.
#[backend_extension(Flex, Autodiff)]
pub trait JoinOps: Backend {
    /// The channels of `a` and `b`, both in bf16.
    fn join(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Gradients of [`JoinOps`].
pub trait JoinGrads: ConvOps {
    /// The gradients of the first `channels` channels and of the others.
    fn join_grads(g: FloatTensor<Self>, channels: usize) -> [FloatTensor<Self>; 2];
}

impl JoinOps for Flex {
    fn join(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let [a, b] = [a, b].map(|t| dense(&t));
        let (Some(Values::Bf16(x)), Some(Values::Bf16(y))) = (values(&a), values(&b)) else {
            panic!("join: the maps are not in bf16");
        };
        let [batch, channels, d, h, w] = a.shape().dims::<5>();
        let [_, others, ..] = b.shape().dims::<5>();
        let [x_image, y_image] = [channels, others].map(|c| c * d * h * w);
        let mut to = vec![0u16; x.len() + y.len()];
        to.par_chunks_mut(x_image + y_image)
            .zip(x.par_chunks(x_image).zip(y.par_chunks(y_image)))
            .for_each(|(to, (x, y))| {
                let (first, second) = to.split_at_mut(x_image);
                first.copy_from_slice(x);
                second.copy_from_slice(y);
            });
        rounded::tensor(to, [batch, channels + others, d, h, w])
    }
}

impl JoinGrads for Flex {
    fn join_grads(g: FlexTensor, channels: usize) -> [FlexTensor; 2] {
        let g = dense(&g);
        let [batch, all, d, h, w] = g.shape().dims::<5>();
        let g = floats(&g);
        let [x_image, image] = [channels, all].map(|c| c * d * h * w);
        let part = |from: usize, to: usize| {
            let mut part = vec![0f32; batch * (to - from)];
            part.par_chunks_mut(to - from)
                .zip(g.par_chunks(image))
                .for_each(|(part, g)| part.copy_from_slice(&g[from..to]));
            tensor(part, [batch, (to - from) / (d * h * w), d, h, w])
        };
        [part(0, x_image), part(x_image, image)]
    }
}

#[derive(Debug)]
struct JoinBackward;

impl<B: JoinOps + JoinGrads> Backward<B, 2> for JoinBackward {
    /// Channels of the first map.
    type State = usize;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let g = grads.consume::<B>(&ops.node);
        let both = B::join_grads(g, ops.state);
        for (node, grad) in ops.parents.into_iter().zip(both) {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

impl<B: JoinOps + JoinGrads, C: CheckpointStrategy> JoinOps for Autodiff<B, C> {
    fn join(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [a.node(), b.node()];
        let [a, b] = [a, b].map(|t| B::rounded_map(t.into_primitive()));
        let channels = a.shape()[1];
        let y = B::join(a, b);
        match JoinBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(channels, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The channels of `a` and `b` in bf16; `None` outside a [`with_precision`](super::with_precision) of bf16, on other
/// devices, and without gradients.
///
/// # Shapes
///
/// - `a`, `b`: `[batch, channels, d, h, w]`, equal but for the channels
/// - output: the same with the sum of the channels
pub fn join(a: &Tensor<5>, b: &Tensor<5>) -> Option<Tensor<5>> {
    let is_ours = |t: &Tensor<5>| matches!(t.dtype(), DType::F32 | DType::BF16);
    if !in_bf16()
        || ![a, b].into_iter().all(is_ours)
        || !a.device().is_autodiff()
        || !has_kernels(a)
    {
        return None;
    }
    let [a, b] = [a, b].map(|t| t.clone().into_dispatch());
    Some(Tensor::from_dispatch(<Dispatch as JoinOps>::join(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Precision, with_precision};
    use burn::tensor::{Device, Distribution};

    #[test]
    fn is_the_rounded_concatenation() {
        let device = Device::flex().autodiff();
        let random = |channels: usize| {
            let shape = [2, channels, 3, 4, 5];
            Tensor::<5>::random(shape, Distribution::Uniform(-1.0, 1.0), &device).require_grad()
        };
        let (a, b) = (random(3), random(2));
        assert!(join(&a, &b).is_none());
        let y = with_precision(Precision::Bf16, || join(&a, &b)).unwrap();
        assert_eq!(y.dtype(), DType::BF16);
        let plain = Tensor::cat(vec![a.clone(), b.clone()], 1);
        let numbers = |t: Tensor<5>| {
            t.into_data()
                .convert::<f32>()
                .iter::<f32>()
                .collect::<Vec<_>>()
        };
        let rounded = |v: f32| multirnet_kernels::widen(multirnet_kernels::round(v));
        let wanted: Vec<f32> = numbers(plain.clone()).into_iter().map(rounded).collect();
        assert_eq!(numbers(y.clone()), wanted);

        // The next operation gives an f32 gradient, which goes to the maps as it is.
        let kernel = Tensor::<5>::random([1, 5, 3, 3, 3], Distribution::Default, &device);
        let of = |y: Tensor<5>| {
            let y = crate::ops::conv::conv3d(y, kernel.clone(), None, 1, 1);
            y.sum().backward()
        };
        let ours = with_precision(Precision::Bf16, || of(y));
        let theirs = with_precision(Precision::Bf16, || of(plain));
        for t in [&a, &b] {
            assert_eq!(
                numbers(t.grad(&ours).unwrap()),
                numbers(t.grad(&theirs).unwrap())
            );
        }
    }
}
