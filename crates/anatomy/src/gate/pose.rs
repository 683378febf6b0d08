//! Compares the geometry's directions (head, back, left) with the chest in the scan.

use crate::{LEFT, RIGHT};
use multirnet_volume::{Orientation, Volume};

/// Lung cross section at the scan's end, in mm², above which the lungs count as cut.
pub(super) const CUT_MM2: f64 = 500.0;

/// Lowest density of bone.
const BONE_HU: f32 = 220.0;
/// Half the width of the spine in millimetres, with some room.
const SPINE_MM: f64 = 30.0;
/// Spacing of the thinned-out grid on which the chest is measured, in millimetres.
const STEP_MM: f64 = 4.0;

/// Measurements of the chest that reveal its pose.
pub(super) struct Pose {
    /// Lung cross section in the lowest and the highest plane, in mm².
    pub cut_mm2: [f64; 2],
    /// Share of their bounding boxes that the lungs fill near their lower and their upper end. It
    /// is low at the base, where they wrap around the diaphragm, and high at the apex.
    solidity: Option<[f64; 2]>,
    /// How far the bone near the midline lies behind the lungs' centre, in mm.
    bone_behind_mm: Option<f64>,
}

impl Pose {
    /// The contradictions to the geometry, one sentence each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        if let Some([base, apex]) = self.solidity
            && base > apex + 0.12
            && self.cut_mm2.iter().all(|&a| a < CUT_MM2)
        {
            out.push(
                "The lungs look upside down: the file's geometry may be wrong about head and \
                 feet, and with it about right and left."
                    .to_owned(),
            );
        }
        if let Some(behind) = self.bone_behind_mm
            && behind < -15.0
        {
            out.push(
                "The spine lies in front of the lungs: the file's geometry may be wrong about \
                 front and back, and with it about right and left."
                    .to_owned(),
            );
        }
        out
    }
}

/// Measures `scan` and its lungs on a thinned-out grid.
pub(super) fn look(scan: &Volume<f32>, lungs: &Volume<u8>) -> Pose {
    let geometry = scan.geometry();
    let target = geometry.reoriented(Orientation::CANONICAL);
    let spacing = target.spacing_mm();
    let shape = target.shape();
    // Array axis and sign of the scan for each canonical axis.
    let from: [(usize, bool); 3] = std::array::from_fn(|a| {
        let mut step = [0.0; 3];
        step[a] = 1.0;
        let origin = geometry.world_to_index(target.index_to_world([0.0; 3]));
        let to = geometry.world_to_index(target.index_to_world(step));
        let moved: [f64; 3] = std::array::from_fn(|k| to[k] - origin[k]);
        let axis = (0..3).find(|&k| moved[k].abs() > 0.5).unwrap_or(a);
        (axis, moved[axis] < 0.0)
    });
    let offset = |index: [usize; 3]| {
        let mut own = [0; 3];
        for a in 0..3 {
            let (axis, flipped) = from[a];
            own[axis] = if flipped {
                shape[a] - 1 - index[a]
            } else {
                index[a]
            };
        }
        scan.offset(own)
    };
    let step = spacing.map(|s| ((STEP_MM / s).round() as usize).max(1));
    let area = step[1] as f64 * spacing[1] * step[2] as f64 * spacing[2];
    let grid = |n: usize, step: usize| (0..n).step_by(step);

    // Per plane and side: voxels, sum of y and x, and the box around the lung.
    let mut planes: Vec<[Section; 2]> = Vec::new();
    let mut heights: Vec<usize> = grid(shape[0], step[0]).collect();
    if heights.last() != Some(&(shape[0] - 1)) {
        heights.push(shape[0] - 1);
    }
    for &z in &heights {
        let mut sections = [Section::default(); 2];
        for y in grid(shape[1], step[1]) {
            for x in grid(shape[2], step[2]) {
                match lungs.data()[offset([z, y, x])] {
                    RIGHT => sections[0].add(y, x),
                    LEFT => sections[1].add(y, x),
                    _ => {}
                }
            }
        }
        planes.push(sections);
    }
    let count = |s: &[Section; 2]| (s[0].count + s[1].count) as f64;
    let cut = |s: Option<&[Section; 2]>| s.map_or(0.0, |s| count(s) * area);
    let cut_mm2 = [cut(planes.first()), cut(planes.last())];

    let held: Vec<usize> = (0..planes.len())
        .filter(|&i| count(&planes[i]) > 0.0)
        .collect();
    let solidity = (held.len() >= 10).then(|| {
        let end = held.len() / 5;
        [&held[..end], &held[held.len() - end..]].map(|end| {
            let sections = || end.iter().flat_map(|&i| planes[i].iter());
            let filled: usize = sections().map(|s| s.count).sum();
            let boxes: f64 = sections().map(|s| s.box_cells(step)).sum();
            filled as f64 / boxes.max(1.0)
        })
    });

    // The midline lies half way between the two lungs.
    let total = |side: usize, f: fn(&Section) -> usize| -> f64 {
        planes.iter().map(|p| f(&p[side]) as f64).sum()
    };
    let counts = [0, 1].map(|side| total(side, |s| s.count));
    let bone_behind_mm = (counts[0] > 50.0 && counts[1] > 50.0).then(|| {
        let centre = |side: usize| total(side, |s| s.x) / counts[side];
        let middle = (centre(0) + centre(1)) / 2.0;
        let lung_y = (total(0, |s| s.y) + total(1, |s| s.y)) / (counts[0] + counts[1]);
        let (mut sum, mut bones) = (0.0, 0.0);
        for &i in &held {
            for y in grid(shape[1], step[1]) {
                for x in grid(shape[2], step[2]) {
                    if (x as f64 - middle).abs() * spacing[2] < SPINE_MM
                        && scan.data()[offset([heights[i], y, x])] > BONE_HU
                    {
                        sum += y as f64;
                        bones += 1.0;
                    }
                }
            }
        }
        if bones > 20.0 {
            (sum / bones - lung_y) * spacing[1]
        } else {
            0.0
        }
    });
    Pose {
        cut_mm2,
        solidity,
        bone_behind_mm,
    }
}

/// One lung's cross section.
#[derive(Clone, Copy, Default)]
struct Section {
    count: usize,
    y: usize,
    x: usize,
    low: [usize; 2],
    high: [usize; 2],
}

impl Section {
    fn add(&mut self, y: usize, x: usize) {
        if self.count == 0 {
            (self.low, self.high) = ([y, x], [y, x]);
        }
        self.count += 1;
        self.y += y;
        self.x += x;
        self.low = [self.low[0].min(y), self.low[1].min(x)];
        self.high = [self.high[0].max(y), self.high[1].max(x)];
    }

    /// Cells of the grid within the box around the section.
    fn box_cells(&self, step: [usize; 3]) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let side = |a: usize| ((self.high[a] - self.low[a]) / step[a + 1] + 1) as f64;
        side(0) * side(1)
    }
}
