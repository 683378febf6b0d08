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
/// The environment variable `MULTIRNET_ISA` ([`check_isa`]) can select a narrower one for tests and comparisons. It never
/// selects one that the processor lacks.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        let widest = match wish().as_deref() {
            Some("avx2") => Isa::Avx2,
            Some("neon") => Isa::Neon,
            Some("portable") => Isa::Portable,
            _ => Isa::Avx512,
        };
        available()
            .into_iter()
            .find(|isa| isa.lanes() <= widest.lanes())
            .filter(|_| widest != Isa::Portable)
            .unwrap_or(Isa::Portable)
    })
}

/// The environment variable that limits the instruction set: one of [`NAMES`].
const VARIABLE: &str = "MULTIRNET_ISA";
/// Its values. `amx` is `avx512` with tiles of bf16, and the default.
const NAMES: [&str; 5] = ["amx", "avx512", "avx2", "neon", "portable"];

/// What the environment variable asks for; `None` if it is not set, or empty.
fn wish() -> Option<String> {
    let wish = std::env::var_os(VARIABLE)?;
    Some(wish.to_string_lossy().to_ascii_lowercase()).filter(|wish| !wish.is_empty())
}

/// Whether the environment allows instruction sets beyond AVX-512.
pub(crate) fn widest_wanted() -> bool {
    wish().is_none_or(|wish| wish == NAMES[0])
}

/// Checks the environment variable `MULTIRNET_ISA`: `amx`, `avx512`, `avx2`, `neon` or `portable`, the widest
/// instruction set that may be used.
///
/// # Errors
/// `Setting` if it has another value.
pub fn check_isa() -> crate::Result<()> {
    match wish() {
        Some(wish) if !NAMES.contains(&wish.as_str()) => Err(crate::Error::setting(format!(
            "{VARIABLE} is \"{}\"; it must be one of {}, or unset",
            wish.escape_debug(),
            NAMES.join(", ")
        ))),
        _ => Ok(()),
    }
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
