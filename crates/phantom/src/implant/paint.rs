//! Mixing of lesions into the scan.

use super::bronchi::{self, Lumen};
use super::lobes::Lobes;
use super::shape::{Density, ImplantedLesion, Textures};
use super::vary::Stage;
use crate::Side;
use crate::scanner::Grain;
use multirnet_base::random::mix;
use rayon::prelude::*;

/// The density of all lesions together on the variant's grid.
pub(super) struct Painted {
    /// 0 to 1: how much of a lesion is here.
    pub body: Vec<f32>,
    /// 0 to 1: how much of it is consolidated.
    pub core: Vec<f32>,
    /// Share of the air that lesions replace. Open bronchi are not subtracted from it.
    pub filling: Vec<f32>,
    /// Share of the voxel that is open bronchus.
    air: Vec<f32>,
}

/// Number of pixels next to the lung mask that are changed as well, because they are partly lung.
const RIM: usize = 2;

impl Painted {
    pub fn new(
        stage: &Stage,
        lesions: &[ImplantedLesion],
        lumens: &[Lumen],
        textures: &Textures,
        lobes: &Lobes,
    ) -> Self {
        let [_, ny, nx] = stage.shape();
        let plane = ny * nx;
        let blank = || vec![0.0f32; stage.lungs.len()];
        let mut painted = Self {
            body: blank(),
            core: blank(),
            filling: blank(),
            air: blank(),
        };
        painted
            .body
            .par_chunks_exact_mut(plane)
            .zip(painted.core.par_chunks_exact_mut(plane))
            .zip(painted.filling.par_chunks_exact_mut(plane))
            .zip(painted.air.par_chunks_exact_mut(plane))
            .enumerate()
            .for_each(|(k, (((body, core), filling), air))| {
                let z = k as f32 * stage.spacing_mm[0];
                let here: Vec<&ImplantedLesion> = lesions
                    .iter()
                    .filter(|l| (l.centre_mm[0] - z).abs() <= l.reach())
                    .collect();
                if here.is_empty() {
                    return;
                }
                bronchi::draw(lumens, z, stage.spacing_mm, nx, air);
                for i in 0..plane {
                    let whole = k * plane + i;
                    if stage.free[whole] <= 0.0 {
                        continue;
                    }
                    let Some(side) = side(&stage.lungs[k * plane..(k + 1) * plane], nx, i) else {
                        continue;
                    };
                    let d = density(
                        &here,
                        side,
                        stage.point(whole),
                        stage.depth[whole].max(0.0),
                        textures,
                        lobes,
                    );
                    let free = stage.free[whole];
                    body[i] = d.body * free;
                    core[i] = d.core * free;
                    filling[i] = d.filling * free;
                }
            });
        painted
    }

    /// Mixes the lesions into the scan: tissue of `tissue_hu` replaces air. Denser voxels (vessels)
    /// stay as they are, and stand out less where more air is replaced. `noise` is the scan's own,
    /// which mixing would reduce.
    pub fn mix_into(&self, stage: &mut Stage, tissue_hu: f32, noise: &ScanNoise, seed: u64) {
        let [_, ny, nx] = stage.shape();
        let plane = ny * nx;
        let grain = Grain::new(noise.grain);
        let lumen = &stage.lumen;
        stage
            .hu
            .par_chunks_exact_mut(plane)
            .enumerate()
            .for_each_init(
                || (Vec::new(), [Vec::new(), Vec::new()]),
                |(fresh, work), (k, hu)| {
                    let filling = &self.filling[k * plane..(k + 1) * plane];
                    if filling.iter().all(|&f| f == 0.0) {
                        return;
                    }
                    grain.fill(mix(seed ^ mix(k as u64 + 9077)), fresh, plane, nx, work);
                    for (i, v) in hu.iter_mut().enumerate() {
                        if filling[i] == 0.0 || *v >= tissue_hu {
                            continue;
                        }
                        let whole = k * plane + i;
                        let open = lumen[whole].max(self.air[whole] * self.core[whole]);
                        let f = filling[i] * (1.0 - 0.95 * open);
                        let kept = 1.0 - f;
                        *v += f * (tissue_hu - *v)
                            + noise.sd_hu * (1.0 - kept * kept).max(0.0).sqrt() * fresh[i];
                    }
                },
            );
    }
}

/// The lung that pixel `i` of a plane belongs to or adjoins: 0 right, 1 left.
fn side(lungs: &[u8], nx: usize, i: usize) -> Option<usize> {
    let label = |j: Option<usize>| {
        j.and_then(|j| lungs.get(j))
            .and_then(|&l| usize::from(l).checked_sub(1))
    };
    label(Some(i)).or_else(|| {
        (1..=RIM).find_map(|d| {
            label(i.checked_sub(d))
                .or_else(|| label(Some(i + d)))
                .or_else(|| label(i.checked_sub(d * nx)))
                .or_else(|| label(Some(i + d * nx)))
        })
    })
}

fn density(
    lesions: &[&ImplantedLesion],
    side: usize,
    p: [f32; 3],
    depth: f32,
    textures: &Textures,
    lobes: &Lobes,
) -> Density {
    let mut all = Density::default();
    for lesion in lesions {
        let reach = lesion.reach();
        if usize::from(lesion.side == Side::Left) != side
            || (0..3).any(|a| (p[a] - lesion.centre_mm[a]).abs() > reach)
        {
            continue;
        }
        let d = lesion.density(textures, lobes, p, depth);
        all.body = all.body.max(d.body);
        all.core = all.core.max(d.core);
        // Where two lesions overlap, the fainter one still adds a little.
        let (more, less) = (all.filling.max(d.filling), all.filling.min(d.filling));
        all.filling = more + 0.3 * less * (1.0 - more);
    }
    all
}

/// The noise of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanNoise {
    /// Standard deviation within the lungs.
    pub sd_hu: f32,
    /// Size of its grain in pixels.
    pub grain: f32,
}

impl ScanNoise {
    /// Measures the noise in soft tissue, where the scan is most even, from the differences of
    /// neighbours and of pixels three apart.
    pub fn measure(stage: &Stage) -> Self {
        let [_, _, nx] = stage.shape();
        let soft = |v: f32| (-40.0..110.0).contains(&v);
        let (mut near, mut far, mut n) = (0.0f64, 0.0f64, 0.0f64);
        for (row, lungs) in stage
            .hu
            .chunks_exact(nx)
            .zip(stage.lungs.chunks_exact(nx))
            .step_by(3)
        {
            for (w, l) in row.windows(4).zip(lungs.windows(4)) {
                if w.iter().all(|&v| soft(v)) && l.iter().all(|&l| l == 0) {
                    near += f64::from(w[1] - w[0]).powi(2);
                    far += f64::from(w[3] - w[0]).powi(2);
                    n += 1.0;
                }
            }
        }
        if n < 500.0 || far <= 0.0 {
            return Self {
                sd_hu: 12.0,
                grain: 0.6,
            };
        }
        // A Gaussian grain of size s correlates neighbours by exp(−1 / 4s²).
        let together = (1.0 - near / far).clamp(0.02, 0.9);
        Self {
            // The lungs attenuate little, so their noise is somewhat below the mediastinum's.
            sd_hu: (0.75 * (far / (2.0 * n)).sqrt()).min(60.0) as f32,
            grain: (-0.25 / together.ln()).sqrt().clamp(0.25, 1.6) as f32,
        }
    }
}
