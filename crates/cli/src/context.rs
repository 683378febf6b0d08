//! What commands know of the global arguments.

/// What every command may need to know of the global arguments.
#[derive(Clone, Copy)]
pub struct Context {
    /// Results go to standard output as JSON.
    pub json: bool,
    /// How many times `-v` was given.
    pub verbose: u8,
}
