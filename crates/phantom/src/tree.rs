//! Vessel and airway trees, grown from the hila to points spread over the lungs.

use crate::anatomy::{Anatomy, ROOTS, Section, Site, bin_of};
use multirnet_base::random::Random;

/// Sections at regular heights, for queries about points instead of slices.
pub(crate) struct Atlas<'a> {
    sections: Vec<Section<'a>>,
}

const LOW: f32 = -180.0;
const STEP: f32 = 3.0;
const LEVELS: usize = 110;

impl<'a> Atlas<'a> {
    pub fn new(anatomy: &'a Anatomy) -> Self {
        Self {
            sections: (0..LEVELS)
                .map(|k| Section::new(anatomy, LOW + STEP * k as f32))
                .collect(),
        }
    }

    /// The section nearest to a height.
    pub fn section(&self, z: f32) -> &Section<'a> {
        let k = ((z - LOW) / STEP).round().clamp(0.0, (LEVELS - 1) as f32);
        &self.sections[k as usize]
    }

    /// Distances at `(x, y, z)`.
    pub fn site(&self, p: [f32; 3]) -> Site {
        let radius = p[0].hypot(p[1]);
        self.section(p[2])
            .site(p[0], p[1], radius, bin_of(p[0], p[1]))
    }

    /// A point of one lung at least `depth` below its surface.
    pub fn point(&self, right: bool, depth: f32, random: &mut Random) -> [f32; 3] {
        let mut p = [0.0; 3];
        for _ in 0..400 {
            let x = random.uniform(6.0, 136.0) as f32;
            p = [
                if right { -x } else { x },
                random.uniform(-92.0, 98.0) as f32,
                random.uniform(-150.0, 132.0) as f32,
            ];
            if self.site(p).lung > depth {
                return p;
            }
        }
        p
    }
}

/// A tapered straight piece of a peripheral vessel or bronchus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub a: [f32; 3],
    pub b: [f32; 3],
    pub ra: f32,
    pub rb: f32,
    pub airway: bool,
}

struct Plan {
    targets: usize,
    depth: f32,
    leaf: f32,
    exponent: f32,
    /// Weight of the path back to the root. A small weight gives long branches, a large one a star.
    direct: f32,
    airway: bool,
}

/// Grows all trees of both lungs.
pub(crate) fn grow(atlas: &Atlas, seed: u64, density: f32) -> Vec<Segment> {
    let mut segments = Vec::new();
    for (side, roots) in ROOTS.iter().enumerate() {
        for (kind, &root) in roots.iter().enumerate() {
            let mut random = Random::new(seed, 16 + 4 * side as u64 + kind as u64);
            let plan = match kind {
                0 => Plan {
                    targets: (950.0 * density) as usize,
                    depth: 2.5,
                    leaf: 0.58,
                    exponent: 2.55,
                    direct: 0.45,
                    airway: false,
                },
                1 => Plan {
                    targets: (650.0 * density) as usize,
                    depth: 3.5,
                    leaf: 0.54,
                    exponent: 2.6,
                    direct: 0.45,
                    airway: false,
                },
                _ => Plan {
                    targets: 210,
                    depth: 10.0,
                    leaf: 0.95,
                    exponent: 2.75,
                    direct: 0.5,
                    airway: true,
                },
            };
            segments.extend(tree(atlas, side == 0, root, &plan, &mut random));
        }
    }
    segments
}

fn tree(
    atlas: &Atlas,
    right: bool,
    root: [f32; 3],
    plan: &Plan,
    random: &mut Random,
) -> Vec<Segment> {
    let far = |p: &[f32; 3], q: &[f32; 3]| {
        ((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2) + (p[2] - q[2]).powi(2)).sqrt()
    };
    let mut nodes: Vec<[f32; 3]> = (0..plan.targets)
        .map(|_| atlas.point(right, plan.depth, random))
        .collect();
    nodes.sort_by(|p, q| far(p, &root).total_cmp(&far(q, &root)));
    nodes.insert(0, root);
    let n = nodes.len();
    let (mut parent, mut way, mut fork) = (vec![0usize; n], vec![0.0f32; n], vec![0u8; n]);
    for i in 1..n {
        let (mut best, mut cost) = (0, f32::MAX);
        for j in 0..i {
            if fork[j] >= 3 && j > 0 {
                continue;
            }
            let d = far(&nodes[i], &nodes[j]);
            let c = d + plan.direct * way[j];
            if c < cost {
                (best, cost) = (j, c);
            }
        }
        parent[i] = best;
        fork[best] += 1;
        way[i] = way[best] + far(&nodes[i], &nodes[best]);
    }
    // Straighten: inner nodes move towards the middle of their neighbours.
    for _ in 0..3 {
        let mut sum = vec![[0.0f32; 4]; n];
        for i in 1..n {
            for k in 0..3 {
                sum[parent[i]][k] += nodes[i][k];
            }
            sum[parent[i]][3] += 1.0;
        }
        for i in 1..n {
            if sum[i][3] > 0.0 {
                let up = nodes[parent[i]];
                for k in 0..3 {
                    let middle = 0.5 * (up[k] + sum[i][k] / sum[i][3]);
                    nodes[i][k] += 0.45 * (middle - nodes[i][k]);
                }
            }
        }
    }
    let mut flow = vec![0.0f32; n];
    let mut radius = vec![plan.leaf; n];
    for i in (0..n).rev() {
        if flow[i] == 0.0 {
            flow[i] = plan.leaf.powf(plan.exponent);
        }
        radius[i] = flow[i].powf(1.0 / plan.exponent).min(5.2);
        if i > 0 {
            flow[parent[i]] += flow[i];
        }
    }
    let mut segments = Vec::with_capacity(2 * n);
    for i in 1..n {
        let (a, b) = (nodes[parent[i]], nodes[i]);
        let length = far(&a, &b).max(0.1);
        let middle: [f32; 3] = std::array::from_fn(|k| {
            0.5 * (a[k] + b[k]) + 0.09 * length * random.uniform(-1.0, 1.0) as f32
        });
        let ra = radius[i].max(0.9 * radius[parent[i]].min(1.25 * radius[i]));
        let rm = radius[i];
        segments.push(Segment {
            a,
            b: middle,
            ra,
            rb: rm,
            airway: plan.airway,
        });
        segments.push(Segment {
            a: middle,
            b,
            ra: rm,
            rb: 0.93 * radius[i],
            airway: plan.airway,
        });
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PhantomConfig;
    use multirnet_volume::Diagnosis;

    fn anatomy() -> Anatomy {
        Anatomy::new(&PhantomConfig::sample(12, Diagnosis::Normal, 64))
    }

    #[test]
    fn points_lie_as_deep_in_the_lung_as_is_asked_for() {
        let anatomy = anatomy();
        let atlas = Atlas::new(&anatomy);
        let mut random = Random::new(1, 1);
        for (right, depth) in [(true, 0.5), (false, 0.5), (true, 12.0), (false, 12.0)] {
            for _ in 0..200 {
                let p = atlas.point(right, depth, &mut random);
                assert_eq!(p[0] < 0.0, right, "the patient's right has a negative x");
                assert!(atlas.site(p).lung > depth, "{p:?}");
            }
        }
    }

    #[test]
    fn trees_fill_both_lungs_and_taper_from_the_hila_on() {
        let anatomy = anatomy();
        let atlas = Atlas::new(&anatomy);
        let segments = grow(&atlas, 12, 1.0);
        assert!(segments.iter().any(|s| s.airway));
        for side in [-1.0, 1.0] {
            let ends = || segments.iter().filter(move |s| side * s.b[0] > 0.0);
            // Upper, middle and lower thirds, front and back.
            for low in [-120.0, -50.0, 20.0] {
                for front in [true, false] {
                    let here = ends().filter(|s| {
                        (low..low + 70.0).contains(&s.b[2]) && (s.b[1] < 10.0) == front
                    });
                    assert!(here.count() > 20, "side {side}, from {low}, front {front}");
                }
            }
            let inside = ends().filter(|s| atlas.site(s.b).lung > -4.0).count();
            assert!(inside as f64 > 0.95 * ends().count() as f64);
        }
        for s in &segments {
            assert!(s.rb <= s.ra * 1.0001 && s.rb > 0.4 && s.ra <= 6.6, "{s:?}");
        }
        let vessels = |density| {
            let all = grow(&atlas, 12, density);
            all.iter().filter(|s| !s.airway).count()
        };
        assert!(vessels(1.3) > vessels(0.7));
    }
}
