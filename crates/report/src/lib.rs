//! Figures, overlays and pages.
