//! The chest as implicit surfaces in reference millimetres (x to the left, y to the back, z up).

mod abdomen;
mod lungs;
mod mediastinum;
mod parenchyma;
mod shell;
mod skeleton;

use crate::PhantomConfig;
use crate::noise::{Lobules, Noise, lerp, smooth};
pub(crate) use mediastinum::ROOTS;
use mediastinum::Tube;
use multirnet_base::random::Random;
use shell::Shell;
pub(crate) use shell::{BINS, bin_of};
use skeleton::Spine;

/// The patient, as far as it does not depend on the slice.
pub(crate) struct Anatomy {
    pub config: PhantomConfig,
    pub noise: Noise,
    /// Only where a lesion shows them.
    pub lobules: Option<Lobules>,
    tubes: Vec<Tube>,
    form: Form,
}

/// Single-precision copies of what every voxel asks for, and the patient's own variations.
struct Form {
    heart: f32,
    blood: f32,
    gas: f32,
    marrow: f32,
    /// Height by which expiration raises the domes.
    rise: f32,
    dome: [f32; 2],
    kyphosis: f32,
    scoliosis: f32,
    fissure: [f32; 3],
    effusion: [[f32; 3]; 2],
}

impl Anatomy {
    pub fn new(config: &PhantomConfig) -> Self {
        let mut random = Random::new(config.seed, 1);
        let noise = Noise::new(&mut random);
        let lobules = config
            .lesions
            .iter()
            .any(|l| l.paving > 0.0)
            .then(|| Lobules::new(&mut random));
        let mut random = Random::new(config.seed, 2);
        let mut vary = |mean: f64, sd: f64| random.normal(mean, sd) as f32;
        let p = &config.patient;
        let mut effusion = [[0.0; 3]; 2];
        for e in &config.effusions {
            effusion[e.side as usize] = [e.depth_mm as f32, e.height_mm as f32, e.hu as f32];
        }
        let form = Form {
            heart: p.heart as f32,
            blood: p.blood_hu as f32,
            gas: p.stomach_gas as f32,
            marrow: p.marrow_hu as f32,
            rise: 38.0 * (1.0 - p.inspiration as f32),
            dome: [vary(-54.0, 4.0), vary(-66.0, 4.0)],
            kyphosis: vary(0.0, 3.0),
            scoliosis: vary(0.0, 2.5),
            fissure: [vary(0.0, 8.0), vary(0.0, 8.0), vary(0.0, 8.0)],
            effusion,
        };
        let tubes = mediastinum::tubes(p.aorta as f32, &mut vary);
        Self {
            config: config.clone(),
            noise,
            lobules,
            tubes,
            form,
        }
    }
}

/// The patient cut at one height.
pub(crate) struct Section<'a> {
    pub anatomy: &'a Anatomy,
    pub z: f32,
    shell: Shell,
    spine: Spine,
    tubes: Vec<Tube>,
}

/// Signed distances (positive inside, about millimetres) of one point to the great surfaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    /// Within the pleural outline of the cage.
    pub cage: f32,
    /// Within the mediastinum and the spine's column.
    pub mediastinum: f32,
    /// Above the diaphragm.
    pub diaphragm: f32,
    /// Within a lung.
    pub lung: f32,
    /// Above the oblique fissure.
    pub oblique: f32,
    /// Above the horizontal fissure; far from it in the left lung.
    pub minor: f32,
}

impl Site {
    /// Bilinear mean of four sites.
    #[inline]
    pub fn between(corners: [Site; 4], u: f32, v: f32) -> Site {
        let mix = |f: fn(&Site) -> f32| {
            lerp(
                lerp(f(&corners[0]), f(&corners[1]), u),
                lerp(f(&corners[2]), f(&corners[3]), u),
                v,
            )
        };
        Site {
            cage: mix(|s| s.cage),
            mediastinum: mix(|s| s.mediastinum),
            diaphragm: mix(|s| s.diaphragm),
            lung: mix(|s| s.lung),
            oblique: mix(|s| s.oblique),
            minor: mix(|s| s.minor),
        }
    }
}

impl<'a> Section<'a> {
    pub fn new(anatomy: &'a Anatomy, z: f32) -> Self {
        Self {
            anatomy,
            z,
            shell: Shell::new(anatomy, z),
            spine: Spine::new(&anatomy.form, z),
            tubes: anatomy
                .tubes
                .iter()
                .filter(|t| t.meets(z, 4.0))
                .copied()
                .collect(),
        }
    }

    /// Radius beyond which there is only air at this height, per polar bin.
    pub fn skin(&self, bin: usize) -> f32 {
        self.shell.skin[bin]
    }

    /// HU of everything but the lungs.
    pub fn tissue(&self, x: f32, y: f32, radius: f32, bin: usize, site: &Site, edge: f32) -> f32 {
        let mut hu = if site.cage < -edge {
            self.wall(x, y, radius, bin, edge)
        } else {
            let mut inner = if site.diaphragm < 0.0 && site.mediastinum < 12.0 {
                self.abdomen(x, y, site)
            } else {
                self.mediastinal(x, y)
            };
            inner = self.fluid(x, y, site, inner);
            if site.cage < edge {
                let t = smooth(-edge, edge, site.cage);
                inner = lerp(self.wall(x, y, radius, bin, edge), inner, t);
            }
            inner
        };
        if site.mediastinum > -2.0 {
            hu = self.paint_tubes(x, y, hu, edge);
        }
        self.paint_spine(x, y, hu, edge)
    }

    /// HU of the chest wall.
    fn wall(&self, x: f32, y: f32, radius: f32, bin: usize, edge: f32) -> f32 {
        let s = &self.shell;
        if radius > s.skin[bin] + edge {
            return -1000.0;
        }
        let n = &self.anatomy.noise;
        let mut hu = -104.0;
        if radius > s.muscle[bin] - edge {
            hu += 14.0 * n.at(x / 8.0, y / 8.0, self.z / 8.0);
            let gland = s.gland[bin];
            if gland > 0.02 {
                let g = n.rough(x / 17.0 + 5.0, y / 17.0, self.z / 17.0);
                let share = smooth(0.05, 0.35, g)
                    * smooth(4.0, 12.0, s.skin[bin] - radius)
                    * smooth(0.0, 6.0, radius - s.muscle[bin]);
                hu = lerp(hu, 32.0, gland * share);
            }
        }
        if radius < s.muscle[bin] + edge {
            let m = n.at(x / 7.0, y / 7.0, self.z / 26.0);
            // Layers run along the trunk's surface.
            let turn = bin as f32 * (9.0 / shell::BINS as f32);
            let layer = (radius - s.pleura[bin]) / 10.0;
            let plane = n.at(turn + 3.0, layer + 0.6 * m, self.z / 80.0).abs();
            let mut muscle = 55.0 + 12.0 * m;
            // Fat between the muscles.
            muscle = lerp(muscle, -85.0, 0.85 * (1.0 - smooth(0.015, 0.085, plane)));
            let t = smooth(-edge, edge, s.muscle[bin] - radius);
            hu = lerp(hu, muscle, t);
        }
        let skin = s.skin[bin] - radius;
        if skin < 2.0 + edge {
            hu = lerp(hu, 15.0, 1.0 - smooth(1.4 - edge, 1.4 + edge, skin));
            if skin < edge {
                hu = lerp(-1000.0, hu, smooth(-edge, edge, skin));
            }
        }
        self.paint_cage(x, y, radius, bin, hu, edge)
    }
}
