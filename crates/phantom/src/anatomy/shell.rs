//! The trunk's nested outlines, tabulated over the angle about its axis.

use super::cage::{self, RibKind};
use super::patient::Anatomy;
use crate::noise::{smooth, table};
use std::f32::consts::{PI, TAU};

pub(crate) const BINS: usize = 1024;

/// Bin of the direction `(x, y)`; bin `BINS / 2` looks straight back.
pub(crate) fn bin_of(x: f32, y: f32) -> usize {
    let turn = (x.atan2(y) + PI) / TAU;
    ((turn * BINS as f32) as usize).min(BINS - 1)
}

/// Radii per bin at one height.
pub(super) struct Shell {
    /// The pleura of the cage.
    pub pleura: Vec<f32>,
    /// The outside of the muscles.
    pub muscle: Vec<f32>,
    /// The skin.
    pub skin: Vec<f32>,
    /// Share of glandular tissue in the fat.
    pub gland: Vec<f32>,
    /// Height above the nearest rib's axis across the rib, mm.
    pub rib: Vec<f32>,
    /// Material of the nearest rib.
    pub rib_kind: Vec<RibKind>,
    /// Middle radius and half thickness of the scapula (0: none).
    pub scapula: Vec<[f32; 2]>,
}

const LATERAL: [(f32, f32); 10] = [
    (-170.0, 126.0),
    (-130.0, 130.0),
    (-80.0, 134.0),
    (-40.0, 134.0),
    (0.0, 130.0),
    (40.0, 122.0),
    (70.0, 111.0),
    (100.0, 95.0),
    (120.0, 82.0),
    (145.0, 66.0),
];
const FRONT: [(f32, f32); 9] = [
    (-170.0, 90.0),
    (-80.0, 96.0),
    (-40.0, 95.0),
    (0.0, 89.0),
    (40.0, 79.0),
    (70.0, 68.0),
    (100.0, 52.0),
    (120.0, 40.0),
    (145.0, 28.0),
];
const BACK: [(f32, f32); 7] = [
    (-170.0, 80.0),
    (-130.0, 85.0),
    (-40.0, 90.0),
    (40.0, 88.0),
    (80.0, 82.0),
    (110.0, 74.0),
    (145.0, 66.0),
];

/// A bell of height 1 about `centre`.
fn bell(x: f32, centre: f32, width: f32) -> f32 {
    let t = (x - centre) / width;
    (-t * t).exp()
}

impl Shell {
    pub fn new(a: &Anatomy, z: f32) -> Self {
        let p = &a.config.patient;
        let (lateral, front, back) = (
            table(&LATERAL, z),
            table(&FRONT, z),
            table(&BACK, z) + a.form.kyphosis * bell(z, 20.0, 70.0),
        );
        let (fat, muscularity, breast) = (p.fat_mm as f32, p.muscle as f32, p.breast_mm as f32);
        let shoulder = smooth(62.0, 125.0, z);
        let mut shell = Self {
            pleura: Vec::with_capacity(BINS),
            muscle: Vec::with_capacity(BINS),
            skin: Vec::with_capacity(BINS),
            gland: Vec::with_capacity(BINS),
            rib: Vec::with_capacity(BINS),
            rib_kind: Vec::with_capacity(BINS),
            scapula: Vec::with_capacity(BINS),
        };
        for bin in 0..BINS {
            let angle = (bin as f32 + 0.5) / BINS as f32 * TAU - PI;
            let (s, c) = angle.sin_cos();
            let turn = angle.abs() / PI;
            let depth = if c > 0.0 { back } else { front };
            let ellipse =
                ((s.abs() / lateral).powf(2.35) + (c.abs() / depth).powf(2.35)).powf(-1.0 / 2.35);
            let warp = a.noise.rough(2.2 * s + 10.0, 2.2 * c + 4.0, z / 55.0);
            let (rib, kind) = cage::rib(turn, z);
            let bulge = 0.8 * (1.0 - smooth(3.0, 9.0, rib.abs()));
            let gutter = 10.0 * bell(turn, 0.19, 0.11);
            let pleura = ellipse + 3.2 * warp + gutter - bulge;
            let wavy = 1.0 + 0.22 * a.noise.at(3.1 * s + 20.0, 3.1 * c, z / 40.0);
            let mut muscle = 3.0
                + 24.0 * bell(turn, 0.06, 0.12)
                + 13.0 * smooth(-35.0, 35.0, z) * bell(turn, 0.77, 0.13)
                + (5.0 + 11.0 * smooth(-70.0, 30.0, z)) * bell(turn, 0.42, 0.2)
                + 16.0 * smooth(-20.0, 70.0, z) * bell(turn, 0.26, 0.16)
                + 7.0 * smooth(-60.0, -110.0, z) * bell(turn, 0.7, 0.25);
            muscle *= muscularity * wavy;
            muscle += shoulder * 92.0 * bell(turn, 0.47, 0.2);
            // Muscles fill the step between the rounded cage and the flat back.
            let muscle = pleura + 11.0 + (muscle - 0.8 * gutter).max(3.0);
            let bust = breast * bell(z, -22.0, 40.0) * bell(turn, 0.80, 0.105);
            let mut padding = fat
                * (0.5 + 0.55 * bell(turn, 0.15, 0.25) + 0.35 * bell(turn, 0.45, 0.2))
                * (1.0 + 0.5 * smooth(-30.0, -150.0, z))
                * (1.0 + 0.18 * a.noise.at(2.0 * s + 31.0, 2.0 * c + 3.0, z / 60.0));
            padding = padding.max(2.0) + bust;
            let mut skin = muscle + padding;
            // The back lies on the couch.
            if c > 0.2 {
                let flat = (back + 36.0 + 0.75 * fat) / c;
                skin = crate::noise::soft_min(skin, flat.max(muscle + 2.0), 12.0);
            }
            shell.pleura.push(pleura);
            shell.muscle.push(muscle);
            shell.skin.push(skin);
            shell.gland.push((bust / 25.0).min(1.0));
            shell.rib.push(rib);
            shell.rib_kind.push(kind);
            shell.scapula.push(cage::scapula(turn, z, pleura, muscle));
        }
        shell
    }
}
