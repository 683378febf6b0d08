//! `multirnet serve` and `multirnet cohort` as programs.

#[path = "../common/mod.rs"]
mod common;

mod abuse;
mod commands;
mod kills;
mod support;
