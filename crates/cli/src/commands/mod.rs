//! The commands: one file each, with the command's arguments and its code.

pub mod ablate;
pub mod cohort;
pub mod compare;
pub mod demo;
pub mod dicom;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod info;
pub mod inspect;
pub mod merge;
pub mod package;
pub mod pacs;
pub mod phantom;
pub mod predict;
pub mod predict_list;
pub mod prepare;
pub mod report;
pub mod serve;
pub mod train;
