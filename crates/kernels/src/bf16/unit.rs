//! Units of a processor that multiply bf16, and their detection.

use std::sync::OnceLock;

use crate::simd::{Isa, isa, widest_wanted};

/// What multiplies blocks of bf16 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bf16Unit {
    /// AMX-BF16: tiles of 16 × 32 numbers.
    Amx,
    /// AVX512-BF16: vectors of 16 pairs.
    Avx512,
    /// Plain code, for tests. It is slower than `f32`.
    Portable,
}

/// The unit in use: the fastest that the processor has; `None` if `f32` is faster than all of them.
pub fn bf16_unit() -> Option<Bf16Unit> {
    static UNIT: OnceLock<Option<Bf16Unit>> = OnceLock::new();
    *UNIT.get_or_init(|| {
        let fastest = available_bf16_units().into_iter().find(|unit| match unit {
            Bf16Unit::Amx => widest_wanted(),
            Bf16Unit::Avx512 => has_fast_pairs(),
            Bf16Unit::Portable => false,
        });
        fastest.filter(|_| isa() == Isa::Avx512)
    })
}

/// The unit whose instructions round to bf16. They are fast also where its products are not.
pub(super) fn converting_unit() -> Bf16Unit {
    static UNIT: OnceLock<Bf16Unit> = OnceLock::new();
    *UNIT.get_or_init(|| {
        let has_pairs = available_bf16_units().contains(&Bf16Unit::Avx512);
        if has_pairs && isa() == Isa::Avx512 {
            Bf16Unit::Avx512
        } else {
            Bf16Unit::Portable
        }
    })
}

/// Whether this processor can multiply bf16 faster than `f32`, and the instruction set in use is AVX-512.
pub fn bf16_available() -> bool {
    bf16_unit().is_some()
}

/// Whether layers of [`Precision::Bf16`](crate::Precision) read and write maps in bf16 here.
pub fn reads_bf16_maps() -> bool {
    bf16_unit() == Some(Bf16Unit::Amx)
}

/// Whether the processor multiplies pairs of bf16 faster than single `f32`. Intel's processors need two cycles
/// for what others do in one, so pairs have half the rate of `f32` there (`peak::peak` measures both).
#[cfg(target_arch = "x86_64")]
fn has_fast_pairs() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
    name.as_flattened() != b"GenuineIntel"
}

#[cfg(not(target_arch = "x86_64"))]
fn has_fast_pairs() -> bool {
    false
}

/// Every unit that this processor has, fastest first.
pub fn available_bf16_units() -> Vec<Bf16Unit> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512bf16")
    {
        if amx_allowed() {
            found.push(Bf16Unit::Amx);
        }
        found.push(Bf16Unit::Avx512);
    }
    found.push(Bf16Unit::Portable);
    found
}

/// Whether the processor has AMX-BF16 and the system lets this process use it. Linux saves the tiles of a
/// thread only for a process that has asked for it.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn amx_allowed() -> bool {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    /// `ARCH_REQ_XCOMP_PERM` of `arch_prctl(2)`.
    const REQUEST: libc::c_int = 0x1023;
    /// The tiles' data among the processor's states.
    const TILES: libc::c_ulong = 18;
    *ALLOWED.get_or_init(|| {
        // Bits of CPUID leaf 7: 22 for AMX-BF16, 24 for AMX-TILE.
        let leaf = std::arch::x86_64::__cpuid_count(7, 0);
        let has = |bit: u32| leaf.edx >> bit & 1 == 1;
        // SAFETY: the call takes two numbers and changes nothing but the process's permission.
        has(22) && has(24) && unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILES) } == 0
    })
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn amx_allowed() -> bool {
    false
}
