//! The heart, the tissue around it, and the painting of the great tubes.

use super::section::Section;
use super::tubes::Content;
use crate::noise::{lerp, smooth, soft_max, table};

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

    /// Paints great vessels, airways and the oesophagus over `hu`.
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
                Content::Blood => lerp(hu, blood, cover),
                Content::Gullet => lerp(
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
                Content::Airway => lerp(hu, hu.max(10.0), cover),
            };
        }
        for tube in self.tubes.iter().filter(|t| t.kind == Content::Airway) {
            let lumen = tube.inside(x, y, self.z) - 1.6;
            if lumen > -edge {
                hu = lerp(hu, -995.0, smooth(-edge, edge, lumen));
            }
        }
        hu
    }
}
