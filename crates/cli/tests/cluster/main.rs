//! Many processes that share a folder: parts of a list of scans, the table that is made of them, and the
//! parts of a study.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../failures/lab.rs"]
mod lab;

mod array;
mod batch;
mod parts;
mod scheduler;
mod studies;
