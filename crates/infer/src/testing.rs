//! Random cases for tests.

/// A small seeded generator: a linear congruential one with PCG's multiplier, whose high bits are
/// used.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    /// A number of `low..=high`.
    pub(crate) fn within(&mut self, low: usize, high: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        low + (self.0 >> 33) as usize % (high - low + 1)
    }
}
