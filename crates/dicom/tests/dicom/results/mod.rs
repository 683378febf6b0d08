//! Results that are written for a series.

mod attributes;
mod check;
mod codes;
mod others;
mod report;
mod segmentation;
mod support;
