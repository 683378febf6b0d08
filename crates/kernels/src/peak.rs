//! The processor's peak rate: multiply-adds on registers, without access to memory.
//!
//! A kernel's speed is judged as a share of this peak. The peak is measured, because the clock rate
//! under load and the other users of shared cores are not known.

use std::hint::black_box;
use std::time::Instant;

#[cfg(target_arch = "x86_64")]
use crate::bf16::{Bf16Unit, available_bf16_units};

/// Independent sums in flight. This is more than latency times units of any processor known to us.
const CHAINS: usize = 16;
/// Iterations of the inner loop between two readings of the clock.
const TURNS: usize = 200_000;

/// Measured arithmetic peaks in 10⁹ floating-point operations per second (GFLOP/s). A multiply-add
/// counts as two operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Rate of multiply-adds in f32.
    pub f32_gflops: f64,
    /// Rate of products of bf16 summed in f32, on the fastest unit for them; `None` if the processor has
    /// none.
    pub bf16_gflops: Option<f64>,
}

/// Measures the peaks of `threads` threads together: the best of five repetitions, which take under
/// a second.
pub fn peak(threads: usize) -> Peak {
    let threads = threads.max(1);
    let best = |work: Work| {
        (0..5)
            .map(|_| together(threads, work))
            .fold(0.0f64, f64::max)
    };
    let (f32_work, bf16_work) = choose();
    Peak {
        f32_gflops: best(f32_work),
        bf16_gflops: bf16_work.map(best),
    }
}

/// A function that runs [`TURNS`] iterations and returns the number of floating-point operations.
type Work = fn() -> f64;

/// The rate of `threads` threads that run `work` in parallel, in GFLOP/s.
fn together(threads: usize, work: Work) -> f64 {
    let barrier = std::sync::Barrier::new(threads);
    let rates: Vec<f64> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    work();
                    barrier.wait();
                    let start = Instant::now();
                    let mut done = 0.0;
                    while start.elapsed().as_millis() < 40 {
                        done += work();
                    }
                    done / start.elapsed().as_secs_f64()
                })
            })
            .collect();
        runs.into_iter().filter_map(|r| r.join().ok()).collect()
    });
    rates.iter().sum::<f64>() / 1e9
}

fn choose() -> (Work, Option<Work>) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        let bf16 = match available_bf16_units()[0] {
            Bf16Unit::Amx => Some(tiles as Work),
            Bf16Unit::Avx512 => Some(x86::bf16_512 as Work),
            Bf16Unit::Portable => None,
        };
        if is_x86_feature_detected!("avx512f") {
            return (x86::f32_512, bf16);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return (x86::f32_256, bf16);
        }
    }
    (portable, None)
}

#[cfg(target_arch = "x86_64")]
fn tiles() -> f64 {
    // SAFETY: `choose` has found AMX.
    unsafe { crate::bf16::multiply_tiles(TURNS) }
}

/// Arrays of floats, which the compiler vectorises.
fn portable() -> f64 {
    const LANES: usize = 4;
    let (a, b) = (black_box(0.999_f32), black_box(1e-3_f32));
    let mut sums = [[0.0f32; LANES]; CHAINS];
    for _ in 0..TURNS {
        for sum in &mut sums {
            for s in sum {
                *s = *s * a + b;
            }
        }
    }
    black_box(sums);
    (2 * LANES * CHAINS * TURNS) as f64
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CHAINS, TURNS};
    use std::arch::x86_64::*;
    use std::hint::black_box;

    pub(super) fn f32_512() -> f64 {
        #[target_feature(enable = "avx512f")]
        fn run() {
            let a = _mm512_set1_ps(black_box(0.999));
            let b = _mm512_set1_ps(black_box(1e-3));
            let mut sums = [_mm512_setzero_ps(); CHAINS];
            for _ in 0..TURNS {
                for s in &mut sums {
                    *s = _mm512_fmadd_ps(*s, a, b);
                }
            }
            black_box(sums);
        }
        // SAFETY: `choose` has checked for AVX-512F.
        unsafe { run() };
        (2 * 16 * CHAINS * TURNS) as f64
    }

    pub(super) fn f32_256() -> f64 {
        #[target_feature(enable = "avx2,fma")]
        fn run() {
            let a = _mm256_set1_ps(black_box(0.999));
            let b = _mm256_set1_ps(black_box(1e-3));
            // AVX2 has sixteen registers, and two of them hold the factors.
            let mut sums = [_mm256_setzero_ps(); CHAINS - 4];
            for _ in 0..TURNS {
                for s in &mut sums {
                    *s = _mm256_fmadd_ps(*s, a, b);
                }
            }
            black_box(sums);
        }
        // SAFETY: `choose` has checked for AVX2 and FMA.
        unsafe { run() };
        (2 * 8 * (CHAINS - 4) * TURNS) as f64
    }

    pub(super) fn bf16_512() -> f64 {
        #[target_feature(enable = "avx512f,avx512bf16")]
        fn run() {
            let a = _mm512_cvtne2ps_pbh(
                _mm512_set1_ps(black_box(0.5)),
                _mm512_set1_ps(black_box(0.25)),
            );
            let b = _mm512_cvtne2ps_pbh(
                _mm512_set1_ps(black_box(1e-3)),
                _mm512_set1_ps(black_box(1e-3)),
            );
            let mut sums = [_mm512_setzero_ps(); CHAINS];
            for _ in 0..TURNS {
                for s in &mut sums {
                    *s = _mm512_dpbf16_ps(*s, a, b);
                }
            }
            black_box(sums);
        }
        // SAFETY: `choose` has checked for AVX-512F and AVX-512 BF16.
        unsafe { run() };
        (4 * 16 * CHAINS * TURNS) as f64
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn peaks_are_those_of_a_processor() {
        let peak = super::peak(1);
        assert!(peak.f32_gflops > 0.1 && peak.f32_gflops < 1e5, "{peak:?}");
        assert!(peak.bf16_gflops.is_none_or(|b| b > 0.1 && b < 1e5));
    }
}
