//! Rendering of a configuration.

use crate::anatomy::{Anatomy, Section, Site, bin_of};
use crate::frame::Frame;
use crate::lesions::Opacity;
use crate::noise::{lerp, smooth};
use crate::scanner::{Grain, Kernel, streaks};
use crate::tree::{Atlas, Segment, grow};
use crate::{PhantomConfig, Result};
use multirnet_base::random::{Random, mix};
use multirnet_volume::{Diagnosis, Geometry, Volume};
use rayon::prelude::*;

/// A synthetic scan with its truth; all volumes share one grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Phantom {
    /// The scan in whole HU. Outside a cut field of view it has the scanner's padding value.
    pub ct: Volume<f32>,
    /// 1 right lung, 2 left lung.
    pub lungs: Volume<u8>,
    /// 1 ground glass, 2 consolidation.
    pub lesions: Volume<u8>,
    /// The class of the scan.
    pub class: Diagnosis,
    /// The findings of the phantom, one line each.
    pub notes: Vec<String>,
}

/// Everything the slices share.
pub(crate) struct Stage<'a> {
    pub anatomy: &'a Anatomy,
    pub frame: Frame,
    pub polar: Vec<(f32, u16)>,
    /// Points `(x, y, radius, bin)` where the great surfaces are evaluated, row by row.
    pub nodes: Vec<(f32, f32, f32, u16)>,
    /// Nodes in a row.
    pub row: usize,
    pub segments: Vec<Segment>,
    pub opacities: Vec<Opacity>,
    pub nodules: Vec<([f32; 3], f32, f32)>,
    pub scars: Vec<Segment>,
    pub couch: Option<[f32; 2]>,
    pub blur: Option<Kernel>,
    pub sharp: Option<Kernel>,
    pub grain: Grain,
    /// Half width of an anti-aliased edge in reference mm.
    pub edge: f32,
    pub samples: usize,
    /// Pixels between the points where surfaces are evaluated.
    pub stride: usize,
    pub shape: [usize; 3],
}

#[derive(Default)]
pub(crate) struct Scratch {
    pub outside: Vec<f32>,
    pub lung: Vec<f32>,
    pub cover: Vec<f32>,
    pub opacity: Vec<f32>,
    pub core: Vec<f32>,
    pub sites: Vec<Site>,
    pub mean: Vec<f32>,
    pub mean_cover: Vec<f32>,
    pub mean_opacity: Vec<f32>,
    pub mean_core: Vec<f32>,
    pub noise: Vec<f32>,
    pub work: [Vec<f32>; 2],
}

impl PhantomConfig {
    /// Renders the phantom; the same configuration always gives the same voxels.
    ///
    /// # Errors
    /// `Config` for a field out of range, `Geometry` for an unusable grid.
    pub fn generate(&self) -> Result<Phantom> {
        self.validate()?;
        let geometry = Geometry::new(
            self.shape,
            self.spacing_mm,
            self.origin_mm,
            [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
        )?;
        let anatomy = Anatomy::new(self);
        let stage = Stage::new(&anatomy);
        let plane = self.shape[1] * self.shape[2];
        let mut ct = vec![0.0f32; geometry.len()];
        let mut lungs = vec![0u8; geometry.len()];
        let mut lesions = vec![0u8; geometry.len()];
        ct.par_chunks_exact_mut(plane)
            .zip(lungs.par_chunks_exact_mut(plane))
            .zip(lesions.par_chunks_exact_mut(plane))
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (k, ((ct, lungs), lesions))| {
                stage.slice(k, scratch, ct, lungs, lesions);
            });
        Ok(Phantom {
            ct: Volume::new(ct, geometry)?,
            lungs: Volume::new(lungs, geometry)?,
            lesions: Volume::new(lesions, geometry)?,
            class: self.class,
            notes: self.notes(),
        })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!("class {}", self.class)];
        let mut say = |n: usize, what: &str| {
            if n > 0 {
                notes.push(format!("{n} {what}"));
            }
        };
        let consolidated = self.lesions.iter().filter(|l| l.core > 0.0).count();
        say(self.lesions.len() - consolidated, "ground-glass opacities");
        say(consolidated, "opacities with consolidation");
        say(self.effusions.len(), "pleural effusions");
        let c = &self.confounders;
        say(c.nodules.len(), "nodules");
        say(c.scars.len(), "scars or plate atelectases");
        say(
            c.atelectasis.iter().filter(|s| **s > 0.0).count(),
            "lungs with dependent atelectasis",
        );
        say(usize::from(c.emphysema > 0.0), "emphysema");
        say(usize::from(c.apical_cap_mm > 0.0), "apical caps");
        say(
            usize::from(self.scanner.motion_mm > 0.0),
            "breathing motion",
        );
        notes
    }
}

impl<'a> Stage<'a> {
    fn new(anatomy: &'a Anatomy) -> Self {
        let config = &anatomy.config;
        let (p, s) = (&config.patient, &config.scanner);
        let (roll_sin, roll_cos) = (p.roll_deg as f32).to_radians().sin_cos();
        let frame = Frame {
            origin: [config.origin_mm[0] as f32, config.origin_mm[1] as f32],
            step: [config.spacing_mm[2] as f32, config.spacing_mm[1] as f32],
            position: p.position_mm.map(|v| v as f32),
            scale: [p.scale[2] as f32, p.scale[1] as f32, p.scale[0] as f32],
            turn: [roll_sin, roll_cos],
        };
        let [_, ny, nx] = config.shape;
        let mut polar = Vec::with_capacity(ny * nx);
        for row in 0..ny {
            for column in 0..nx {
                let [x, y] = frame.reference(column as f32, row as f32);
                polar.push((x.hypot(y), bin_of(x, y) as u16));
            }
        }
        let pixel = frame.step[0].min(frame.step[1]);
        // The great surfaces are smooth, so their distances are evaluated on a coarse grid.
        let stride = ((4.3 / pixel) as usize).clamp(1, 6);
        let row = (nx - 1) / stride + 2;
        let mut nodes = Vec::new();
        for r in 0..(ny - 1) / stride + 2 {
            for c in 0..row {
                let [x, y] = frame.reference((c * stride) as f32, (r * stride) as f32);
                nodes.push((x, y, x.hypot(y), bin_of(x, y) as u16));
            }
        }
        let atlas = Atlas::new(anatomy);
        let couch = s.couch.then(|| {
            let back = atlas.section(0.0).skin(crate::anatomy::BINS / 2);
            let depth = back * frame.scale[1] + s.couch_gap_mm as f32;
            [frame.position[0], frame.position[1] + depth]
        });
        let point = |v: &[f64; 3]| [v[2] as f32, v[1] as f32, v[0] as f32];
        Self {
            segments: grow(&atlas, config.seed, p.vessels as f32),
            opacities: config.lesions.iter().map(Opacity::new).collect(),
            nodules: config
                .confounders
                .nodules
                .iter()
                .map(|n| (point(&n.centre_mm), n.radius_mm as f32, n.hu as f32))
                .collect(),
            scars: config
                .confounders
                .scars
                .iter()
                .map(|[a, b]| Segment {
                    a: point(a),
                    b: point(b),
                    ra: 1.7,
                    rb: 0.9,
                    airway: false,
                })
                .collect(),
            couch,
            blur: Kernel::gaussian(s.blur_mm as f32 / pixel),
            sharp: (s.sharpening > 0.0)
                .then(|| Kernel::gaussian((1.1 / pixel).max(0.6)))
                .flatten(),
            grain: Grain::new(s.grain_mm as f32 / pixel),
            stride,
            nodes,
            row,
            edge: (0.55 * pixel).max(0.35),
            samples: match s.thickness_mm {
                t if t <= 1.3 => 1,
                t if t <= 3.4 => 2,
                t if t <= 6.0 => 3,
                _ => 5,
            },
            shape: config.shape,
            anatomy,
            frame,
            polar,
        }
    }

    fn slice(
        &self,
        k: usize,
        scratch: &mut Scratch,
        ct: &mut [f32],
        lungs: &mut [u8],
        lesions: &mut [u8],
    ) {
        let config = &self.anatomy.config;
        let s = &config.scanner;
        let len = ct.len();
        for plane in [
            &mut scratch.mean,
            &mut scratch.mean_cover,
            &mut scratch.mean_opacity,
            &mut scratch.mean_core,
        ] {
            plane.clear();
            plane.resize(len, 0.0);
        }
        let world = (config.origin_mm[2] + k as f64 * config.spacing_mm[0]) as f32;
        let share = 1.0 / self.samples as f32;
        let mut middle = 0.0;
        for sample in 0..self.samples {
            let offset = (sample as f32 + 0.5) * share - 0.5;
            let high = world + offset * s.thickness_mm as f32;
            let mut z = (high - self.frame.position[2]) / self.frame.scale[2];
            let amplitude = s.motion_mm as f32;
            if amplitude > 0.0 {
                let phase = (config.seed % 628) as f32 / 100.0;
                let swing = (world / 5.3 + phase).sin() * 0.6 + 1.4 * offset;
                z += amplitude * swing * smooth(70.0, -70.0, z);
            }
            middle += share * z;
            let section = Section::new(self.anatomy, z);
            self.sample(&section, scratch, share);
        }
        self.finish(k, middle, scratch, ct);
        for i in 0..len {
            if scratch.mean_cover[i] >= 0.5 {
                let (row, column) = (i / self.shape[2], i % self.shape[2]);
                let [x, _] = self.frame.reference(column as f32, row as f32);
                lungs[i] = if x < 0.0 { 1 } else { 2 };
                lesions[i] = if scratch.mean_core[i] >= 0.5 {
                    2
                } else {
                    u8::from(scratch.mean_opacity[i] >= 0.5)
                };
            }
        }
    }

    /// Evaluates one height and adds it with weight `share` to the means.
    fn sample(&self, section: &Section, scratch: &mut Scratch, share: f32) {
        let [_, ny, nx] = self.shape;
        for plane in [
            &mut scratch.outside,
            &mut scratch.lung,
            &mut scratch.cover,
            &mut scratch.opacity,
            &mut scratch.core,
        ] {
            plane.clear();
            plane.resize(ny * nx, 0.0);
        }
        let (stride, width) = (self.stride, self.row);
        scratch.sites.clear();
        scratch.sites.extend(
            self.nodes
                .iter()
                .map(|&(x, y, radius, bin)| section.site(x, y, radius, usize::from(bin))),
        );
        let inverse = 1.0 / stride as f32;
        let mut any = false;
        for row in 0..ny {
            for column in 0..nx {
                let i = row * nx + column;
                let (radius, bin) = self.polar[i];
                let bin = usize::from(bin);
                if radius > section.skin(bin) + self.edge {
                    scratch.outside[i] = self.air(row, column);
                    continue;
                }
                let [x, y] = self.frame.reference(column as f32, row as f32);
                let (a, b) = (
                    row / stride * width + column / stride,
                    (row % stride) as f32,
                );
                let (u, v) = ((column % stride) as f32 * inverse, b * inverse);
                let s = &scratch.sites;
                let site = Site::between([s[a], s[a + 1], s[a + width], s[a + width + 1]], u, v);
                let cover = (0.5 + 0.5 * site.lung / self.edge).clamp(0.0, 1.0);
                if cover < 1.0 {
                    scratch.outside[i] = section.tissue(x, y, radius, bin, &site, self.edge);
                }
                if cover > 0.0 {
                    scratch.cover[i] = cover;
                    scratch.lung[i] = section.parenchyma(x, y, &site, self.edge);
                    any = true;
                }
            }
        }
        if any {
            self.paint(section, scratch);
        }
        for i in 0..ny * nx {
            let cover = scratch.cover[i];
            scratch.mean[i] += share * lerp(scratch.outside[i], scratch.lung[i], cover);
            scratch.mean_cover[i] += share * cover;
            scratch.mean_opacity[i] += share * scratch.opacity[i];
            scratch.mean_core[i] += share * scratch.core[i];
        }
    }

    /// HU outside the patient.
    fn air(&self, row: usize, column: usize) -> f32 {
        let Some([cx, cy]) = self.couch else {
            return -1000.0;
        };
        let x = self.frame.origin[0] + column as f32 * self.frame.step[0] - cx;
        let y = self.frame.origin[1] + row as f32 * self.frame.step[1] - cy;
        let below = y + x * x / 1900.0;
        if !(0.0..46.0).contains(&below) || x.abs() > 205.0 {
            return -1000.0;
        }
        // The couch is a shell of carbon fibre around foam, with a thin mattress on it.
        if below < 9.0 {
            -955.0
        } else if (below - 10.5).abs() < 1.5 || (below - 44.5).abs() < 1.5 {
            -330.0
        } else {
            -945.0
        }
    }

    /// Applies blur, streaks and noise, and rounds to whole HU.
    fn finish(&self, k: usize, z: f32, scratch: &mut Scratch, ct: &mut [f32]) {
        let config = &self.anatomy.config;
        let s = &config.scanner;
        let [_, ny, nx] = self.shape;
        let mean = &mut scratch.mean;
        if let Some(blur) = &self.blur {
            blur.apply(mean, nx, &mut scratch.work[0]);
        }
        if let Some(sharp) = &self.sharp {
            let copy = &mut scratch.noise;
            copy.clear();
            copy.extend_from_slice(mean);
            sharp.apply(copy, nx, &mut scratch.work[0]);
            let gain = s.sharpening as f32;
            for (m, c) in mean.iter_mut().zip(copy.iter()) {
                *m += gain * (*m - c);
            }
        }
        let seed = mix(config.seed ^ mix(k as u64 + 77));
        let shoulders = smooth(66.0, 112.0, z);
        if s.streaks > 0.0 && shoulders > 0.0 {
            let sd = (s.streaks * s.noise_hu) as f32 * 0.3 * shoulders;
            streaks(mean, nx, sd, &mut Random::new(seed, 5));
        }
        self.grain
            .fill(seed, &mut scratch.noise, ny * nx, nx, &mut scratch.work);
        let size = 0.85 + 0.55 * shoulders + 0.2 * smooth(-40.0, -110.0, z);
        let sd = s.noise_hu as f32 * size;
        let (mx, my) = (0.5 * (nx as f32 - 1.0), 0.5 * (ny as f32 - 1.0));
        let rim = (mx + 0.5).min(my + 0.5);
        for row in 0..ny {
            for column in 0..nx {
                let i = row * nx + column;
                if let Some(padding) = s.padding_hu
                    && (column as f32 - mx).hypot(row as f32 - my) > rim
                {
                    ct[i] = padding as f32;
                    continue;
                }
                let r = self.polar[i].0 / 115.0;
                let local = sd * (0.55 + 0.55 / (1.0 + r * r));
                ct[i] = (mean[i] + local * scratch.noise[i])
                    .round()
                    .clamp(-1024.0, 3071.0);
            }
        }
    }
}
