//! Which lesions a variant gets, and where.

use super::config::ImplantConfig;
use super::lobes::Lobes;
use super::pattern::{Pattern, Style};
use super::shape::{Core, Form, ImplantedLesion, Texture, Textures};
use super::vary::Stage;
use crate::{Lobe, Side};
use multirnet_base::random::Random;
use multirnet_volume::Diagnosis;

/// A point of the lungs where a lesion may lie.
struct Site {
    p: [f32; 3],
    depth: f32,
    /// 0 right, 1 left.
    side: usize,
    /// Shares of the lung's extent from its bottom and from its front.
    height: f32,
    back: f32,
    lesion: bool,
}

/// Approximate number of sites that stand for the lungs.
const SITES: usize = 24_000;
/// Largest number of lesions of a variant.
const MOST: usize = 36;

pub(super) struct Planner<'a> {
    config: &'a ImplantConfig,
    lobes: &'a Lobes,
    textures: &'a Textures,
    /// HU from aerated lung to full consolidation.
    gap_hu: f32,
    lungs_mm3: f64,
    sites: Vec<Site>,
    r: Random,
}

impl<'a> Planner<'a> {
    pub fn new(
        stage: &Stage,
        lobes: &'a Lobes,
        textures: &'a Textures,
        config: &'a ImplantConfig,
        lung_hu: f32,
        seed: u64,
    ) -> Self {
        let count = stage.lungs.iter().filter(|&&l| l > 0).count();
        // A stride without common factors with usual row lengths spreads the sites.
        let stride = (count / SITES).max(1) | 1;
        let sites = stage
            .lungs
            .iter()
            .enumerate()
            .filter(|(_, l)| **l > 0)
            .step_by(stride)
            .filter(|(i, _)| stage.free[*i] > 0.5)
            .map(|(i, &label)| {
                let (p, side) = (stage.point(i), usize::from(label) - 1);
                let lung = &lobes.lungs[side];
                Site {
                    p,
                    depth: stage.depth[i].max(0.0),
                    side,
                    height: lung.share(p, 0),
                    back: lung.share(p, 1),
                    lesion: false,
                }
            })
            .collect();
        Self {
            config,
            lobes,
            textures,
            gap_hu: 40.0 - lung_hu,
            lungs_mm3: count as f64 * stage.geometry.voxel_mm3(),
            sites,
            r: Random::new(seed, 43),
        }
    }

    /// Draws the lesions of a variant of `class`; none if there is no room for any.
    pub fn draw(mut self, class: Diagnosis) -> (Pattern, Vec<ImplantedLesion>) {
        let pattern = Pattern::draw(class, self.config, &mut self.r);
        if pattern == Pattern::Clear || self.sites.is_empty() {
            return (Pattern::Clear, Vec::new());
        }
        let mut style = Style::draw(pattern, self.config, &mut self.r);
        let room = 1.0 - self.config.clear_share;
        let [low, high] = self.config.involvement;
        let high = high.min(room);
        let low = match pattern {
            Pattern::Confluent => low.max(0.05),
            Pattern::Lobar => low.max(0.02),
            _ => low,
        };
        let aim = self.r.uniform(low.min(high).ln(), high.ln()).exp();
        if matches!(
            pattern,
            Pattern::Scattered | Pattern::Bands | Pattern::Bronchial
        ) {
            // Even a small target share must consist of several lesions.
            let single_mm3 = aim * self.lungs_mm3 / 4.0;
            let largest =
                (single_mm3 * 0.24).cbrt() * if pattern == Pattern::Bands { 1.4 } else { 1.0 };
            style.radius_mm[1] = style.radius_mm[1].min(largest.max(1.4 * style.radius_mm[0]));
        }
        let home = self.home(pattern);
        let mut lesions = Vec::new();
        let mut share = 0.0;
        for attempt in 0..3 * MOST {
            if share >= aim || lesions.len() >= style.most {
                break;
            }
            let Some(mut lesion) = self.lesion(&style, home, attempt) else {
                break;
            };
            // A lesion that would take in too much is made smaller. After five attempts it is left out.
            for _ in 0..5 {
                let (more, hit) = self.effect(&lesion);
                if hit && share + more <= room.min(1.25 * aim.max(0.004)) {
                    share += self.mark(&lesion);
                    lesions.push(lesion);
                    break;
                }
                lesion.shrink(0.72);
            }
        }
        if lesions.is_empty()
            && let Some(mut lesion) = self.lesion(&style, home, 0)
        {
            while lesion.radii_mm.iter().any(|r| *r > 9.0) && self.effect(&lesion).0 > room {
                lesion.shrink(0.8);
            }
            lesions.push(lesion);
        }
        self.satellites(&mut style, home, room - share, &mut lesions);
        (pattern, lesions)
    }

    /// Adds small patches beside the lesions that make up the target share.
    fn satellites(
        &mut self,
        style: &mut Style,
        home: Option<Lobe>,
        mut room: f64,
        lesions: &mut Vec<ImplantedLesion>,
    ) {
        let most = if home.is_some() { 4 } else { 18 };
        style.radius_mm = [3.0, 9.0];
        style.pleural_mm *= 1.5;
        for number in 0..self.r.below(most) {
            if lesions.len() < MOST
                && let Some(lesion) = self.lesion(style, home, number)
                && matches!(lesion.form, Form::Patch | Form::Band(_))
            {
                let (more, hit) = self.effect(&lesion);
                if hit && more < (0.1 * room).min(0.01) {
                    room -= self.mark(&lesion);
                    lesions.push(lesion);
                }
            }
        }
    }

    /// The lobe in which CAP begins, `None` for COVID-19.
    fn home(&mut self, pattern: Pattern) -> Option<Lobe> {
        let cap = matches!(
            pattern,
            Pattern::Lobar | Pattern::Segmental | Pattern::Bronchial | Pattern::Round
        );
        if !cap || self.sites.is_empty() {
            return None;
        }
        // Lower lobes are chosen somewhat more often than their volume alone would give.
        for _ in 0..8 {
            let site = &self.sites[self.r.below(self.sites.len())];
            let (lobe, _) = self.lobes.lobe(site.side, site.p);
            let lower = matches!(lobe, Lobe::RightLower | Lobe::LeftLower);
            if lower || self.r.chance(0.6) {
                return Some(lobe);
            }
        }
        None
    }

    /// A place for the next lesion.
    fn place(&mut self, style: &Style, home: Option<Lobe>, number: usize) -> Option<usize> {
        // COVID-19 alternates between the sides. CAP stays in its first lobe with few exceptions.
        let away = self.r.chance(match style.pattern {
            Pattern::Bronchial => 0.25,
            _ => 0.12,
        });
        let side = number % 2;
        let behind = self.r.uniform(0.3, 1.0) as f32;
        let weight = |s: &Site| -> f64 {
            if let Some(home) = home {
                let (lobe, fissure) = self.lobes.lobe(s.side, s.p);
                if (lobe == home) == away || fissure < 3.0 {
                    return 0.0;
                }
                return (-f64::from(s.depth) / style.pleural_mm).exp();
            }
            if s.side != side && self.lobes.lungs[side].is_there() {
                return 0.0;
            }
            let place = (0.1 + behind * s.back * s.back) * (1.15 - 0.85 * s.height);
            f64::from(place) * (-f64::from(s.depth) / style.pleural_mm).exp()
        };
        let mut sum = 0.0;
        let sums: Vec<f64> = self
            .sites
            .iter()
            .map(|s| {
                sum += if s.lesion {
                    0.15 * weight(s)
                } else {
                    weight(s)
                };
                sum
            })
            .collect();
        if sum <= 0.0 {
            return None;
        }
        let at = self.r.unit() * sum;
        Some(sums.partition_point(|s| *s <= at).min(sums.len() - 1))
    }

    fn lesion(
        &mut self,
        style: &Style,
        home: Option<Lobe>,
        number: usize,
    ) -> Option<ImplantedLesion> {
        let at = self
            .place(style, home, number)
            .or_else(|| self.place(style, home, number + 1))?;
        let site = &self.sites[at];
        let (centre, side) = (site.p, site.side);
        let (lobe, _) = self.lobes.lobe(side, centre);
        let r = &mut self.r;
        // Smaller patches accompany confluent ground glass.
        let small = style.pattern == Pattern::Confluent && number > 1 && r.chance(0.45);
        let [low, high] = if small { [5.0, 24.0] } else { style.radius_mm };
        let radius = r.uniform(low.ln(), high.ln()).exp();
        let form = match style.pattern {
            Pattern::Bands if r.chance(0.75) => Form::Band(r.uniform(6.0, 24.0) as f32),
            Pattern::Confluent if !small && r.chance(0.5) => {
                Form::Band(r.uniform(20.0, 60.0) as f32)
            }
            Pattern::Scattered if radius > 8.0 && r.chance(0.25) => {
                Form::Band(r.uniform(6.0, 18.0) as f32)
            }
            Pattern::Segmental => {
                Form::Wedge(r.uniform(17.0, 34.0) as f32, r.uniform(5.0, 45.0) as f32)
            }
            _ => Form::Patch,
        };
        // Small patches are rarely consolidated in COVID-19.
        let rare = if home.is_none() && radius < 9.0 {
            0.35
        } else {
            1.0
        };
        let dense = r.chance(rare * style.dense);
        let lobar = matches!(style.pattern, Pattern::Lobar | Pattern::Segmental);
        let core = if !dense {
            Core::None
        } else if lobar {
            Core::Centre(r.uniform(0.7, 1.05) as f32)
        } else {
            match form {
                Form::Band(thick) => Core::Pleural(thick * r.uniform(0.25, 0.8) as f32),
                _ => match r.below(8) {
                    0..=3 if home.is_none() => Core::Centre(r.uniform(0.3, 0.75) as f32),
                    0..=3 => Core::Centre(r.uniform(0.35, 0.9) as f32),
                    4 if radius > 11.0 => Core::Ring,
                    _ => Core::Islands(r.uniform(0.2, 0.75) as f32),
                },
            }
        };
        let bounded = match style.pattern {
            Pattern::Lobar => true,
            Pattern::Segmental => r.chance(0.9),
            Pattern::Bronchial => r.chance(0.7),
            _ => r.chance(0.25),
        };
        let glass = r
            .uniform(style.glass_hu[0].ln(), style.glass_hu[1].ln())
            .exp();
        let stretch: [f64; 3] = std::array::from_fn(|_| r.uniform(0.7, 1.4));
        let t = style.texture;
        let mut vary = |v: f32| v * r.uniform(0.6, 1.3) as f32;
        let texture = Texture {
            coarse: vary(t.coarse).min(1.0),
            fine: vary(t.fine).min(1.0),
            fading: vary(t.fading).min(0.7),
            spared: vary(t.spared).min(0.95),
            paving: vary(t.paving).min(1.0),
        };
        let edge_mm = vary(style.edge_mm).max(0.5);
        let roughness = vary(style.roughness).min(0.9);
        Some(ImplantedLesion {
            form,
            side: if side == 0 { Side::Right } else { Side::Left },
            lobe: bounded.then_some(lobe),
            centre_mm: centre.map(tidy),
            radii_mm: stretch.map(|s| tidy((s * radius) as f32)),
            yaw_deg: tidy(r.uniform(-90.0, 90.0) as f32),
            roughness: tidy(roughness),
            // Small lesions have no room for wide edges.
            edge_mm: tidy(edge_mm.min(0.6 * radius as f32)),
            filling: tidy((glass as f32 / self.gap_hu).min(0.8)),
            texture: Texture {
                coarse: tidy(texture.coarse),
                fine: tidy(texture.fine),
                fading: tidy(texture.fading),
                spared: tidy(texture.spared),
                paving: tidy(texture.paving),
            },
            core,
            core_filling: tidy(r.uniform(if home.is_some() { 0.9 } else { 0.74 }, 1.0) as f32),
            phase: tidy(r.uniform(0.0, 30.0) as f32),
        })
    }

    /// Share of the lungs that a lesion would add, and whether it takes in any site.
    fn effect(&self, lesion: &ImplantedLesion) -> (f64, bool) {
        let (mut more, mut hit) = (0usize, false);
        for site in &self.sites {
            if self.holds(lesion, site) {
                hit = true;
                more += usize::from(!site.lesion);
            }
        }
        (more as f64 / self.sites.len() as f64, hit)
    }

    /// Marks the sites that a lesion takes in and returns the share that it adds.
    fn mark(&mut self, lesion: &ImplantedLesion) -> f64 {
        let held: Vec<bool> = self.sites.iter().map(|s| self.holds(lesion, s)).collect();
        let mut more = 0usize;
        for (site, held) in self.sites.iter_mut().zip(held) {
            if held && !site.lesion {
                site.lesion = true;
                more += 1;
            }
        }
        more as f64 / self.sites.len() as f64
    }

    fn holds(&self, lesion: &ImplantedLesion, site: &Site) -> bool {
        let side = usize::from(lesion.side == Side::Left);
        let reach = lesion.reach();
        site.side == side
            && (0..3).all(|a| (site.p[a] - lesion.centre_mm[a]).abs() <= reach)
            && lesion
                .density(self.textures, self.lobes, site.p, site.depth)
                .body
                >= 0.5
    }
}

impl ImplantedLesion {
    /// Makes a lesion smaller.
    pub(super) fn shrink(&mut self, by: f32) {
        for r in &mut self.radii_mm {
            *r = tidy((*r * by).max(3.0));
        }
        match &mut self.form {
            Form::Patch => {}
            Form::Band(thick) => *thick = tidy(*thick * by),
            Form::Wedge(angle, start) => {
                *angle = tidy(*angle * by);
                *start = tidy(*start + 4.0);
            }
        }
    }
}

/// Rounds to a thousandth, so that records read well.
fn tidy(v: f32) -> f32 {
    (v * 1000.0).round() / 1000.0
}
