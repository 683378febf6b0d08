//! Instruction sets, and the detection of those that the processor has.

use std::sync::OnceLock;

/// An instruction set that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512F: vectors of 16 floats.
    Avx512,
    /// AVX2 with FMA: vectors of 8 floats.
    Avx2,
    /// NEON with fused multiply-add: vectors of 4 floats.
    Neon,
    /// Arrays of 4 floats, which the compiler vectorises for the baseline processor.
    Portable,
}

impl Isa {
    /// Number of floats of a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Avx512 => 16,
            Self::Avx2 => 8,
            Self::Neon | Self::Portable => 4,
        }
    }

    /// Number of output channels of a register tile.
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Avx512 | Self::Neon => 8,
            Self::Avx2 | Self::Portable => 4,
        }
    }
}

/// The instruction set in use: the widest one that the processor has.
///
/// The environment variable `MULTIRNET_ISA` (`avx512`, `avx2`, `neon`, `portable`) can select a
/// narrower one for tests and comparisons. It never selects one that the processor lacks.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        let wish = std::env::var("MULTIRNET_ISA").unwrap_or_default();
        available()
            .into_iter()
            .find(|isa| match wish.as_str() {
                "avx2" => *isa != Isa::Avx512,
                "portable" => *isa == Isa::Portable,
                _ => true,
            })
            .unwrap_or(Isa::Portable)
    })
}

/// Every instruction set that this processor can run, widest first.
pub fn available() -> Vec<Isa> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            found.push(Isa::Avx512);
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            found.push(Isa::Avx2);
        }
    }
    #[cfg(target_arch = "aarch64")]
    found.push(Isa::Neon);
    found.push(Isa::Portable);
    found
}
