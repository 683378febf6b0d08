//! Cohorts, splits, windows, augmentation, training loop and checkpoints.
