//! DICOM on the network: `listen`, `fetch`, `send`, `echo` and `doctor`. All of them take the same
//! configuration file.

mod analysis;
mod doctor;
mod echo;
mod fetch;
mod listen;
mod send;

pub use doctor::Doctor;
pub use echo::Echo;
pub use fetch::Fetch;
pub use listen::{Listen, tell};
pub use send::Send;
