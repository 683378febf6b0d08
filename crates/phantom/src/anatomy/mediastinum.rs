//! Heart, great vessels, central airways and the oesophagus.

use super::Section;
use crate::noise::{lerp, smooth, soft_max, table};

/// What a tube holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
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
    kind: Kind,
}

impl Tube {
    fn new(a: [f32; 3], b: [f32; 3], ra: f32, rb: f32, kind: Kind) -> Self {
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
    fn inside(&self, x: f32, y: f32, z: f32) -> f32 {
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
    use Kind::{Airway, Blood, Gullet};
    let mut all = Vec::new();
    let mut chain = |points: &[([f32; 3], f32)], kind: Kind, scale: f32| {
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

/// Half width of the mediastinum by depth, mid chest.
const COLUMN: [(f32, f32); 8] = [
    (-95.0, 5.0),
    (-70.0, 5.0),
    (-50.0, 12.0),
    (-32.0, 25.0),
    (0.0, 29.0),
    (24.0, 23.0),
    (42.0, 17.0),
    (60.0, 16.0),
];
/// The same at the thoracic inlet.
const INLET: [(f32, f32); 6] = [
    (-80.0, 20.0),
    (-45.0, 28.0),
    (-20.0, 36.0),
    (10.0, 32.0),
    (35.0, 24.0),
    (60.0, 20.0),
];

impl Section<'_> {
    /// Depth below the heart's surface.
    pub(super) fn heart(&self, x: f32, y: f32) -> f32 {
        let f = &self.anatomy.form;
        let z = self.z - 0.45 * f.rise;
        if !(-95.0..45.0).contains(&z) {
            return -60.0;
        }
        let k = f.heart;
        // Long axis to the left, the front and down.
        let (dx, dy, dz) = (x - 22.0 * k, y + 30.0, z + 30.0);
        let u = 0.72 * dx - 0.46 * dy - 0.52 * dz;
        let v = 0.54 * dx + 0.84 * dy;
        let w = 0.437 * dx - 0.281 * dy + 0.855 * dz;
        let q = ((u / 66.0).powi(2) + (v / 46.0).powi(2) + (w / 44.0).powi(2)).sqrt() / k;
        let ventricles = 48.0 * k * (1.0 - q);
        let atrium = 33.0 * k
            - ((x + 17.0).powi(2) + 0.9 * (y + 20.0).powi(2) + 0.55 * (z + 22.0).powi(2)).sqrt();
        let back =
            24.0 * k - (0.55 * (x - 2.0).powi(2) + (y - 4.0).powi(2) + (z + 6.0).powi(2)).sqrt();
        soft_max(soft_max(ventricles, atrium, 9.0), back, 9.0)
    }

    /// Depth within everything between the lungs.
    pub(super) fn mediastinum(&self, x: f32, y: f32) -> f32 {
        let noise = &self.anatomy.noise;
        let mut depth = self.spinal_column(x, y);
        if y < 66.0 {
            let inlet = smooth(70.0, 118.0, self.z);
            let half = lerp(table(&COLUMN, y), table(&INLET, y), inlet)
                + 1.8 * noise.at(y / 22.0, self.z / 28.0, if x > 0.0 { 3.3 } else { 11.7 });
            let centre = 3.0 - 0.05 * (y + 60.0).min(0.0);
            depth = soft_max(depth, half - (x - centre).abs(), 7.0);
        }
        depth = soft_max(depth, self.heart(x, y) + 2.5, 8.0);
        for tube in &self.tubes {
            let reach = tube.inside(x, y, self.z);
            if reach > -12.0 {
                depth = soft_max(depth, reach + 1.2, 5.0);
            }
        }
        depth
    }

    /// HU between the lungs before tubes are painted.
    pub(super) fn mediastinal(&self, x: f32, y: f32) -> f32 {
        let n = &self.anatomy.noise;
        let z = self.z;
        let lumps = n.rough(x / 8.0, y / 8.0, z / 8.0);
        // Fat with strands, small nodes and, in front, remains of the thymus.
        let mut hu = -96.0 + 18.0 * lumps + 100.0 * smooth(0.32, 0.55, lumps);
        let neck = smooth(88.0, 125.0, z);
        if neck > 0.0 {
            let muscle = smooth(-0.18, 0.0, n.rough(x / 19.0, y / 19.0 + 6.0, z / 40.0));
            hu = lerp(hu, 48.0, 0.9 * neck * muscle);
        }
        let heart = self.heart(x, y);
        if heart > -3.0 {
            let sac = (1.0 - (heart + 0.5).abs() / 1.4).max(0.0);
            hu = lerp(hu, 20.0, 0.8 * sac);
            let fat = 3.0 + 5.0 * (0.4 + n.rough(x / 26.0 + 2.0, y / 26.0, z / 26.0)).max(0.0);
            let muscle =
                self.anatomy.form.blood + 4.0 + 5.0 * n.rough(x / 14.0, y / 14.0, z / 14.0);
            // The groove between atria and ventricles holds fat and the coronaries.
            let groove = (0.72 * (x - 4.0) - 0.46 * (y + 30.0) - 0.52 * (z + 12.0)).abs();
            let groove = smooth(16.0, 4.0, heart) * smooth(5.5, 2.5, groove);
            hu = lerp(
                hu,
                muscle,
                smooth(fat - 1.2, fat + 1.2, heart) * (1.0 - 0.9 * groove),
            );
        }
        hu
    }

    /// Great vessels, airways and the oesophagus over `hu`.
    pub(super) fn paint_tubes(&self, x: f32, y: f32, hu: f32, edge: f32) -> f32 {
        let mut hu = hu;
        let blood = self.anatomy.form.blood;
        for tube in &self.tubes {
            let inside = tube.inside(x, y, self.z);
            if inside < -edge {
                continue;
            }
            let cover = smooth(-edge, edge, inside);
            hu = match tube.kind {
                Kind::Blood => lerp(hu, blood, cover),
                Kind::Gullet => lerp(
                    hu,
                    lerp(
                        38.0,
                        -250.0,
                        0.8 * smooth(4.0, 6.0, inside)
                            * smooth(0.2, 0.5, self.anatomy.noise.at(0.5, 0.5, self.z / 22.0)),
                    ),
                    cover,
                ),
                // Lumens are painted last so that junctions stay open.
                Kind::Airway => lerp(hu, hu.max(10.0), cover),
            };
        }
        for tube in self.tubes.iter().filter(|t| t.kind == Kind::Airway) {
            let lumen = tube.inside(x, y, self.z) - 1.6;
            if lumen > -edge {
                hu = lerp(hu, -995.0, smooth(-edge, edge, lumen));
            }
        }
        hu
    }
}
