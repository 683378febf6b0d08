//! What a person looks at: the overview picture of a finding, training curves, HTML pages.
//!
//! Figures are composed as SVG and rasterised by `resvg` with an embedded font, so that a picture
//! looks the same on every machine and exists as vector and PNG from one source.

mod curves;
mod error;
mod overview;
mod page;
mod plane;
mod svg;

pub use curves::{Curve, curves_png, curves_svg, read_log};
pub use error::{Error, ErrorKind, Result};
pub use overview::{Overview, overview_png, overview_svg};
pub use page::{Entry, finding_page, index_page};
