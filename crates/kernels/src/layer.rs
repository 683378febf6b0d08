//! Convolutions of a trained net: their weights are packed once, and bias, residual and PReLU are
//! fused into them.

use std::sync::OnceLock;

use crate::bf16::{self, Values, ValuesMut, Weights, bf16_available};
use crate::conv::{Algorithm, Conv};
use crate::direct::{self, Packed};
use crate::epilogue::{Epilogue, EpilogueSource, Residual, Target};
use crate::error::{Error, Result};
use crate::pointer::Pointer;
use crate::winograd::{Filter, Plan, Tile};

/// A batch of feature maps in a slice: channel `c` of image `n` begins at `n · image + c · volume`,
/// where `volume` is the number of positions of a channel.
///
/// An `image` larger than the channels need makes the maps some channels of larger maps.
#[derive(Debug, Clone, Copy)]
pub struct Maps<'a> {
    /// The values, beginning with the first value of the first map.
    pub values: Values<'a>,
    /// Values from one image to the next.
    pub image: usize,
}

/// [`Maps`] that a layer writes.
#[derive(Debug)]
pub struct MapsMut<'a> {
    /// The values, beginning with the first value of the first map.
    pub values: ValuesMut<'a>,
    /// Values from one image to the next.
    pub image: usize,
}

/// Precision of a layer's products. Sums, and the maps between layers, are `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Products in `f32`.
    #[default]
    F32,
    /// Inputs and weights are rounded to bf16 (8 bits of precision) before they are multiplied. The
    /// processor must have instructions for it ([`bf16_available`](crate::bf16_available)).
    Bf16,
}

/// A convolution or transposed convolution with bias, residual and PReLU:
/// `y = prelu(conv(x) + bias + residual)`.
#[derive(Debug)]
pub struct Layer {
    transposed: bool,
    /// Channels of the convolution's input and output; a transposed layer swaps the two.
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
    slope: Option<Vec<f32>>,
    algorithm: Algorithm,
    precision: Precision,
    direct: OnceLock<Packed>,
    small: OnceLock<Filter>,
    large: OnceLock<Filter>,
    /// Weights in bf16 for products of blocks; a set for each phase if transposed.
    blocks: OnceLock<Vec<Weights>>,
}

impl Layer {
    /// A convolution with weights `[channels_out, channels_in, k, k, k]`, without bias and PReLU.
    ///
    /// # Errors
    /// `Mismatch` if the weights have another length; `Shape` if a size is zero.
    pub fn conv(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: usize,
        weights: Vec<f32>,
    ) -> Result<Self> {
        let wanted = channels[0] * channels[1] * kernel.pow(3);
        Error::check_len("the weights", weights.len(), wanted)?;
        // This refuses sizes that are wrong for every input.
        Conv::new(1, channels, [kernel.max(1); 3], kernel, stride, padding)?;
        Ok(Self {
            transposed: false,
            channels,
            kernel,
            stride,
            padding,
            weights,
            bias: None,
            slope: None,
            algorithm: Algorithm::Auto,
            precision: Precision::F32,
            direct: OnceLock::new(),
            small: OnceLock::new(),
            large: OnceLock::new(),
            blocks: OnceLock::new(),
        })
    }

    /// A transposed 2³ convolution with stride 2, which doubles each side; weights
    /// `[channels_in, channels_out, 2, 2, 2]`.
    ///
    /// # Errors
    /// `Mismatch` if the weights have another length; `Shape` if a number of channels is zero.
    pub fn up([channels_in, channels_out]: [usize; 2], weights: Vec<f32>) -> Result<Self> {
        Ok(Self {
            transposed: true,
            ..Self::conv([channels_out, channels_in], 2, 2, 0, weights)?
        })
    }

    /// Adds a bias per output channel.
    ///
    /// # Errors
    /// `Mismatch` if it has another length.
    pub fn with_bias(mut self, bias: Vec<f32>) -> Result<Self> {
        Error::check_len("the bias", bias.len(), self.channels_out())?;
        self.bias = Some(bias);
        Ok(self)
    }

    /// Adds a PReLU with a slope per output channel.
    ///
    /// # Errors
    /// `Mismatch` if it has another length.
    pub fn with_slope(mut self, slope: Vec<f32>) -> Result<Self> {
        Error::check_len("the slopes", slope.len(), self.channels_out())?;
        self.slope = Some(slope);
        Ok(self)
    }

    /// Replaces the cost model's choice of algorithm.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets the precision of the products; [`Precision::F32`] if the processor has no other.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = if bf16_available() {
            precision
        } else {
            Precision::F32
        };
        // The next run packs the weights again.
        (self.small, self.large) = (OnceLock::new(), OnceLock::new());
        self.blocks = OnceLock::new();
    }

    /// Channels of the input.
    pub fn channels_in(&self) -> usize {
        self.channels[usize::from(self.transposed)]
    }

    /// Channels of the output.
    pub fn channels_out(&self) -> usize {
        self.channels[usize::from(!self.transposed)]
    }

    /// Depth, height and width of the output, given those of the input.
    ///
    /// # Errors
    /// `Shape` if the kernel does not fit into the padded input.
    pub fn output(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        if self.transposed {
            return Ok(input.map(|v| 2 * v));
        }
        Ok(self.shape(1, input)?.output())
    }

    /// Floating-point operations for one image: two for each multiply-add, those with padding
    /// included.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn flops(&self, input: [usize; 3]) -> Result<usize> {
        Ok(self.shape(1, input)?.flops())
    }

    /// The convolution for an input. That of a transposed layer leads from its output to its input.
    fn shape(&self, batch: usize, input: [usize; 3]) -> Result<Conv> {
        let input = if self.transposed {
            input.map(|v| 2 * v)
        } else {
            input
        };
        let (k, s, p) = (self.kernel, self.stride, self.padding);
        Ok(Conv::new(batch, self.channels, input, k, s, p)?.with_algorithm(self.algorithm))
    }

    /// Computes `batch` images of size `input`. The residual has one map per output channel, or, if
    /// its flag `broadcast` is set, one map per image that is added to all channels. Maps may be in bf16
    /// where [`reads_bf16_maps`](crate::reads_bf16_maps) is true and the precision is [`Precision::Bf16`].
    ///
    /// # Errors
    /// `Mismatch` if a slice is too short. `Shape` if the kernel does not fit into the padded
    /// input, if the output's images overlap, if a transposed layer gets a residual, or if maps are in bf16
    /// where they may not be.
    pub fn run(
        &self,
        batch: usize,
        input: [usize; 3],
        x: Maps,
        residual: Option<(Maps, bool)>,
        y: MapsMut,
    ) -> Result<()> {
        let conv = self.shape(batch, input)?;
        let (from, to) = (self.channels_in(), self.channels_out());
        let volume: usize = input.iter().product();
        let out: usize = self.output(input)?.iter().product();
        let fits = |what: &str, len: usize, image: usize, channels: usize, volume: usize| {
            let wanted = (batch - 1) * image + channels * volume;
            if len >= wanted {
                Ok(())
            } else {
                Error::check_len(what, len, wanted)
            }
        };
        fits("the input", x.values.len(), x.image, from, volume)?;
        fits("the output", y.values.len(), y.image, to, out)?;
        if batch > 1 && y.image < to * out {
            return Err(Error::shape(format!(
                "the output's images have {} floats but lie {} apart, so they overlap",
                to * out,
                y.image
            )));
        }
        if let Some((r, broadcast)) = &residual {
            let channels = if *broadcast { 1 } else { to };
            fits("the residual", r.values.len(), r.image, channels, out)?;
            if self.transposed {
                return Err(Error::shape(
                    "a transposed convolution cannot add a residual".into(),
                ));
            }
        }
        let mut epilogue = Epilogue {
            bias: self.bias.as_deref(),
            slope: self.slope.as_deref(),
            residual: None,
        };
        let channel_of = |broadcast: bool| if broadcast { 0 } else { out };
        let cycles = |plan: &Plan| plan.forward_cycles(from, to, true);
        let unit = match self.precision {
            Precision::F32 => None,
            Precision::Bf16 => conv.blocks_unit(1, cycles),
        };
        if let Some(unit) = unit {
            let weights = self.blocks.get_or_init(|| match self.transposed {
                true => bf16::packed_transposed(&conv, &self.weights),
                false => vec![bf16::packed(&conv, &self.weights)],
            });
            let residual = residual.map(|(r, broadcast)| bf16::Added {
                values: r.values,
                image: r.image,
                channel: channel_of(broadcast),
            });
            let call = bf16::Call {
                unit,
                values: x.values,
                image: x.image,
                results: bf16::Results::new(y.values, y.image),
                epilogue: &epilogue,
                residual,
            };
            match self.transposed {
                true => bf16::transposed(&conv, weights, call),
                false => bf16::forward(&conv, &weights[0], call),
            }
            return Ok(());
        }
        let wrong = || Error::shape("this layer reads and writes maps in f32 only".into());
        if let Some((r, broadcast)) = residual {
            let Values::F32(x) = r.values else {
                return Err(wrong());
            };
            epilogue.residual = Some(Residual {
                x,
                image: r.image,
                channel: channel_of(broadcast),
            });
        }
        let (Values::F32(from_maps), ValuesMut::F32(to_maps)) = (x.values, y.values) else {
            return Err(wrong());
        };
        let source = EpilogueSource {
            x: from_maps,
            image: x.image,
        };
        let target = Target {
            y: Pointer(to_maps.as_mut_ptr()),
            len: to_maps.len(),
            image: y.image,
        };
        if self.transposed {
            let packed = self
                .direct
                .get_or_init(|| Packed::transposed(&conv, &self.weights));
            direct::transposed(&conv, source, packed, target, &epilogue);
            return Ok(());
        }
        // A trained net uses running statistics, which do not magnify rounding. Large tiles are
        // therefore fine for planes of any size.
        match conv.winograd(conv.isa().lanes(), 1, cycles) {
            Some(plan) => {
                let cell = match plan.tile {
                    Tile::SMALL => &self.small,
                    _ => &self.large,
                };
                let filter = cell.get_or_init(|| {
                    let filter = Filter::new(conv.isa(), plan.tile, from, to, |o, c, t| {
                        self.weights[(o * from + c) * 27 + t]
                    });
                    filter.in_precision(self.precision == Precision::Bf16)
                });
                plan.forward(conv.isa(), source, filter, target, &epilogue);
            }
            None => {
                let packed = self
                    .direct
                    .get_or_init(|| Packed::forward(&conv, &self.weights));
                direct::forward(&conv, source, packed, target, &epilogue);
            }
        }
        Ok(())
    }

    /// Upper bound of the floats of working memory that [`run`](Self::run) allocates per image on
    /// `threads` threads.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn working_floats(&self, input: [usize; 3], threads: usize) -> Result<usize> {
        let conv = self.shape(1, input)?;
        let (from, to) = (self.channels_in(), self.channels_out());
        let cycles = |plan: &Plan| plan.forward_cycles(from, to, true);
        if self.precision == Precision::Bf16 && conv.blocks_unit(1, cycles).is_some() {
            return Ok(bf16::working_floats(&conv, self.transposed, threads));
        }
        if !self.transposed
            && let Some(plan) = conv.winograd(conv.isa().lanes(), 1, cycles)
        {
            return Ok(plan.chunk_floats(from, to) * threads + plan.tile.points() * from * to);
        }
        Ok(direct::working_floats(&conv, self.transposed, threads))
    }
}
