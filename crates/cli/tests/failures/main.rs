//! Every kind of failure in every command that can meet it: the exit code, and a message that names the
//! file, the reason and the remedy.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod disk;
mod inputs;
mod lab;
mod quiet;
mod stop;
