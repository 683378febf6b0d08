//! The shape and the density of one implanted lesion.

use super::lobes::Lobes;
use crate::noise::{Lobules, Noise, lerp, smooth};
use crate::{Lobe, Side};
use serde::{Deserialize, Serialize};

/// Shape and density of an implanted lesion. Points are millimetres `[z, y, x]` from the variant's
/// first voxel along its axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImplantedLesion {
    /// Outline before its irregularity.
    pub form: Form,
    /// The lung that it lies in. It never crosses over.
    pub side: Side,
    /// The lobe that bounds it, if it respects the fissures.
    pub lobe: Option<Lobe>,
    /// Centre.
    pub centre_mm: [f32; 3],
    /// Half axes.
    pub radii_mm: [f32; 3],
    /// Rotation about the long axis in degrees.
    pub yaw_deg: f32,
    /// Irregularity of the outline, 0 to 1.
    pub roughness: f32,
    /// Width in mm over which it fades out.
    pub edge_mm: f32,
    /// Share of the air that full ground glass replaces, 0 to 1.
    pub filling: f32,
    /// Strength of the texture's parts, 0 to 1.
    pub texture: Texture,
    /// Consolidation within it.
    pub core: Core,
    /// Share of the air that full consolidation replaces, 0 to 1.
    pub core_filling: f32,
    /// Shift of all textures.
    pub phase: f32,
}

/// Outline of a lesion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// An ellipsoid.
    Patch,
    /// The part of an ellipsoid within this many mm of the lung's surface.
    Band(f32),
    /// A cone from the hilum through the centre: its half angle in degrees, and the distance from the
    /// hilum in mm at which it begins.
    Wedge(f32, f32),
}

/// What makes ground glass uneven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texture {
    /// Unevenness over about 15 mm.
    pub coarse: f32,
    /// Unevenness over about 3 and 7 mm.
    pub fine: f32,
    /// How much fainter the lesion is at its outline than in its middle.
    pub fading: f32,
    /// Lobules that are spared.
    pub spared: f32,
    /// A network of thickened septa (crazy paving).
    pub paving: f32,
}

/// Consolidation within a lesion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    /// None: ground glass alone.
    None,
    /// The inner part of this relative size; the rest is a halo.
    Centre(f32),
    /// A ring near the outline (reversed halo).
    Ring,
    /// The part within this many mm of the lung's surface.
    Pleural(f32),
    /// Islands that take in about this share.
    Islands(f32),
}

/// Textures that all lesions of a variant share.
pub(super) struct Textures {
    pub noise: Noise,
    pub lobules: Lobules,
}

/// The effect of a lesion on a point of the lung.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Density {
    /// 0 to 1: how much of the lesion is here, without its texture.
    pub body: f32,
    /// 0 to 1: how much of it is consolidated.
    pub core: f32,
    /// Share of the air that it replaces.
    pub filling: f32,
}

impl ImplantedLesion {
    /// Radius of a ball that holds it; infinite for a wedge.
    pub(super) fn reach(&self) -> f32 {
        match self.form {
            Form::Wedge(..) => f32::INFINITY,
            _ => {
                let longest = self.radii_mm.into_iter().fold(0.0, f32::max);
                longest * (1.0 + 1.1 * self.roughness) + self.edge_mm
            }
        }
    }

    fn mean_radius(&self) -> f32 {
        self.radii_mm.iter().product::<f32>().cbrt().max(1.0)
    }

    /// Relative distance from the middle: 1 on the outline before its irregularity.
    fn distance(&self, lobes: &Lobes, p: [f32; 3], depth: f32) -> f32 {
        let d: [f32; 3] = std::array::from_fn(|a| p[a] - self.centre_mm[a]);
        let (s, c) = self.yaw_deg.to_radians().sin_cos();
        let y = (c * d[1] - s * d[2]) / self.radii_mm[1];
        let x = (c * d[2] + s * d[1]) / self.radii_mm[2];
        let z = d[0] / self.radii_mm[0];
        let ball = (x * x + y * y + z * z).sqrt();
        match self.form {
            Form::Patch => ball,
            Form::Band(thick) => {
                let deep = (depth / thick).max(0.0);
                (ball.powi(4) + deep.powi(4)).sqrt().sqrt()
            }
            Form::Wedge(angle, start) => {
                let hilum = lobes.lungs[usize::from(self.side == Side::Left)].hilum();
                let axis: [f32; 3] = std::array::from_fn(|a| self.centre_mm[a] - hilum[a]);
                let long = axis.iter().map(|v| v * v).sum::<f32>().sqrt().max(1.0);
                let v: [f32; 3] = std::array::from_fn(|a| p[a] - hilum[a]);
                let along = (0..3).map(|a| v[a] * axis[a]).sum::<f32>() / long;
                let square = v.iter().map(|v| v * v).sum::<f32>();
                let off = (square - along * along).max(0.0).sqrt();
                let cone = off / (angle.to_radians().tan() * along.max(1.0));
                cone.max(1.0 + (start - along) / self.mean_radius())
            }
        }
    }

    /// The lesion at a point of its lung, `depth` mm below the surface.
    pub(super) fn density(
        &self,
        textures: &Textures,
        lobes: &Lobes,
        p: [f32; 3],
        depth: f32,
    ) -> Density {
        let distance = self.distance(lobes, p, depth);
        let radius = self.mean_radius();
        // Bands and wedges are thinner than their half axes.
        let scale = match self.form {
            Form::Patch => radius,
            Form::Band(thick) => radius.min(1.6 * thick),
            Form::Wedge(..) => 0.7 * radius,
        };
        let soft = (0.5 * self.edge_mm / scale).clamp(0.02, 0.6);
        if distance > 1.0 + 1.2 * self.roughness + soft {
            return Density::default();
        }
        let noise = &textures.noise;
        // The noise's lattice is oblique, so its axes do not show in slices.
        let o = [
            0.80 * p[2] + 0.48 * p[1] + 0.36 * p[0],
            -0.60 * p[2] + 0.64 * p[1] + 0.48 * p[0],
            -0.60 * p[1] + 0.80 * p[0],
        ];
        let at = |mm: f32, by: f32| {
            noise.at(
                o[0] / mm + self.phase + by,
                o[1] / mm + 1.7 * by,
                o[2] / mm + self.phase,
            )
        };
        let grain = (0.6 * scale).clamp(5.0, 24.0);
        let ragged = 0.65 * at(grain, 0.0) + 0.4 * at(0.42 * grain, 5.3);
        let inside = 1.0 - distance + 1.25 * self.roughness * ragged;
        let mut body = smooth(-soft, soft, inside);
        // The density breaks up into finer pieces than a reader would outline.
        let pieces =
            inside + (4.0 * at(6.5, 9.1) + 2.5 * at(3.4, 11.7)) * self.texture.fine / scale;
        let mut glass = smooth(-soft, soft, pieces);
        glass *= 1.0 - self.texture.fading * smooth(0.75, 0.0, inside);
        // Half the width in mm over which consolidation passes into ground glass.
        let dense_mm = (0.4 * self.edge_mm).max(1.3);
        let mut core = match self.core {
            Core::None => 0.0,
            Core::Centre(size) => {
                let edge = (dense_mm / scale).min(0.35);
                let more = 0.6 * self.roughness * at(0.6 * grain, 2.9)
                    + (5.0 * at(7.0, 12.3) + 2.5 * at(3.5, 13.9)) / scale;
                smooth(-edge, edge, inside + size - 1.0 + more)
            }
            Core::Ring => {
                let from = (inside - 0.26 + 0.1 * at(0.5 * grain, 2.9)).abs();
                smooth(0.17, 0.09, from)
            }
            Core::Pleural(thick) => {
                let more = 0.55 * thick * at(9.0, 2.9) + 0.3 * thick * at(4.0, 7.1);
                smooth(-dense_mm, dense_mm, thick - depth + more) * smooth(0.05, 0.3, inside)
            }
            Core::Islands(share) => {
                let n = 0.7 * at(11.0, 2.9) + 0.4 * at(5.0, 7.1);
                smooth(-0.26, 0.26, n + 0.25 * at(3.4, 13.9) - 0.75 * (0.5 - share))
                    * smooth(0.0, 0.3, inside)
            }
        };
        if let Some(lobe) = self.lobe {
            let (here, fissure) = lobes.lobe(usize::from(self.side == Side::Left), p);
            let share = if here == lobe {
                smooth(-0.8, 0.8, fissure)
            } else {
                smooth(-0.8, 0.8, -fissure)
            };
            body *= share;
            glass *= share;
            core *= share;
        }
        core *= body;
        let t = self.texture;
        let uneven =
            1.1 * t.coarse * at(15.0, 3.1) + t.fine * (1.3 * at(7.0, 8.7) + 1.5 * at(3.2, 14.2));
        glass *= uneven.exp();
        if t.spared > 0.0 {
            let lobule = 0.75 * at(10.0, 4.4) + 0.35 * at(5.5, 6.2);
            glass *= 1.0 - t.spared * smooth(0.1, -0.35, lobule);
        }
        let mut filling = self.filling * glass;
        if t.paving > 0.0 {
            // Lobules of about 9 mm.
            let q = p.map(|v| 0.55 * v + self.phase);
            let wall = textures.lobules.at(q[2], q[1], q[0]);
            filling += (0.12 + 0.5 * self.filling) * t.paving * wall * body;
        }
        // Parts of the consolidation are aerated.
        let full = self.core_filling * (1.0 - 0.3 * t.fine * smooth(0.15, 0.5, at(5.0, 1.3)));
        Density {
            body,
            core,
            filling: lerp(filling.min(0.9), full, core),
        }
    }
}
