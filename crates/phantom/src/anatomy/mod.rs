//! The chest as implicit surfaces in reference millimetres (x to the left, y to the back, z up).

mod abdomen;
mod cage;
mod form;
mod lungs;
mod mediastinum;
mod parenchyma;
mod patient;
mod section;
mod shell;
mod site;
mod skeleton;
mod spine;
mod tissue;
mod tubes;

pub(crate) use patient::Anatomy;
pub(crate) use section::Section;
pub(crate) use shell::{BINS, bin_of};
pub(crate) use site::Site;
pub(crate) use tubes::ROOTS;
