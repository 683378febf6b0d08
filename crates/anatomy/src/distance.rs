//! Euclidean distance transform.
