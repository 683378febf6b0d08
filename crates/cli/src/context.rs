//! The global arguments that commands need.

/// The global arguments that a command may need.
#[derive(Clone, Copy)]
pub struct Context {
    /// Whether results go to standard output as JSON.
    pub json: bool,
    /// Number of times that `-v` was given.
    pub verbose: u8,
}
