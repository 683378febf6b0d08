//! Quantiles.

/// Quantile of sorted values, interpolated between the two around it (definition 7 of Hyndman and
/// Fan, 1996; the default of R and NumPy); `None` without values.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(if below == above {
        below
    } else {
        below + (above - below) * at.fract()
    })
}
