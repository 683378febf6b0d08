//! The patient.

use super::form::Form;
use super::tubes::{Tube, tubes};
use crate::PhantomConfig;
use crate::noise::{Lobules, Noise};
use multirnet_base::random::Random;

/// The parts of the patient that do not depend on the slice.
pub(crate) struct Anatomy {
    pub config: PhantomConfig,
    pub noise: Noise,
    /// Present only if a lesion shows them.
    pub lobules: Option<Lobules>,
    pub(super) tubes: Vec<Tube>,
    pub(super) form: Form,
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
        let tubes = tubes(p.aorta as f32, &mut vary);
        Self {
            config: config.clone(),
            noise,
            lobules,
            tubes,
            form,
        }
    }
}
