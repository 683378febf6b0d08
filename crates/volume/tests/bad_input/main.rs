//! Bad files give errors that name the file and the fault. Nothing panics, and no allocation trusts a
//! header.

mod bombs;
mod files;
mod metaimage;
mod nifti;
mod nrrd;
mod support;
