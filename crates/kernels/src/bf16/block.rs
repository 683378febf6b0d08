//! Products of small matrices of bf16 with sums in `f32`, on each unit.
//!
//! A tile of the right matrix has 16 pairs of rows and 16 columns: number `2i` and `2i + 1` of a column lie
//! beside each other, as `vdpbf16ps` and `tdpbf16ps` multiply them.

use super::unit::Bf16Unit;

/// Rows, and columns, of a tile of sums.
pub(super) const SIDE: usize = 16;
/// Numbers of a row of the left matrix that a step multiplies.
pub(super) const DEPTH: usize = 32;
/// Floats from one row of a block's sums to the next: a block has at most two tiles beside each other.
pub(super) const SUMS: usize = 2 * SIDE;
/// Most tiles of sums that [`accumulate`] keeps.
pub(super) const KEPT: usize = 6;

/// A tile of the right matrix: `[16 pairs of rows][16 columns][2]`.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Tile(pub [u16; SIDE * DEPTH]);

/// Makes the unit ready for this thread until it is dropped.
pub(super) struct Ready(Bf16Unit);

impl Ready {
    /// # Safety
    /// The processor has `unit`.
    pub(super) unsafe fn new(unit: Bf16Unit) -> Self {
        #[cfg(target_arch = "x86_64")]
        if unit == Bf16Unit::Amx {
            // SAFETY: the caller's promise.
            unsafe { amx::configure() };
        }
        Self(unit)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.0 == Bf16Unit::Amx {
            // SAFETY: `new` has configured the tiles. Released tiles cost a change of threads nothing.
            unsafe { std::arch::asm!("tilerelease", options(nostack, preserves_flags)) };
        }
    }
}

/// The sums of products of a block of `16 · high` rows and `16 · wide` columns: row `r` of the left matrix of
/// step `s` is `a[offsets[s] + r · row..][..32]`, its right matrix the tiles `b[s · wide..][..wide]`. Sums go
/// to `c`, [`SUMS`] floats from row to row.
///
/// # Safety
/// The processor has the unit, which is [`Ready`]; all numbers lie in their arrays; `high` and `wide` are 1
/// or 2.
pub(super) unsafe fn sums(
    unit: Bf16Unit,
    a: *const u16,
    row: usize,
    offsets: &[usize],
    b: *const Tile,
    [high, wide]: [usize; 2],
    c: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Bf16Unit::Amx => match (high, wide) {
                (2, 2) => amx::sums::<2, 2>(a, row, offsets, b, c),
                (2, _) => amx::sums::<2, 1>(a, row, offsets, b, c),
                (_, 2) => amx::sums::<1, 2>(a, row, offsets, b, c),
                _ => amx::sums::<1, 1>(a, row, offsets, b, c),
            },
            #[cfg(target_arch = "x86_64")]
            Bf16Unit::Avx512 => match (high, wide) {
                (2, 2) => avx512::sums::<2>(a, row, offsets, b, 32, c),
                (2, _) => avx512::sums::<1>(a, row, offsets, b, 32, c),
                (_, 2) => avx512::sums::<2>(a, row, offsets, b, 16, c),
                _ => avx512::sums::<1>(a, row, offsets, b, 16, c),
            },
            _ => portable::sums(a, row, offsets, b, [high, wide], c),
        }
    }
}

/// Adds products of the tiles `b` to one tile of sums for each of `places` (at most [`KEPT`]): row `r` of the
/// left matrix of place `p` and step `s` is `a[places[p] + 32 s + r · row..][..32]`. Tile `p` of the sums is
/// `c[256 p..]`, 16 floats a row.
///
/// # Safety
/// The processor has the unit, which is [`Ready`]; all numbers lie in their arrays.
pub(super) unsafe fn accumulate(
    unit: Bf16Unit,
    a: *const u16,
    row: usize,
    places: &[usize],
    b: &[Tile],
    c: *mut f32,
) {
    debug_assert!(places.len() <= KEPT);
    // SAFETY: the caller's promise.
    unsafe {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Bf16Unit::Amx => amx::accumulate(a, row, places, b, c),
            #[cfg(target_arch = "x86_64")]
            Bf16Unit::Avx512 => avx512::accumulate(a, row, places, b, c),
            _ => portable::accumulate(a, row, places, b, c),
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod amx {
    use super::{DEPTH, SIDE, SUMS, Tile};
    use std::arch::asm;

    /// An instruction on tiles with an address and the bytes from row to row.
    macro_rules! tile {
        ($text:literal, $at:expr, $row:expr) => {
            asm!($text, a = in(reg) $at, s = in(reg) $row, options(nostack, preserves_flags))
        };
    }
    macro_rules! tiles {
        ($($text:literal),*) => { asm!($($text),*, options(nostack, preserves_flags)) };
    }

    /// Eight tiles of 16 rows of 64 bytes.
    #[repr(C, align(64))]
    struct Configuration {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }

    /// # Safety
    /// The processor has AMX, and the system allows it.
    pub(super) unsafe fn configure() {
        let mut tiles = Configuration {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        tiles.row_bytes[..8].fill(64);
        tiles.rows[..8].fill(SIDE as u8);
        // SAFETY: the caller's promise; the compiler uses no tile registers itself.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &tiles, options(nostack, preserves_flags, readonly))
        };
    }

    /// Multiplies tiles in registers, four times `turns`. Returns the number of floating-point operations.
    ///
    /// # Safety
    /// The processor has AMX, and the system allows it.
    pub(crate) unsafe fn multiply(turns: usize) -> f64 {
        // SAFETY: the caller's promise. Configured tiles are zero.
        unsafe {
            let _ready = super::Ready::new(super::Bf16Unit::Amx);
            for _ in 0..turns {
                tiles!(
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7"
                );
            }
        }
        (4 * turns * 2 * SIDE * SIDE * DEPTH) as f64
    }

    /// # Safety
    /// The conditions of [`super::sums`].
    pub(super) unsafe fn sums<const HIGH: usize, const WIDE: usize>(
        a: *const u16,
        row: usize,
        offsets: &[usize],
        b: *const Tile,
        c: *mut f32,
    ) {
        let bytes = row * 2;
        let mut b = b;
        // SAFETY: the caller's promise; loads read 16 rows of 64 bytes, stores write them.
        unsafe {
            tiles!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3"
            );
            for &offset in offsets {
                let a = a.add(offset);
                tile!("tileloadd tmm6, [{a} + {s}*1]", b, 64usize);
                tile!("tileloadd tmm4, [{a} + {s}*1]", a, bytes);
                tiles!("tdpbf16ps tmm0, tmm4, tmm6");
                if WIDE == 2 {
                    tile!("tileloadd tmm7, [{a} + {s}*1]", b.add(1), 64usize);
                    tiles!("tdpbf16ps tmm1, tmm4, tmm7");
                }
                if HIGH == 2 {
                    tile!("tileloadd tmm5, [{a} + {s}*1]", a.add(SIDE * row), bytes);
                    tiles!("tdpbf16ps tmm2, tmm5, tmm6");
                    if WIDE == 2 {
                        tiles!("tdpbf16ps tmm3, tmm5, tmm7");
                    }
                }
                b = b.add(WIDE);
            }
            let bytes = SUMS * 4;
            tile!("tilestored [{a} + {s}*1], tmm0", c, bytes);
            if WIDE == 2 {
                tile!("tilestored [{a} + {s}*1], tmm1", c.add(SIDE), bytes);
            }
            if HIGH == 2 {
                let c = c.add(SIDE * SUMS);
                tile!("tilestored [{a} + {s}*1], tmm2", c, bytes);
                if WIDE == 2 {
                    tile!("tilestored [{a} + {s}*1], tmm3", c.add(SIDE), bytes);
                }
            }
        }
    }

    /// # Safety
    /// The conditions of [`super::accumulate`].
    pub(super) unsafe fn accumulate(
        a: *const u16,
        row: usize,
        places: &[usize],
        b: &[Tile],
        c: *mut f32,
    ) {
        let bytes = row * 2;
        macro_rules! each {
            ($text:literal, $n:literal, $at:expr, $row:expr) => {
                if places.len() > $n {
                    tile!($text, $at, $row);
                }
            };
        }
        // SAFETY: the caller's promise; loads read 16 rows of 64 bytes, stores write them.
        unsafe {
            each!("tileloadd tmm0, [{a} + {s}*1]", 0, c, 64usize);
            each!("tileloadd tmm1, [{a} + {s}*1]", 1, c.add(256), 64usize);
            each!("tileloadd tmm2, [{a} + {s}*1]", 2, c.add(512), 64usize);
            each!("tileloadd tmm3, [{a} + {s}*1]", 3, c.add(768), 64usize);
            each!("tileloadd tmm4, [{a} + {s}*1]", 4, c.add(1024), 64usize);
            each!("tileloadd tmm5, [{a} + {s}*1]", 5, c.add(1280), 64usize);
            // The places repeat the first, so that their registers exist; nothing is multiplied there.
            let at = |n: usize| places.get(n).copied().unwrap_or(0);
            let at = [at(0), at(1), at(2), at(3), at(4), at(5)];
            macro_rules! step {
                ($a:expr, $n:literal, $text:literal) => {
                    if places.len() > $n {
                        tile!("tileloadd tmm7, [{a} + {s}*1]", $a.add(at[$n]), bytes);
                        tiles!($text);
                    }
                };
            }
            for (s, b) in b.iter().enumerate() {
                let a = a.add(DEPTH * s);
                tile!("tileloadd tmm6, [{a} + {s}*1]", b, 64usize);
                step!(a, 0, "tdpbf16ps tmm0, tmm7, tmm6");
                step!(a, 1, "tdpbf16ps tmm1, tmm7, tmm6");
                step!(a, 2, "tdpbf16ps tmm2, tmm7, tmm6");
                step!(a, 3, "tdpbf16ps tmm3, tmm7, tmm6");
                step!(a, 4, "tdpbf16ps tmm4, tmm7, tmm6");
                step!(a, 5, "tdpbf16ps tmm5, tmm7, tmm6");
            }
            each!("tilestored [{a} + {s}*1], tmm0", 0, c, 64usize);
            each!("tilestored [{a} + {s}*1], tmm1", 1, c.add(256), 64usize);
            each!("tilestored [{a} + {s}*1], tmm2", 2, c.add(512), 64usize);
            each!("tilestored [{a} + {s}*1], tmm3", 3, c.add(768), 64usize);
            each!("tilestored [{a} + {s}*1], tmm4", 4, c.add(1024), 64usize);
            each!("tilestored [{a} + {s}*1], tmm5", 5, c.add(1280), 64usize);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{DEPTH, SIDE, SUMS, Tile};
    use std::arch::x86_64::*;

    /// # Safety
    /// The conditions of [`super::sums`], for `rows` rows (16 or 32).
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn sums<const WIDE: usize>(
        a: *const u16,
        row: usize,
        offsets: &[usize],
        b: *const Tile,
        rows: usize,
        c: *mut f32,
    ) {
        // SAFETY: the caller's promise; the parts make up the rows.
        unsafe {
            if rows == 32 {
                part::<12, WIDE>(a, row, offsets, b, c);
                part::<12, WIDE>(a.add(12 * row), row, offsets, b, c.add(12 * SUMS));
                part::<8, WIDE>(a.add(24 * row), row, offsets, b, c.add(24 * SUMS));
            } else {
                part::<8, WIDE>(a, row, offsets, b, c);
                part::<8, WIDE>(a.add(8 * row), row, offsets, b, c.add(8 * SUMS));
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        // SAFETY: the caller has checked for AVX512-BF16; the types are 512 bits without invalid values.
        unsafe {
            let a = std::mem::transmute::<__m512i, __m512bh>(a);
            let b = std::mem::transmute::<__m512i, __m512bh>(b);
            _mm512_dpbf16_ps(sum, a, b)
        }
    }

    /// # Safety
    /// The conditions of [`super::sums`], for `ROWS` rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn part<const ROWS: usize, const WIDE: usize>(
        a: *const u16,
        row: usize,
        offsets: &[usize],
        b: *const Tile,
        c: *mut f32,
    ) {
        // SAFETY: the caller's promise; a pair of neighbours may lie at any address.
        unsafe {
            let mut acc = [[_mm512_setzero_ps(); WIDE]; ROWS];
            let mut b: *const __m512i = b.cast();
            for &offset in offsets {
                let a = a.add(offset);
                for pair in 0..DEPTH / 2 {
                    let mut x = [_mm512_setzero_si512(); WIDE];
                    for w in 0..WIDE {
                        x[w] = _mm512_loadu_si512(b.add(w * SIDE + pair));
                    }
                    for r in 0..ROWS {
                        let v = a.add(r * row + 2 * pair).cast::<i32>().read_unaligned();
                        let v = _mm512_set1_epi32(v);
                        for w in 0..WIDE {
                            acc[r][w] = multiply(acc[r][w], v, x[w]);
                        }
                    }
                }
                b = b.add(WIDE * SIDE);
            }
            for r in 0..ROWS {
                for w in 0..WIDE {
                    _mm512_storeu_ps(c.add(r * SUMS + w * SIDE), acc[r][w]);
                }
            }
        }
    }

    /// # Safety
    /// The conditions of [`super::accumulate`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn accumulate(
        a: *const u16,
        row: usize,
        places: &[usize],
        b: &[Tile],
        c: *mut f32,
    ) {
        // SAFETY: the caller's promise; a pair of neighbours may lie at any address.
        unsafe {
            for (n, &place) in places.iter().enumerate() {
                let c = c.add(n * SIDE * SIDE);
                let mut acc = [_mm512_setzero_ps(); SIDE];
                for r in 0..SIDE {
                    acc[r] = _mm512_loadu_ps(c.add(r * SIDE));
                }
                for (s, b) in b.iter().enumerate() {
                    let a = a.add(place + DEPTH * s);
                    let b: *const __m512i = b.0.as_ptr().cast();
                    for pair in 0..DEPTH / 2 {
                        let x = _mm512_loadu_si512(b.add(pair));
                        for r in 0..SIDE {
                            let v = a.add(r * row + 2 * pair).cast::<i32>().read_unaligned();
                            acc[r] = multiply(acc[r], _mm512_set1_epi32(v), x);
                        }
                    }
                }
                for r in 0..SIDE {
                    _mm512_storeu_ps(c.add(r * SIDE), acc[r]);
                }
            }
        }
    }
}

mod portable {
    use super::{DEPTH, SIDE, SUMS, Tile};
    use crate::bf16::widen;

    /// # Safety
    /// The conditions of [`super::sums`].
    pub(super) unsafe fn sums(
        a: *const u16,
        row: usize,
        offsets: &[usize],
        b: *const Tile,
        [high, wide]: [usize; 2],
        c: *mut f32,
    ) {
        for r in 0..high * SIDE {
            for w in 0..wide {
                let mut acc = [0f32; SIDE];
                for (s, offset) in offsets.iter().enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe { add(a.add(offset + r * row), &*b.add(s * wide + w), &mut acc) };
                }
                // SAFETY: the caller's promise.
                unsafe { c.add(r * SUMS + w * SIDE).copy_from(acc.as_ptr(), SIDE) };
            }
        }
    }

    /// # Safety
    /// The conditions of [`super::accumulate`].
    pub(super) unsafe fn accumulate(
        a: *const u16,
        row: usize,
        places: &[usize],
        b: &[Tile],
        c: *mut f32,
    ) {
        for (p, place) in places.iter().enumerate() {
            for r in 0..SIDE {
                // SAFETY: the caller's promise.
                let sums = unsafe { &mut *c.add((p * SIDE + r) * SIDE).cast::<[f32; SIDE]>() };
                for (s, b) in b.iter().enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe { add(a.add(place + DEPTH * s + r * row), b, sums) };
                }
            }
        }
    }

    /// Adds the products of a row and a tile.
    ///
    /// # Safety
    /// `a` has 32 numbers.
    unsafe fn add(a: *const u16, b: &Tile, sums: &mut [f32; SIDE]) {
        for k in 0..DEPTH {
            // SAFETY: the caller's promise.
            let v = widen(unsafe { *a.add(k) });
            for (o, sum) in sums.iter_mut().enumerate() {
                *sum += v * widen(b.0[(k / 2 * SIDE + o) * 2 + k % 2]);
            }
        }
    }
}
