//! Outlines of masks as SVG path data.

use crate::{Error, ErrorKind, Result};
use contour::ContourBuilder;
use std::fmt::Write as _;

/// Outlines along which `values` (`h` rows of `w`) cross one half. `place` moves each point. Sample
/// `(i, j)` has its centre at `(i + 0.5, j + 0.5)`. The outermost samples should be zero, which
/// closes every outline.
pub(crate) fn outline(
    values: &[f64],
    w: usize,
    h: usize,
    place: impl Fn(f64, f64) -> [f64; 2],
) -> Result<String> {
    let lines = ContourBuilder::new(w, h, true)
        .lines(values, &[0.5])
        .map_err(|e| Error::new(ErrorKind::Draw, format!("cannot outline a mask: {e}")))?;
    let mut d = String::new();
    for ring in lines
        .iter()
        .flat_map(|l| l.geometry().0.iter())
        .filter(|r| r.0.len() > 3)
    {
        for (i, point) in ring.0.iter().enumerate() {
            let [x, y] = place(point.x, point.y);
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        d.push('Z');
    }
    Ok(d)
}
