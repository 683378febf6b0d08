//! Great vessels, central airways and the oesophagus.

use crate::noise::lerp;

/// What a tube holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Blood,
    /// Air within a wall; the radius is the outer one.
    Airway,
    Gullet,
}

/// A tapered straight piece of a great vessel or airway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tube {
    a: [f32; 3],
    d: [f32; 3],
    inverse: f32,
    ra: f32,
    rb: f32,
    pub(super) kind: Content,
}

impl Tube {
    fn new(a: [f32; 3], b: [f32; 3], ra: f32, rb: f32, kind: Content) -> Self {
        let d = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
        let inverse = 1.0 / (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).max(1e-3);
        Self {
            a,
            d,
            inverse,
            ra,
            rb,
            kind,
        }
    }

    /// Whether it comes within `margin` of the height `z`.
    pub fn meets(&self, z: f32, margin: f32) -> bool {
        let (low, high) = (
            self.a[2].min(self.a[2] + self.d[2]),
            self.a[2].max(self.a[2] + self.d[2]),
        );
        let reach = self.ra.max(self.rb) + margin;
        z > low - reach && z < high + reach
    }

    /// Depth of a point below the tube's surface.
    #[inline]
    pub(super) fn inside(&self, x: f32, y: f32, z: f32) -> f32 {
        let q = [x - self.a[0], y - self.a[1], z - self.a[2]];
        let t = ((q[0] * self.d[0] + q[1] * self.d[1] + q[2] * self.d[2]) * self.inverse)
            .clamp(0.0, 1.0);
        let e = [
            q[0] - t * self.d[0],
            q[1] - t * self.d[1],
            q[2] - t * self.d[2],
        ];
        lerp(self.ra, self.rb, t) - (e[0] * e[0] + e[1] * e[1] + e[2] * e[2]).sqrt()
    }
}

/// Where the peripheral trees start: `[side][artery, vein, bronchus]` at `(x, y, z)`.
pub(crate) const ROOTS: [[[f32; 3]; 3]; 2] = [
    [[-46.0, 10.0, 8.0], [-38.0, 14.0, -8.0], [-37.0, 15.0, 12.0]],
    [[48.0, 16.0, 14.0], [40.0, 17.0, -6.0], [43.0, 20.0, 8.0]],
];

/// The great vessels and airways.
pub(super) fn tubes(aorta: f32, vary: &mut impl FnMut(f64, f64) -> f32) -> Vec<Tube> {
    use Content::{Airway, Blood, Gullet};
    let mut all = Vec::new();
    let mut chain = |points: &[([f32; 3], f32)], kind: Content, scale: f32| {
        for w in points.windows(2) {
            all.push(Tube::new(
                w[0].0,
                w[1].0,
                w[0].1 * scale,
                w[1].1 * scale,
                kind,
            ));
        }
    };
    let (tx, dx) = (vary(0.0, 2.0), vary(0.0, 3.0));
    chain(
        &[
            ([-6.0, -20.0, -8.0], 15.5),
            ([-15.0, -28.0, 22.0], 15.5),
            ([-12.0, -24.0, 46.0], 15.0),
            ([2.0, -6.0, 60.0], 14.0),
            ([16.0, 15.0, 60.0], 13.2),
            ([23.0, 32.0, 46.0], 12.8),
            ([24.0 + dx, 37.0, 0.0], 12.2),
            ([17.0 + dx, 34.0, -60.0], 11.4),
            ([7.0, 30.0, -120.0], 10.6),
            ([2.0, 24.0, -200.0], 10.0),
        ],
        Blood,
        aorta,
    );
    for points in [
        &[
            ([-6.0, -14.0, 64.0], 6.5),
            ([-18.0, -13.0, 96.0], 6.0),
            ([-26.0, -8.0, 150.0], 5.0),
        ][..],
        &[
            ([4.0, -4.0, 66.0], 4.2),
            ([13.0, 0.0, 96.0], 4.0),
            ([19.0, 0.0, 160.0], 3.8),
        ],
        &[
            ([14.0, 12.0, 64.0], 5.2),
            ([26.0, 14.0, 104.0], 4.8),
            ([62.0, 0.0, 132.0], 4.5),
        ],
        &[
            ([-28.0, -20.0, 72.0], 9.0),
            ([-28.0, -17.0, 30.0], 9.5),
            ([-26.0, -14.0, 0.0], 10.0),
        ],
        &[
            ([-28.0, -20.0, 72.0], 7.5),
            ([-34.0, -20.0, 100.0], 7.0),
            ([-44.0, -16.0, 150.0], 6.0),
        ],
        &[
            ([-26.0, -22.0, 72.0], 7.0),
            ([0.0, -36.0, 82.0], 6.5),
            ([30.0, -28.0, 104.0], 6.5),
            ([42.0, -14.0, 150.0], 6.0),
        ],
        &[([12.0, -40.0, 4.0], 14.0), ([17.0, -24.0, 30.0], 13.5)],
        &[
            ([17.0, -22.0, 32.0], 12.0),
            ([36.0, 2.0, 37.0], 9.5),
            ([47.0, 14.0, 22.0], 8.0),
            ([51.0, 20.0, -4.0], 5.5),
        ],
        &[
            ([14.0, -18.0, 28.0], 11.5),
            ([-20.0, -5.0, 27.0], 10.0),
            ([-42.0, 3.0, 20.0], 8.2),
            ([-49.0, 13.0, -6.0], 5.8),
        ],
        &[([-8.0, 12.0, 0.0], 8.0), ([-42.0, 17.0, -12.0], 5.0)],
        &[([12.0, 14.0, 0.0], 8.0), ([42.0, 19.0, -10.0], 5.0)],
        &[([-10.0, 2.0, 8.0], 7.0), ([-42.0, -14.0, 18.0], 4.6)],
        &[([16.0, -2.0, 8.0], 7.0), ([44.0, -12.0, 20.0], 4.6)],
        &[
            ([-7.0, 35.0, -140.0], 3.2),
            ([-8.0, 35.0, 44.0], 4.0),
            ([-20.0, 10.0, 50.0], 4.0),
        ],
        &[
            ([-20.0, -2.0, -40.0], 12.0),
            ([-22.0, 8.0, -110.0], 12.0),
            ([-16.0, 12.0, -200.0], 11.5),
        ],
    ] {
        chain(points, Blood, 1.0);
    }
    chain(
        &[
            ([4.0, 22.0, 160.0], 6.0),
            ([3.0, 28.0, 60.0], 6.0),
            ([7.0, 27.0, 0.0], 6.5),
            ([13.0, 20.0, -60.0], 7.0),
            ([24.0, 4.0, -90.0], 8.0),
        ],
        Gullet,
        1.0,
    );
    chain(
        &[
            ([0.0, -4.0, 165.0], 9.8),
            ([tx, 4.0, 100.0], 9.8),
            ([tx - 1.0, 13.0, 44.0], 9.8),
        ],
        Airway,
        1.0,
    );
    chain(
        &[
            ([tx - 2.0, 13.0, 46.0], 8.6),
            ([-22.0, 15.0, 25.0], 7.8),
            ([-38.0, 15.0, 11.0], 6.2),
        ],
        Airway,
        1.0,
    );
    chain(
        &[
            ([tx + 2.0, 13.0, 46.0], 8.2),
            ([24.0, 18.0, 22.0], 7.2),
            ([44.0, 20.0, 7.0], 6.0),
        ],
        Airway,
        1.0,
    );
    all
}
