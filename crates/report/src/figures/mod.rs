//! The figures of a comparison: each is a pure function from named numbers to SVG.
//!
//! All are drawn in a [`crate::Theme`], for one column of a journal (88 mm) unless their
//! documentation says otherwise. Colour never carries meaning alone: every mark also has a shape, a
//! hatch, a dash pattern or a label. [`crate::figure_png`] makes pictures of them.

mod agreement;
mod bars;
mod boxes;
mod confusion;
mod gradcam;
mod overlay;
mod panels;
mod reliability;
mod roc;
mod slice;
mod unit_square;

pub use agreement::{AgreementGroup, AgreementPlot, bland_altman_svg};
pub use bars::{Bar, BarChart, BarGroup, bar_chart_svg};
pub use boxes::{BoxGroup, BoxPlot, Significance, box_plot_svg};
pub use confusion::{Confusion, confusion_svg};
pub use gradcam::{GradCam, GradCamCase, RandomisedCheck, gradcam_svg};
pub use overlay::{OverlayCase, OverlayFigure, OverlayMask, overlay_svg};
pub use panels::panels_svg;
pub use reliability::{ReliabilityCurve, ReliabilityFigure, reliability_svg};
pub use roc::{RocCurve, RocFigure, roc_svg};
pub use slice::{PixelBox, Slice};
