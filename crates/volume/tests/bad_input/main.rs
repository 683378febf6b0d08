//! Bad files give errors that name the file and say what is wrong; nothing panics or allocates on
//! a header's word.

mod files;
mod metaimage;
mod nifti;
mod nrrd;
mod support;
