//! Scan in, finding out.
