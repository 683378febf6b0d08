//! DIMSE: commands (PS3.7) and how they and their data sets travel in PDVs.

mod command;
mod message;
pub mod status;

pub use command::{Command, SubOperations};
pub use message::{Assembler, MAX_COMMAND_BYTES, Piece};
