//! Connected components of a mask.

use crate::Volume;
use serde::{Deserialize, Serialize};

/// Which voxels count as neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connectivity {
    /// The 6 that share a face.
    Faces,
    /// All 26 that share a face, an edge or a corner.
    #[default]
    Corners,
}

/// The connected components of a mask.
#[derive(Debug, Clone)]
pub struct Components {
    /// 0 outside, else the component's number from 1, in the order of its first voxel.
    pub labels: Volume<u32>,
    /// Number of voxels of component `i + 1`.
    pub sizes: Vec<usize>,
}

impl Components {
    /// Number of the largest component, or `None` if there are no components. A tie goes to the
    /// first component.
    pub fn largest(&self) -> Option<u32> {
        let largest = self.sizes.iter().max()?;
        let index = self.sizes.iter().position(|s| s == largest)?;
        Some(index as u32 + 1)
    }

    /// The mask of all components that `keep` accepts. It receives the number and the size of each
    /// component once.
    #[must_use]
    pub fn select(&self, mut keep: impl FnMut(u32, usize) -> bool) -> Volume<u8> {
        let kept: Vec<u8> = std::iter::once(0)
            .chain((1..).zip(&self.sizes).map(|(n, &s)| u8::from(keep(n, s))))
            .collect();
        self.labels.map(|n| kept[n as usize])
    }
}

/// A stretch of mask voxels within one row, `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First voxel.
    pub start: u32,
    /// The voxel after the last.
    pub end: u32,
    /// Number of the component, from 1, in the order of its first voxel.
    pub component: u32,
}

/// The connected components of a mask as runs of voxels, which take much less memory than a label
/// map.
#[derive(Debug, Clone)]
pub struct ComponentRuns {
    /// The runs in the order of the array.
    runs: Vec<Run>,
    /// Where each row's runs begin, and the end of the last row's.
    rows: Vec<usize>,
    /// Number of voxels of component `i + 1`.
    pub sizes: Vec<usize>,
}

impl ComponentRuns {
    /// Finds the connected components of the voxels of `mask` that `on` accepts.
    ///
    /// Each row is cut into runs, and a union-find structure joins runs that touch. The cost is
    /// about one pass over the voxels.
    #[must_use]
    pub fn of(mask: &Volume<u8>, connectivity: Connectivity, on: impl Fn(u8) -> bool) -> Self {
        let [nz, ny, nx] = mask.shape();
        let mut runs: Vec<Run> = Vec::new();
        let mut rows: Vec<usize> = Vec::with_capacity(nz * ny + 1);
        for line in mask.data().chunks_exact(nx) {
            rows.push(runs.len());
            let mut x = 0;
            while let Some(skip) = line[x..].iter().position(|&v| on(v)) {
                let start = x + skip;
                let end = line[start..]
                    .iter()
                    .position(|&v| !on(v))
                    .map_or(nx, |n| start + n);
                runs.push(Run {
                    start: start as u32,
                    end: end as u32,
                    component: 0,
                });
                x = end;
            }
        }
        rows.push(runs.len());

        let before: &[[usize; 2]] = match connectivity {
            Connectivity::Faces => &[[0, 1], [1, 0]],
            Connectivity::Corners => &[[0, 1], [1, 0], [1, 1]],
        };
        let reach = u32::from(connectivity == Connectivity::Corners);
        let mut parent: Vec<u32> = (0..runs.len() as u32).collect();
        for z in 0..nz {
            for y in 0..ny {
                let row = z * ny + y;
                for &[dz, dy] in before {
                    if z >= dz && y >= dy {
                        let other = (z - dz) * ny + y - dy;
                        join_rows(&runs, &rows, row, other, reach, &mut parent);
                    }
                }
                if connectivity == Connectivity::Corners && z > 0 && y + 1 < ny {
                    join_rows(&runs, &rows, row, row + 1 - ny, reach, &mut parent);
                }
            }
        }

        // The root of a set is its first run. Numbers therefore follow the order of first voxels.
        let mut sizes = Vec::new();
        for i in 0..runs.len() {
            let root = find(&mut parent, i as u32) as usize;
            if root == i {
                sizes.push(0);
                runs[i].component = sizes.len() as u32;
            } else {
                runs[i].component = runs[root].component;
            }
            sizes[runs[i].component as usize - 1] += (runs[i].end - runs[i].start) as usize;
        }
        Self { runs, rows, sizes }
    }

    /// The runs of each row, in the order of the array.
    pub fn rows(&self) -> impl Iterator<Item = &[Run]> {
        self.rows.windows(2).map(|w| &self.runs[w[0]..w[1]])
    }
}

/// Finds the connected components of the voxels of `mask` that are not 0.
#[must_use]
pub fn components(mask: &Volume<u8>, connectivity: Connectivity) -> Components {
    let found = ComponentRuns::of(mask, connectivity, |v| v != 0);
    let nx = mask.shape()[2];
    let mut labels = mask.map(|_| 0u32);
    for (line, runs) in labels.data_mut().chunks_exact_mut(nx).zip(found.rows()) {
        for run in runs {
            line[run.start as usize..run.end as usize].fill(run.component);
        }
    }
    Components {
        labels,
        sizes: found.sizes,
    }
}

/// Joins the runs of two neighbouring rows that touch, in one pass over both rows.
fn join_rows(
    runs: &[Run],
    rows: &[usize],
    row: usize,
    other: usize,
    reach: u32,
    parent: &mut [u32],
) {
    let (mut i, mut j) = (rows[row], rows[other]);
    while i < rows[row + 1] && j < rows[other + 1] {
        let (a, b) = (&runs[i], &runs[j]);
        if a.start < b.end + reach && b.start < a.end + reach {
            let (p, q) = (find(parent, i as u32), find(parent, j as u32));
            parent[p.max(q) as usize] = p.min(q);
        }
        if a.end < b.end {
            i += 1;
        } else {
            j += 1;
        }
    }
}

fn find(parent: &mut [u32], mut i: u32) -> u32 {
    while parent[i as usize] != i {
        parent[i as usize] = parent[parent[i as usize] as usize];
        i = parent[i as usize];
    }
    i
}

/// The largest component of `mask` alone. An empty mask stays empty.
#[must_use]
pub fn largest(mask: &Volume<u8>, connectivity: Connectivity) -> Volume<u8> {
    let found = components(mask, connectivity);
    let number = found.largest().unwrap_or(u32::MAX);
    found.select(|n, _| n == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Geometry;

    fn volume(shape: [usize; 3], on: &[[usize; 3]]) -> Volume<u8> {
        let geometry = Geometry::axial(shape, [1.0; 3]).expect("a valid grid");
        Volume::from_fn(geometry, |i| u8::from(on.contains(&i)))
    }

    #[test]
    fn a_diagonal_joins_by_corners_only() {
        let mask = volume([2, 2, 2], &[[0, 0, 0], [1, 1, 1]]);
        assert_eq!(components(&mask, Connectivity::Faces).sizes, [1, 1]);
        assert_eq!(components(&mask, Connectivity::Corners).sizes, [2]);
        let anti = volume([2, 2, 2], &[[0, 1, 0], [1, 0, 1]]);
        assert_eq!(components(&anti, Connectivity::Faces).sizes, [1, 1]);
        assert_eq!(components(&anti, Connectivity::Corners).sizes, [2]);
    }

    #[test]
    fn a_u_shape_is_one_component() {
        let mask = volume(
            [1, 2, 3],
            &[[0, 0, 0], [0, 0, 2], [0, 1, 0], [0, 1, 1], [0, 1, 2]],
        );
        let found = components(&mask, Connectivity::Faces);
        assert_eq!(found.sizes, [5]);
        assert_eq!(found.labels.data(), [1, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn a_diagonal_run_far_away_does_not_join() {
        let mask = volume([1, 2, 4], &[[0, 0, 0], [0, 1, 2]]);
        assert_eq!(components(&mask, Connectivity::Corners).sizes, [1, 1]);
    }

    #[test]
    fn the_largest_is_kept_and_nothing_stays_nothing() {
        let mask = volume([1, 1, 5], &[[0, 0, 0], [0, 0, 2], [0, 0, 3]]);
        let kept = largest(&mask, Connectivity::Faces);
        assert_eq!(kept.data(), [0, 0, 1, 1, 0]);
        let none = volume([1, 1, 5], &[]);
        assert_eq!(largest(&none, Connectivity::Faces), none);
        assert_eq!(components(&none, Connectivity::Corners).largest(), None);
    }
}
