//! `listen`, `send`, `fetch`, `echo` and `doctor` as processes, with an archive in this one.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod kills;
mod listening;
mod peers;
mod support;
