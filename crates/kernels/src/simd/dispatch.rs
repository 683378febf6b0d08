//! Kernels compiled for every instruction set.

/// Defines `fn $name(isa, args)`, which runs the generic `$kernel::<S>` compiled for `isa`.
macro_rules! dispatch {
    ($(#[$doc:meta])* $vis:vis unsafe fn $name:ident = $kernel:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name(isa: $crate::simd::Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx512($($arg: $type),*) {
                    // SAFETY: the features are enabled here; the rest is the caller's promise.
                    unsafe { $kernel::<$crate::simd::Avx512>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx2($($arg: $type),*) {
                    // SAFETY: the features are enabled here; the rest is the caller's promise.
                    unsafe { $kernel::<$crate::simd::Avx2>($($arg),*) }
                }
                // SAFETY: `isa` comes from `available`, so the processor has the features; the
                // rest is the caller's promise.
                unsafe {
                    match isa {
                        $crate::simd::Isa::Avx512 => return avx512($($arg),*),
                        $crate::simd::Isa::Avx2 => return avx2($($arg),*),
                        $crate::simd::Isa::Neon | $crate::simd::Isa::Portable => {}
                    }
                }
            }
            #[cfg(target_arch = "aarch64")]
            if isa == $crate::simd::Isa::Neon {
                // SAFETY: every AArch64 processor has NEON; the rest is the caller's promise.
                return unsafe { $kernel::<$crate::simd::Neon>($($arg),*) };
            }
            let _ = isa;
            // SAFETY: the portable code needs no feature; the rest is the caller's promise.
            unsafe { $kernel::<$crate::simd::Portable>($($arg),*) }
        }
    };
}
pub(crate) use dispatch;
