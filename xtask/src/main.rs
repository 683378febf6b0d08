//! The one gate.
fn main() {}
