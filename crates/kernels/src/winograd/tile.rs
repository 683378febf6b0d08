//! Tiles of outputs.

/// The size of a tile's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Whether the kernel has one plane.
    pub(super) is_flat: bool,
    /// Whether the sides along y and x are 4 and not 2.
    pub(super) is_large: bool,
}

impl Tile {
    /// 2 × 2 × 2.
    pub(crate) const SMALL: Self = Self {
        is_flat: false,
        is_large: false,
    };
    /// 2 × 4 × 4.
    pub(crate) const LARGE: Self = Self {
        is_flat: false,
        is_large: true,
    };

    /// The tile of one plane, for kernels of one plane.
    pub(crate) fn flat(self) -> Self {
        Self {
            is_flat: true,
            ..self
        }
    }

    /// Number of outputs along y and along x.
    pub(crate) fn side(self) -> usize {
        if self.is_large { 4 } else { 2 }
    }

    /// Number of outputs along z.
    pub(crate) fn depth(self) -> usize {
        if self.is_flat { 1 } else { 2 }
    }

    /// Number of transformed points along z.
    pub(super) fn levels(self) -> usize {
        if self.is_flat { 1 } else { 4 }
    }

    /// Number of transformed points: 64 or 144; 16 or 36 if flat.
    pub(crate) fn points(self) -> usize {
        self.levels() * (self.side() + 2).pow(2)
    }

    /// Number of the kernel's weights.
    pub(super) fn taps(self) -> usize {
        if self.is_flat { 9 } else { 27 }
    }
}

/// Calls `$call::<…>($arguments)` with the instruction set, the tile's side and whether it is flat, and
/// then more types.
macro_rules! by_tile {
    ($tile:expr, $call:ident::<$simd:ident $(, $more:tt)*>($($argument:expr),* $(,)?)) => {
        match ($tile.is_large, $tile.is_flat) {
            (false, false) => $call::<$simd, 2, false $(, $more)*>($($argument),*),
            (true, false) => $call::<$simd, 4, false $(, $more)*>($($argument),*),
            (false, true) => $call::<$simd, 2, true $(, $more)*>($($argument),*),
            (true, true) => $call::<$simd, 4, true $(, $more)*>($($argument),*),
        }
    };
}
pub(super) use by_tile;
