//! Smooth noise fields and small shaping functions.

use multirnet_base::random::Random;

const SIDE: usize = 32;
const CELLS: usize = 64;
const CELL_STEP: f32 = 0.75;

/// Periodic lattice noise in about [-1, 1].
pub(crate) struct Noise {
    lattice: Vec<f32>,
}

impl Noise {
    pub fn new(random: &mut Random) -> Self {
        Self {
            lattice: (0..SIDE * SIDE * SIDE)
                .map(|_| random.uniform(-1.0, 1.0) as f32)
                .collect(),
        }
    }

    /// Smoothly interpolated value at `(x, y, z)` in lattice steps.
    #[inline]
    pub fn at(&self, x: f32, y: f32, z: f32) -> f32 {
        let s = |t: f32| t * t * (3.0 - 2.0 * t);
        let ((ix, u), (iy, v), (iz, w)) = (split(x), split(y), split(z));
        let (u, v, w) = (s(u), s(v), s(w));
        let wrap = |i: i32| (i as usize) & (SIDE - 1);
        let (x0, y0, z0) = (wrap(ix), wrap(iy), wrap(iz));
        let (x1, y1, z1) = (
            (x0 + 1) & (SIDE - 1),
            (y0 + 1) & (SIDE - 1),
            (z0 + 1) & (SIDE - 1),
        );
        let row = |z: usize, y: usize| {
            let base = (z * SIDE + y) * SIDE;
            lerp(self.lattice[base + x0], self.lattice[base + x1], u)
        };
        lerp(
            lerp(row(z0, y0), row(z0, y1), v),
            lerp(row(z1, y0), row(z1, y1), v),
            w,
        )
    }

    /// Noise of two octaves.
    #[inline]
    pub fn rough(&self, x: f32, y: f32, z: f32) -> f32 {
        0.65 * self.at(x, y, z) + 0.35 * self.at(2.13 * x + 7.3, 2.13 * y + 1.7, 2.13 * z + 3.9)
    }
}

/// Periodic network of thin walls between cells of about 5 mm: secondary lobules.
pub(crate) struct Lobules {
    walls: Vec<f32>,
}

impl Lobules {
    pub fn new(random: &mut Random) -> Self {
        const GRID: usize = 9;
        let period = CELLS as f32 * CELL_STEP;
        let cell = period / GRID as f32;
        let sites: Vec<[f32; 3]> = (0..GRID * GRID * GRID)
            .map(|_| std::array::from_fn(|_| random.uniform(0.0, 1.0) as f32))
            .collect();
        let mut walls = Vec::with_capacity(CELLS * CELLS * CELLS);
        for z in 0..CELLS {
            for y in 0..CELLS {
                for x in 0..CELLS {
                    let p = [x, y, z].map(|i| i as f32 * CELL_STEP / cell);
                    let home = p.map(|v| v.floor() as i32);
                    let (mut first, mut second) = (f32::MAX, f32::MAX);
                    for dz in -1..=1 {
                        for dy in -1..=1 {
                            for dx in -1..=1 {
                                let g = [home[0] + dx, home[1] + dy, home[2] + dz];
                                let w = g.map(|i| i.rem_euclid(GRID as i32) as usize);
                                let site = sites[(w[2] * GRID + w[1]) * GRID + w[0]];
                                let d: f32 =
                                    (0..3).map(|k| (g[k] as f32 + site[k] - p[k]).powi(2)).sum();
                                if d < first {
                                    second = first;
                                    first = d;
                                } else if d < second {
                                    second = d;
                                }
                            }
                        }
                    }
                    let gap = (second.sqrt() - first.sqrt()) * cell;
                    walls.push(1.0 - smooth(0.2, 1.7, gap));
                }
            }
        }
        Self { walls }
    }

    /// Wall density in [0, 1] at a point in millimetres (nearest sample, x-linear).
    #[inline]
    pub fn at(&self, x: f32, y: f32, z: f32) -> f32 {
        let wrap = |v: f32| (split(v / CELL_STEP).0 as usize) & (CELLS - 1);
        let (i, t) = split(x / CELL_STEP);
        let x0 = (i as usize) & (CELLS - 1);
        let base = (wrap(z) * CELLS + wrap(y)) * CELLS;
        lerp(
            self.walls[base + x0],
            self.walls[base + ((x0 + 1) & (CELLS - 1))],
            t,
        )
    }
}

/// Floor and fraction. A cast replaces `f32::floor`, which is a function call on targets without an
/// instruction for it.
#[inline]
fn split(x: f32) -> (i32, f32) {
    let towards_zero = x as i32;
    let i = towards_zero - i32::from((towards_zero as f32) > x);
    (i, x - i as f32)
}

#[inline]
pub(crate) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 below `low`, 1 above `high`, smooth between.
#[inline]
pub(crate) fn smooth(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Smaller of two distances with the corner rounded over `k` millimetres.
#[inline]
pub(crate) fn soft_min(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - 0.25 * h * h * k
}

/// Larger of two distances with the corner rounded over `k` millimetres.
#[inline]
pub(crate) fn soft_max(a: f32, b: f32, k: f32) -> f32 {
    -soft_min(-a, -b, k)
}

/// Piecewise linear interpolation in a table of `(x, value)` with ascending `x`, clamped.
pub(crate) fn table(points: &[(f32, f32)], x: f32) -> f32 {
    let mut previous = points[0];
    if x <= previous.0 {
        return previous.1;
    }
    for &point in &points[1..] {
        if x <= point.0 {
            let t = (x - previous.0) / (point.0 - previous.0);
            return lerp(previous.1, point.1, t);
        }
        previous = point;
    }
    previous.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_in_its_range_has_no_jumps_and_repeats() {
        let noise = Noise::new(&mut Random::new(3, 1));
        let period = SIDE as f32;
        let mut largest = 0.0f32;
        for i in 0..2000 {
            let t = i as f32 * 0.37;
            let [x, y, z] = [t - 200.0, 0.61 * t, 5.0 - 0.23 * t];
            let here = noise.at(x, y, z);
            assert!(here.abs() <= 1.0 && noise.rough(x, y, z).abs() <= 1.0);
            // No axis changes the value by more than 3 a step of the lattice.
            let near = noise.at(x + 1e-3, y - 1e-3, z + 1e-3);
            assert!((here - near).abs() < 0.012, "{here} to {near}");
            let far = noise.at(x + period, y - period, z + 2.0 * period);
            assert!((here - far).abs() < 2e-3, "{here} and {far}");
            largest = largest.max(here.abs());
        }
        assert!(largest > 0.5, "{largest}");
    }

    #[test]
    fn lobules_are_cells_between_walls() {
        let lobules = Lobules::new(&mut Random::new(5, 1));
        let walls = &lobules.walls;
        assert!(walls.iter().all(|w| (0.0..=1.0).contains(w)));
        let share = |f: fn(f32) -> bool| {
            walls.iter().filter(|w| f(**w)).count() as f32 / walls.len() as f32
        };
        let (wall, cell) = (share(|w| w > 0.9), share(|w| w == 0.0));
        assert!(wall > 0.1 && cell > 0.1, "{wall} wall and {cell} cell");
        let period = CELLS as f32 * CELL_STEP;
        let at = |shift: f32| lobules.at(3.0 + shift, 17.25 - shift, 40.5 + shift);
        assert_eq!(at(0.0), at(period));
    }

    #[test]
    fn steps_run_smoothly_from_end_to_end_in_both_directions() {
        for (low, high) in [(-2.0, 4.0), (4.0, -2.0)] {
            assert_eq!(
                (smooth(low, high, low), smooth(low, high, high)),
                (0.0, 1.0)
            );
            assert_eq!(smooth(low, high, 1.0), 0.5);
            assert_eq!(smooth(low, high, 2.0 * low - high), 0.0);
            assert_eq!(smooth(low, high, 2.0 * high - low), 1.0);
            let steps = (0..=60).map(|i| smooth(low, high, low + (high - low) * i as f32 / 60.0));
            assert!(steps.collect::<Vec<_>>().is_sorted());
        }
    }

    #[test]
    fn rounded_corners_touch_nothing_beyond_their_width() {
        for (a, b) in [(1.0, 9.0), (-3.0, 3.0), (5.0, 5.0), (2.0, 0.5)] {
            let (low, high) = (soft_min(a, b, 6.0), soft_max(a, b, 6.0));
            assert_eq!((low, high), (soft_min(b, a, 6.0), soft_max(b, a, 6.0)));
            let (below, above) = (a.min(b) - low, high - a.max(b));
            assert_eq!(below, above);
            assert!(
                (0.0..=1.5).contains(&below),
                "a quarter of the width at most"
            );
            assert_eq!(below == 0.0, (a - b).abs() >= 6.0);
        }
    }

    #[test]
    fn tables_are_interpolated_and_end_with_their_ends() {
        let points = [(-10.0, 4.0), (0.0, 8.0), (20.0, 6.0)];
        for (x, value) in [
            (-99.0, 4.0),
            (-10.0, 4.0),
            (-5.0, 6.0),
            (0.0, 8.0),
            (5.0, 7.5),
            (99.0, 6.0),
        ] {
            assert_eq!(table(&points, x), value, "at {x}");
        }
    }
}
