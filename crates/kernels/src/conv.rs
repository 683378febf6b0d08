//! The convolution: its shapes, and the algorithm of each pass.

use crate::bf16::{Bf16Unit, available_bf16_units, bf16_unit};
use crate::error::{Error, Result};
use crate::pack::{Grid, positions};
use crate::simd::{Isa, available, isa};
use crate::winograd::{Plan, Tile, direct_cycles};

/// Most floats of packed input for a group of images (16 MiB). Such a group stays in the cache.
const GROUP: usize = 4 << 20;

/// Smallest height and width of a plane for which training uses large Winograd tiles.
pub(crate) const LARGE_PLANE: usize = 24;

/// A 3D convolution with a cubic kernel, the same stride and zero padding on every axis; or one of each
/// slice by itself ([`Conv::flat`]).
///
/// Arrays are dense: input `[batch, channels_in, depth, height, width]`, weights
/// `[channels_out, channels_in, kernel, kernel, kernel]` (`[…, 1, 3, 3]` if flat), output
/// `[batch, channels_out, …output()]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Images in the batch.
    pub batch: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Depth, height and width of the input.
    pub input: [usize; 3],
    /// Kernel size on every axis.
    pub kernel: usize,
    /// Stride on every axis, or within a slice.
    pub stride: usize,
    /// Zeros before and after the input on every axis.
    pub padding: usize,
    /// Whether the kernel has only its middle plane.
    flat: bool,
    isa: Isa,
    /// What multiplies bf16; `None` to multiply in `f32`.
    pub(crate) unit: Option<Bf16Unit>,
    algorithm: Algorithm,
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// The algorithm that the cost model expects to be the fastest.
    #[default]
    Auto,
    /// The sums of the definition.
    Direct,
    /// Winograd F(2³,3³); [`Direct`](Self::Direct) unless the kernel is 3³ with stride 1 and
    /// padding 1.
    Winograd2,
    /// Winograd F(2×4²,3³); [`Direct`](Self::Direct) unless the kernel is 3³ with stride 1 and
    /// padding 1.
    Winograd4,
}

impl Conv {
    /// A convolution of the given sizes.
    ///
    /// # Errors
    /// `Shape` if a size is zero or the kernel does not fit into the padded input.
    pub fn new(
        batch: usize,
        [channels_in, channels_out]: [usize; 2],
        input: [usize; 3],
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        let positive = [batch, channels_in, channels_out, kernel, stride];
        if positive.contains(&0) || input.contains(&0) {
            return Err(Error::shape("a size of the convolution is zero".into()));
        }
        if input.iter().any(|&v| v + 2 * padding < kernel) {
            return Err(Error::shape(format!(
                "a kernel of {kernel} does not fit an input of {input:?} with padding {padding}"
            )));
        }
        Ok(Self {
            batch,
            channels_in,
            channels_out,
            input,
            kernel,
            stride,
            padding,
            flat: false,
            isa: isa(),
            unit: bf16_unit(),
            algorithm: Algorithm::Auto,
        })
    }

    /// A convolution of each slice by itself: a kernel of 1 × 3 × 3, and a stride and a padding of 1 within
    /// the slice.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn flat(
        batch: usize,
        channels: [usize; 2],
        input: [usize; 3],
        stride: usize,
    ) -> Result<Self> {
        Ok(Self {
            flat: true,
            ..Self::new(batch, channels, input, 3, stride, 1)?
        })
    }

    /// The same convolution on the instruction set `isa`; unchanged if the processor lacks it.
    #[must_use]
    pub fn with_isa(mut self, isa: Isa) -> Self {
        if available().contains(&isa) {
            self.isa = isa;
        }
        self
    }

    /// The same convolution with products in bf16 on `unit`; unchanged if the processor lacks it.
    #[must_use]
    pub fn with_bf16_unit(mut self, unit: Bf16Unit) -> Self {
        if available_bf16_units().contains(&unit) {
            self.unit = Some(unit);
        }
        self
    }

    /// The same convolution, computed by `algorithm`.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The Winograd plan of a pass, or `None` if the pass runs directly.
    ///
    /// `cycles` gives the expected cost of a plan. The cost model considers large tiles only for
    /// planes of at least `least_plane` positions a side.
    pub(crate) fn winograd(
        &self,
        lanes: usize,
        least_plane: usize,
        cycles: impl Fn(&Plan) -> f64,
    ) -> Option<Plan> {
        if (self.kernel, self.stride, self.padding) != (3, 1, 1) {
            return None;
        }
        let [small, large] = match self.flat {
            false => [Tile::SMALL, Tile::LARGE],
            true => [Tile::SMALL, Tile::LARGE].map(Tile::flat),
        };
        let plan = |tile| Plan::new(tile, self.batch, self.input, lanes);
        match self.algorithm {
            Algorithm::Direct => None,
            Algorithm::Winograd2 => Some(plan(small)),
            Algorithm::Winograd4 => Some(plan(large)),
            Algorithm::Auto => {
                let positions = self.batch * self.input.iter().product::<usize>();
                let channels = [self.channels_in, self.channels_out];
                let direct = direct_cycles(
                    positions * self.taps(),
                    self.input[2],
                    channels,
                    self.isa.lanes(),
                );
                // In small planes large tiles save little time. The batch statistics that follow
                // would be those of few values and would magnify the rounding of large tiles.
                let is_large = self.input[1].min(self.input[2]) >= least_plane;
                [Some(small), Some(large).filter(|_| is_large)]
                    .into_iter()
                    .flatten()
                    .map(plan)
                    .map(|plan| (cycles(&plan), plan))
                    .filter(|(cycles, _)| *cycles < direct)
                    .min_by(|a, b| a.0.total_cmp(&b.0))
                    .map(|(_, plan)| plan)
            }
        }
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Whether the cost model chooses the algorithm.
    pub(crate) fn is_auto(&self) -> bool {
        self.algorithm == Algorithm::Auto
    }

    /// Zeros before and after the input on each axis.
    pub(crate) fn borders(&self) -> [usize; 3] {
        let between_slices = if self.flat { 0 } else { self.padding };
        [between_slices, self.padding, self.padding]
    }

    /// Depth, height and width of the kernel.
    pub fn kernel_shape(&self) -> [usize; 3] {
        let k = self.kernel;
        [if self.flat { 1 } else { k }, k, k]
    }

    /// Stride on each axis.
    pub(crate) fn strides(&self) -> [usize; 3] {
        let s = self.stride;
        [if self.flat { 1 } else { s }, s, s]
    }

    /// Depth, height and width of the output.
    pub fn output(&self) -> [usize; 3] {
        let (kernel, front, stride) = (self.kernel_shape(), self.borders(), self.strides());
        [0, 1, 2].map(|a| (self.input[a] + 2 * front[a] - kernel[a]) / stride[a] + 1)
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.channels_in * self.input.iter().product::<usize>()
    }

    /// Elements of the weights.
    pub fn weight_len(&self) -> usize {
        self.channels_out * self.channels_in * self.taps()
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.batch * self.channels_out * self.output().iter().product::<usize>()
    }

    /// Number of the kernel's weights for a pair of channels.
    pub(crate) fn taps(&self) -> usize {
        self.kernel_shape().iter().product()
    }

    /// Positions of the kernel's weights, in their order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = [usize; 3]> {
        positions(self.kernel_shape())
    }

    /// Positions of one channel of the input.
    pub(crate) fn volume(&self) -> usize {
        self.input.iter().product()
    }

    /// Floating-point operations: two for each multiply-add, those with padding included.
    pub fn flops(&self) -> usize {
        2 * self.output_len() * self.channels_in * self.taps()
    }

    /// Whether the kernel is 1³ with stride 1 and no padding. The input then needs no packing.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// The packed grid of the input, for the forward pass and the weight gradient.
    pub(crate) fn input_grid(&self) -> Grid {
        let (kernel, stride, output) = (self.kernel_shape(), self.strides(), self.output());
        Grid {
            size: [0, 1, 2].map(|a| output[a] + (kernel[a] - 1) / stride[a]),
            stride,
        }
    }

    /// Offsets of the kernel's taps in the packed input.
    pub(crate) fn input_taps(&self) -> Vec<usize> {
        let grid = self.input_grid();
        self.positions().map(|t| grid.tap(t)).collect()
    }

    /// Number of images, of `per_image` packed floats each, that are computed together.
    pub(crate) fn group(&self, per_image: usize) -> usize {
        (GROUP / per_image.max(1)).clamp(1, self.batch)
    }
}
