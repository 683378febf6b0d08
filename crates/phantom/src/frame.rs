//! Conversion between pixels, reference millimetres and the points of a configuration.

/// A linear map of world millimetres in the plane to the patient's reference millimetres.
pub(crate) struct Frame {
    pub origin: [f32; 2],
    pub step: [f32; 2],
    pub position: [f32; 3],
    pub scale: [f32; 3],
    pub turn: [f32; 2],
}

impl Frame {
    /// Reference `(x, y)` of a continuous pixel.
    pub fn reference(&self, column: f32, row: f32) -> [f32; 2] {
        let x = self.origin[0] + column * self.step[0] - self.position[0];
        let y = self.origin[1] + row * self.step[1] - self.position[1];
        let [s, c] = self.turn;
        [
            (c * x + s * y) / self.scale[0],
            (c * y - s * x) / self.scale[1],
        ]
    }

    /// Continuous pixel `(column, row)` of a reference point.
    pub fn pixel(&self, x: f32, y: f32) -> [f32; 2] {
        let (x, y) = (x * self.scale[0], y * self.scale[1]);
        let [s, c] = self.turn;
        let (wx, wy) = (c * x - s * y, c * y + s * x);
        [
            (wx + self.position[0] - self.origin[0]) / self.step[0],
            (wy + self.position[1] - self.origin[1]) / self.step[1],
        ]
    }
}

/// A point `(x, y, z)` in the order of configurations, rounded to a hundredth of a millimetre.
pub(crate) fn zyx(p: [f32; 3]) -> [f64; 3] {
    [p[2], p[1], p[0]].map(|v| (f64::from(v) * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_and_reference_points_are_inverse() {
        let (sin, cos) = 12.0f32.to_radians().sin_cos();
        let frame = Frame {
            origin: [-170.0, -310.5],
            step: [0.8, 1.25],
            position: [6.0, -140.0, -400.0],
            scale: [0.95, 1.1, 1.02],
            turn: [sin, cos],
        };
        for (column, row) in [(0.0, 0.0), (511.0, 3.5), (200.25, 480.0)] {
            let [x, y] = frame.reference(column, row);
            let [c, r] = frame.pixel(x, y);
            assert!(
                (c - column).abs() < 1e-2 && (r - row).abs() < 1e-2,
                "{c} {r}"
            );
        }
        // The patient's reference point is where the patient lies.
        let [column, row] = frame.pixel(0.0, 0.0);
        assert!((frame.origin[0] + column * frame.step[0] - frame.position[0]).abs() < 1e-3);
        assert!((frame.origin[1] + row * frame.step[1] - frame.position[1]).abs() < 1e-3);
    }

    #[test]
    fn configurations_hold_points_in_the_order_of_arrays() {
        assert_eq!(zyx([1.234, -5.678, 90.0]), [90.0, -5.68, 1.23]);
    }
}
