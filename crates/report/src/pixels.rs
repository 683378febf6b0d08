//! Grey values and class activation as pixels.

/// Grey value of a radiodensity in the lung window (centre −600, width 1500 HU).
pub(crate) fn lung_window(hu: f32) -> u8 {
    ((hu + 1350.0) / 1500.0 * 255.0).clamp(0.0, 255.0).round() as u8
}

/// Colour of a class activation in `[0, 1]`.
pub(crate) fn heat_colour(value: f64) -> [u8; 3] {
    let c = colorous::INFERNO.eval_continuous(0.15 + 0.85 * value);
    [c.r, c.g, c.b]
}

/// A grey value blended with the colour of a class activation `value` in `[0, 1]`.
pub(crate) fn blend(grey: u8, value: f32) -> [u8; 3] {
    // NaN counts as no activation.
    let value = match f64::from(value) {
        v if v.is_nan() => 0.0,
        v => v.clamp(0.0, 1.0),
    };
    let alpha = 0.6 * (value * 1.4).min(1.0);
    heat_colour(value)
        .map(|k| (f64::from(grey) * (1.0 - alpha) + f64::from(k) * alpha).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_nan_leave_the_picture_as_it_is() {
        assert_eq!(blend(77, 0.0), [77; 3]);
        assert_eq!(blend(77, f32::NAN), [77; 3]);
        assert_ne!(blend(77, 1.0), [77; 3]);
    }

    #[test]
    fn the_window_spans_1500_hu() {
        assert_eq!(
            [-1400.0, -1350.0, 150.0, 900.0, f32::NAN].map(lung_window),
            [0, 0, 255, 255, 0]
        );
    }
}
