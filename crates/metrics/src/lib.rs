//! Volume and classification metrics.
