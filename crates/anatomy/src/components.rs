//! Connected components of a mask.
