//! Where kernels read and write, and the operations that follow a convolution.

use crate::pointer::Pointer;
use crate::simd::{Simd, dispatch};

/// Where inputs lie: channel `c` of image `n` at `n · image + c · volume`.
#[derive(Clone, Copy)]
pub(crate) struct EpilogueSource<'a> {
    pub x: &'a [f32],
    pub image: usize,
}

impl EpilogueSource<'_> {
    /// # Panics
    /// If the slice is too short for these sizes.
    pub(crate) fn check(&self, batch: usize, channels: usize, volume: usize) {
        assert!((batch - 1) * self.image + channels * volume <= self.x.len());
    }
}

/// Where results go: channel `c` of image `n` at `n · image + c · volume`.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub y: Pointer,
    pub len: usize,
    pub image: usize,
}

impl Target {
    /// # Panics
    /// If it is too short for these sizes.
    pub(crate) fn check(&self, batch: usize, channels: usize, volume: usize) {
        assert!((batch - 1) * self.image + channels * volume <= self.len);
    }
}

/// The array that is added to the results before the PReLU.
#[derive(Clone, Copy)]
pub(crate) struct Residual<'a> {
    pub x: &'a [f32],
    pub image: usize,
    /// Floats from one channel to the next; 0 if one channel is added to all.
    pub channel: usize,
}

/// The operations that follow the convolution: `prelu(result + bias + residual)`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    pub bias: Option<&'a [f32]>,
    pub residual: Option<Residual<'a>>,
    /// PReLU's slope per channel.
    pub slope: Option<&'a [f32]>,
}

impl Epilogue<'_> {
    /// # Panics
    /// If a slice is too short for these sizes.
    pub(crate) fn check(&self, batch: usize, channels: usize, volume: usize) {
        for values in [self.bias, self.slope].into_iter().flatten() {
            assert_eq!(values.len(), channels);
        }
        if let Some(r) = self.residual {
            assert!((batch - 1) * r.image + (channels - 1) * r.channel + volume <= r.x.len());
        }
    }

    /// Index of a position's residual in its slice.
    pub(crate) fn at(&self, image: usize, channel: usize, position: usize) -> usize {
        let residual = self.residual.as_ref();
        residual.map_or(0, |r| image * r.image + channel * r.channel + position)
    }

    /// Applies the epilogue to `n` results at `from` and writes them to `to`, which may be the
    /// same.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`; `from` and `to` have `n` floats; channel and
    /// residual position lie within the sizes that [`check`](Self::check) has checked.
    #[inline(always)]
    pub(crate) unsafe fn row<S: Simd>(
        &self,
        from: *const f32,
        to: *mut f32,
        n: usize,
        channel: usize,
        residual_at: usize,
    ) {
        // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
        unsafe {
            let bias = match self.bias {
                Some(b) => S::splat(*b.get_unchecked(channel)),
                None => S::zero(),
            };
            let slope = match self.slope {
                Some(s) => S::splat(*s.get_unchecked(channel)),
                None => S::splat(1.0),
            };
            let residual = match self.residual {
                Some(r) => r.x.as_ptr().add(residual_at),
                None => std::ptr::null(),
            };
            let mut j = 0;
            while j + S::LANES <= n {
                let mut v = S::add(S::load(from.add(j)), bias);
                if !residual.is_null() {
                    v = S::add(v, S::load(residual.add(j)));
                }
                S::store(to.add(j), S::prelu(v, slope));
                j += S::LANES;
            }
            if j < n {
                let mut v = S::add(S::load_part(from.add(j), 0, n - j), bias);
                if !residual.is_null() {
                    v = S::add(v, S::load_part(residual.add(j), 0, n - j));
                }
                S::store_part(to.add(j), S::prelu(v, slope), n - j);
            }
        }
    }
}

#[inline(always)]
unsafe fn finish_generic<S: Simd>(
    epilogue: &Epilogue,
    from: *const f32,
    to: *mut f32,
    n: usize,
    channel: usize,
    residual_at: usize,
) {
    if epilogue.bias.is_none() && epilogue.slope.is_none() && epilogue.residual.is_none() {
        if !std::ptr::eq(from, to) {
            // SAFETY: the caller's promise; two different rows do not overlap.
            unsafe { to.copy_from_nonoverlapping(from, n) };
        }
        return;
    }
    // SAFETY: the caller promises the instruction set and that all positions lie in their arrays.
    unsafe { epilogue.row::<S>(from, to, n, channel, residual_at) }
}

dispatch! {
    /// [`Epilogue::row`] on the instruction set `isa`.
    ///
    /// # Safety
    /// The processor has `isa`; the other conditions are those of [`Epilogue::row`].
    pub(crate) unsafe fn finish = finish_generic(
        epilogue: &Epilogue,
        from: *const f32,
        to: *mut f32,
        n: usize,
        channel: usize,
        residual_at: usize,
    )
}
