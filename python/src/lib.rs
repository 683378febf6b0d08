//! The extension module `multirnet._multirnet`: the library for Python.
//!
//! The Python files in `python/multirnet` wrap it. They read images of other libraries, name
//! arguments and document everything. Here arrays become volumes and volumes arrays, the interpreter's
//! lock is released while the library works, and errors become exceptions. Structured values cross the
//! border as JSON, so a dictionary in Python holds what the program's own files hold.

mod array;
mod error;
mod finding;
mod grid;
mod logging;
mod masks;
mod model;
mod phantom;
mod request;
mod scan;
mod statistics;
mod study;
mod training;
mod work;

use pyo3::prelude::*;

// As in the command line: page faults would otherwise slow training and whole scans.
#[global_allocator]
static ALLOCATOR: multirnet_kernels::allocator::Allocator = multirnet_kernels::allocator::Allocator;

/// The module's classes and functions.
#[pymodule]
mod _multirnet {
    #[pymodule_export]
    use crate::finding::Finding;
    #[pymodule_export]
    use crate::masks::{score_case, score_cohort, score_lesions, score_overlap, score_surface};
    #[pymodule_export]
    use crate::model::{Model, load_model, models};
    #[pymodule_export]
    use crate::phantom::{Phantom, phantom, phantom_cohort};
    #[pymodule_export]
    use crate::scan::{Scan, read};
    #[pymodule_export]
    use crate::statistics::{
        aggregate, bland_altman, bootstrap_mean, box_summary, classification, holm, one_vs_rest,
        paired_t, quantile, rank_correlation, roc, significance, structural_similarity, wilcoxon,
    };
    #[pymodule_export]
    use crate::study::compare;
    #[pymodule_export]
    use crate::training::train;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::logging::install();
        multirnet_kernels::allocator::keep_freed_pages();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
