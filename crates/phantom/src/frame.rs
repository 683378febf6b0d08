//! Pixels, the patient, and points as configurations hold them.

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
