//! The multirnet command.
fn main() {}
