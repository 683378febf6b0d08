//! A map times one weight for each cell of 2³ positions, the same for all channels.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use multirnet_kernels::{Values, narrow_into, widen_into};
use rayon::prelude::*;

use super::conv::ConvOps;
use super::flex::{dense, floats, numbers, tensor};
use super::precision::in_bf16;
use super::rounded;
use crate::device::has_kernels;

/// The product.
#[backend_extension(Flex, Autodiff)]
pub trait GateOps: Backend {
    /// The product of a map and its cells' weights, in bf16 if the map is.
    fn gate(x: FloatTensor<Self>, weights: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Gradients of [`GateOps`].
pub trait GateGrads: ConvOps {
    /// Gradients of the map and of the weights, given the gradient `g` of the output.
    fn gate_grads(
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        g: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2];
}

/// Sizes of a map.
#[derive(Clone, Copy)]
struct Sizes {
    channels: usize,
    depth: usize,
    height: usize,
    width: usize,
}

impl Sizes {
    fn of(x: &FlexTensor) -> Self {
        let [_, channels, depth, height, width] = x.shape().dims::<5>();
        Self {
            channels,
            depth,
            height,
            width,
        }
    }

    fn plane(&self) -> usize {
        self.height * self.width
    }

    /// The row of weights above row `y` of plane `plane`, of all planes of all images and channels.
    fn weights<'a>(&self, weights: &'a [f32], plane: usize, y: usize) -> &'a [f32] {
        let (image, z) = (plane / self.depth / self.channels, plane % self.depth);
        let row = (image * self.depth / 2 + z / 2) * self.height / 2 + y / 2;
        &weights[row * self.width / 2..][..self.width / 2]
    }
}

/// Sets `to` to the products of a row's values and the weights of its cells.
fn product(to: &mut [f32], row: &[f32], weights: &[f32]) {
    let pairs = to.as_chunks_mut::<2>().0.iter_mut();
    let pairs = pairs.zip(row.as_chunks::<2>().0);
    for ((to, row), w) in pairs.zip(weights) {
        *to = [row[0] * w, row[1] * w];
    }
}

/// A map that `work` makes row by row of the rows of `from` and the weights above them. It also gets room for two
/// rows of floats.
fn by_rows<T: Copy + Default + Send + Sync>(
    from: &[T],
    weights: &[f32],
    sizes: Sizes,
    work: impl Fn(&mut [T], &[T], &[f32], &mut [f32]) + Sync,
) -> Vec<T> {
    let mut to = vec![T::default(); from.len()];
    to.par_chunks_mut(sizes.plane())
        .zip(from.par_chunks(sizes.plane()))
        .enumerate()
        .for_each(|(plane, (to, from))| {
            let mut room = vec![0f32; 2 * sizes.width];
            let rows = to.chunks_exact_mut(sizes.width);
            for (y, (to, from)) in rows.zip(from.chunks_exact(sizes.width)).enumerate() {
                work(to, from, sizes.weights(weights, plane, y), &mut room);
            }
        });
    to
}

impl GateOps for Flex {
    fn gate(x: FlexTensor, weights: FlexTensor) -> FlexTensor {
        let [x, weights] = [x, weights].map(|t| dense(&t));
        let sizes = Sizes::of(&x);
        let weights = floats(&weights);
        match numbers(&x) {
            Values::F32(values) => {
                let y = by_rows(values, weights, sizes, |to, from, weights, _| {
                    product(to, from, weights);
                });
                tensor(y, x.shape())
            }
            Values::Bf16(values) => {
                let y = by_rows(values, weights, sizes, |to, from, weights, room| {
                    let (row, products) = room.split_at_mut(from.len());
                    widen_into(from, row);
                    product(products, row, weights);
                    narrow_into(products, to);
                });
                rounded::tensor(y, x.shape())
            }
        }
    }
}

impl GateGrads for Flex {
    fn gate_grads(x: FlexTensor, weights: FlexTensor, g: FlexTensor) -> [FlexTensor; 2] {
        let [x, weights, g] = [x, weights, g].map(|t| dense(&t));
        // The gradient of the map is the gradient times the weights.
        let of_x = Self::gate(g.clone(), weights.clone());
        let sizes = Sizes::of(&x);
        let (values, g) = (numbers(&x), floats(&g));
        let mut of_weights = vec![0f32; floats(&weights).len()];
        // A plane of weights belongs to two planes of each channel.
        of_weights
            .par_chunks_mut(sizes.plane() / 4)
            .enumerate()
            .for_each(|(cell, to)| {
                let (image, z) = (cell / (sizes.depth / 2), cell % (sizes.depth / 2));
                let mut widened = vec![0f32; sizes.width];
                for channel in 0..sizes.channels {
                    for y in 0..2 * sizes.height {
                        // Two planes follow each other.
                        let plane = (image * sizes.channels + channel) * sizes.depth + 2 * z;
                        let at = plane * sizes.plane() + y * sizes.width;
                        let row = match values {
                            Values::F32(values) => &values[at..][..sizes.width],
                            Values::Bf16(values) => {
                                widen_into(&values[at..][..sizes.width], &mut widened);
                                &widened[..]
                            }
                        };
                        let g = &g[at..][..sizes.width];
                        let to = &mut to[y % sizes.height / 2 * (sizes.width / 2)..];
                        let pairs = row.as_chunks::<2>().0.iter().zip(g.as_chunks::<2>().0);
                        for (to, (x, g)) in to.iter_mut().zip(pairs) {
                            *to += x[0] * g[0] + x[1] * g[1];
                        }
                    }
                }
            });
        [of_x, tensor(of_weights, weights.shape())]
    }
}

#[derive(Debug)]
struct GateBackward;

impl<B: GateOps + GateGrads> Backward<B, 2> for GateBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let g = grads.consume::<B>(&ops.node);
        let (x, weights) = ops.state;
        let both = B::gate_grads(x, weights, g);
        for (node, grad) in ops.parents.into_iter().zip(both) {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

impl<B: GateOps + GateGrads, C: CheckpointStrategy> GateOps for Autodiff<B, C> {
    fn gate(x: FloatTensor<Self>, weights: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), weights.node()];
        let (x, weights) = (x.into_primitive(), weights.into_primitive());
        match GateBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = if in_bf16() { B::rounded_map(x) } else { x };
                let y = B::gate(x.clone(), weights.clone());
                prep.finish((x, weights), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::gate(x, weights)),
        }
    }
}

/// The product of a map and a weight for each of its cells of 2³ positions; `None` on other devices than the CPU.
///
/// In mixed precision ([`with_precision`](super::with_precision)) the product is in bf16. Convolutions take it
/// as it is.
///
/// # Shapes
///
/// - `x`: `[batch, channels, 2d, 2h, 2w]`
/// - `weights`: `[batch, 1, d, h, w]`
/// - output: as `x`
pub fn gate(x: &Tensor<5>, weights: &Tensor<5>) -> Option<Tensor<5>> {
    let [b, c, d, h, w] = weights.dims();
    let fits = c == 1 && x.dims() == [b, x.dims()[1], 2 * d, 2 * h, 2 * w];
    if !fits || x.dtype() != DType::F32 || weights.dtype() != DType::F32 || !has_kernels(x) {
        return None;
    }
    let [x, weights] = [x, weights].map(|t| t.clone().into_dispatch());
    Some(Tensor::from_dispatch(<Dispatch as GateOps>::gate(
        x, weights,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::nearest_up2;
    use crate::ops::{Precision, with_precision};
    use burn::tensor::{Device, Distribution};

    fn numbers<const D: usize>(t: Tensor<D>) -> Vec<f32> {
        t.into_data().convert::<f32>().iter::<f32>().collect()
    }

    /// Compares root mean squares.
    fn close(what: &str, a: &[f32], b: &[f32], bound: f64) {
        assert_eq!(a.len(), b.len(), "{what}");
        let norm = |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v).powi(2)).sum::<f64>();
        let apart = norm(&mut a.iter().zip(b).map(|(a, b)| a - b)).sqrt();
        let scale = norm(&mut b.iter().copied()).sqrt();
        assert!(apart <= bound * scale, "{what}: {apart} of {scale}");
    }

    #[test]
    fn is_the_product_with_the_repeated_weights() {
        let device = Device::flex().autodiff();
        let random = |shape: [usize; 5]| {
            Tensor::<5>::random(shape, Distribution::Uniform(-1.0, 1.0), &device).require_grad()
        };
        // Two convolutions follow, whose products in bf16 are up to 0.008 apart each where they are Winograd's.
        for (precision, bound) in [(Precision::F32, 1e-6), (Precision::Bf16, 0.04)] {
            let (x, weights) = (random([2, 3, 4, 6, 10]), random([2, 1, 2, 3, 5]));
            let ours = with_precision(precision, || gate(&x, &weights)).unwrap();
            assert_eq!(ours.dtype() == DType::BF16, precision == Precision::Bf16);
            let theirs = x.clone() * nearest_up2(weights.clone());
            close(
                "output",
                &numbers(ours.clone()),
                &numbers(theirs.clone()),
                bound,
            );
            let kernel = random([4, 3, 3, 3, 3]).detach();
            let after = |y: Tensor<5>| {
                let y = crate::ops::conv::conv3d(y, kernel.clone(), None, 1, 1);
                (y.clone() * y).sum().backward()
            };
            let (a, b) = (
                with_precision(precision, || after(ours)),
                with_precision(Precision::F32, || after(theirs)),
            );
            for t in [&x, &weights] {
                let [a, b] = [&a, &b].map(|g| numbers(t.grad(g).unwrap()));
                close("gradient", &a, &b, bound);
            }
        }
    }

    #[test]
    fn refuses_other_sizes() {
        let device = Device::flex();
        let zeros = |shape: [usize; 5]| Tensor::<5>::zeros(shape, &device);
        assert!(gate(&zeros([1, 2, 4, 4, 4]), &zeros([1, 1, 2, 2, 2])).is_some());
        assert!(gate(&zeros([1, 2, 4, 4, 5]), &zeros([1, 1, 2, 2, 2])).is_none());
        assert!(gate(&zeros([1, 2, 4, 4, 4]), &zeros([1, 2, 2, 2, 2])).is_none());
    }
}
