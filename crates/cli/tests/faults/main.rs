//! The disk refuses at every step, permissions are lost, clocks jump, and the network is not there: each
//! ends in a message that says what to do, and goes on without hands.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../failures/lab.rs"]
mod lab;
#[allow(dead_code)]
#[path = "../pacs/support.rs"]
mod pacs;
#[allow(dead_code)]
#[path = "../serve/support.rs"]
mod serve;

mod clock;
mod commands;
mod injected;
mod listener;
mod mounts;
mod offline;
mod server;
