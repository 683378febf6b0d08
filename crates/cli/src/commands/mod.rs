//! One command a file: its arguments and what it does with them.

pub mod ablate;
pub mod compare;
pub mod demo;
pub mod evaluate;
pub mod explain;
pub mod info;
pub mod inspect;
pub mod package;
pub mod phantom;
pub mod predict;
pub mod prepare;
pub mod report;
pub mod train;
