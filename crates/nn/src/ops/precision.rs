//! The precision of training: of products, and of what the backward pass keeps.

use std::cell::Cell;

use multirnet_kernels::Precision;

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Runs a forward pass whose operations on this thread are recorded in `precision`.
///
/// In [`Precision::Bf16`], convolutions round inputs and weights to bf16 before they multiply, forward and
/// backward, and what they and normalisations keep for the backward pass is in bf16. Sums, weights, statistics,
/// gradients and the maps between layers are in `f32`: this is mixed precision as PyTorch's `autocast`
/// computes it, but for the maps, which `autocast` rounds. A pass without gradients is in `f32`, and so is
/// every pass on devices other than the CPU.
pub fn with_precision<T>(precision: Precision, pass: impl FnOnce() -> T) -> T {
    /// Restores the precision, also if the pass panics.
    struct Restore(Precision);
    impl Drop for Restore {
        fn drop(&mut self) {
            PRECISION.set(self.0);
            super::rounded::forget();
        }
    }
    let _restore = Restore(PRECISION.replace(precision));
    pass()
}

/// Whether passes on this thread are recorded in bf16.
pub(super) fn in_bf16() -> bool {
    PRECISION.get() == Precision::Bf16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_ends_with_its_pass() {
        assert!(!in_bf16());
        let inner = with_precision(Precision::Bf16, || {
            assert!(in_bf16());
            with_precision(Precision::F32, in_bf16)
        });
        assert!(!inner && !in_bf16());
        std::panic::catch_unwind(|| with_precision(Precision::Bf16, || panic!("a test")))
            .unwrap_err();
        assert!(!in_bf16());
    }
}
