//! Marching cubes (Lorensen and Cline, 1987) with a derived table.
//!
//! The triangles of a cell follow from its faces: on each face, every run of corners inside is cut
//! off by one segment, from the edge where a walk around the face enters the run to the edge where
//! it leaves. A face's segments depend only on its own corners. Two neighbouring cells therefore
//! agree on the face they share, and the surface does not have holes. This rule also decides the
//! ambiguous faces, on which published tables differ: it keeps the corners inside apart.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A scalar field on a grid, `x` fastest.
pub(super) struct Field {
    pub shape: [usize; 3],
    pub values: Vec<f32>,
}

/// Vertices as grid coordinates `(z, y, x)` and triangles.
pub(super) type Soup = (Vec<[f64; 3]>, Vec<[u32; 3]>);

/// Corner `c` lies at `(c >> 2, c >> 1 & 1, c & 1)` of its cell as `(z, y, x)`.
fn corner(c: usize) -> [usize; 3] {
    [c >> 2, c >> 1 & 1, c & 1]
}

/// An edge: its corner nearer to the origin and the bit in which the other one differs.
type Edge = (usize, usize);

/// Corners of each face in the order of a walk around it, counter-clockwise seen from outside in a
/// right-handed frame `(x, y, z)`.
const FACES: [[usize; 4]; 6] = [
    [0, 2, 3, 1],
    [4, 5, 7, 6],
    [0, 1, 5, 4],
    [2, 6, 7, 3],
    [0, 4, 6, 2],
    [1, 3, 7, 5],
];

fn edge(a: usize, b: usize) -> Edge {
    (a.min(b), a ^ b)
}

/// Triangles of a cell whose corners in the bit set `inside` lie inside, as triples of edges.
fn triangles(inside: usize) -> Vec<[Edge; 3]> {
    let is_in = |c: usize| inside >> c & 1 == 1;
    let mut next: Vec<(Edge, Edge)> = vec![];
    for face in FACES {
        for k in 0..4 {
            let (a, b) = (face[k], face[(k + 1) % 4]);
            if is_in(a) || !is_in(b) {
                continue;
            }
            // The walk enters a run of inside corners here; it leaves after at most three of them.
            let run = (1..4).take_while(|j| is_in(face[(k + j) % 4])).count();
            let (c, d) = (face[(k + run) % 4], face[(k + run + 1) % 4]);
            next.push((edge(a, b), edge(c, d)));
        }
    }
    let mut result = vec![];
    while let Some((first, mut at)) = next.pop() {
        let mut ring = vec![first];
        while at != first {
            ring.push(at);
            let Some(k) = next.iter().position(|(from, _)| *from == at) else {
                break;
            };
            at = next.swap_remove(k).1;
        }
        for k in 1..ring.len().saturating_sub(1) {
            result.push([ring[0], ring[k], ring[k + 1]]);
        }
    }
    result
}

fn table() -> &'static [Vec<[Edge; 3]>] {
    static TABLE: OnceLock<Vec<Vec<[Edge; 3]>>> = OnceLock::new();
    TABLE.get_or_init(|| (0..256).map(triangles).collect())
}

/// The surface on which the field is one half. Larger values are inside. The field's outermost
/// values should be smaller, which closes the surface. Seen from outside, triangles run
/// counter-clockwise in a right-handed frame `(x, y, z)`.
pub(super) fn march(field: &Field) -> Soup {
    let [nz, ny, nx] = field.shape;
    let index = |p: [usize; 3]| (p[0] * ny + p[1]) * nx + p[2];
    let is_in = |i: usize| field.values[i] > 0.5;
    let (mut vertices, mut triangles) = (vec![], vec![]);
    let mut known: HashMap<(usize, usize), u32> = HashMap::new();
    for z in 0..nz.saturating_sub(1) {
        for y in 0..ny.saturating_sub(1) {
            let rows =
                [[z, y], [z, y + 1], [z + 1, y], [z + 1, y + 1]].map(|[z, y]| index([z, y, 0]));
            for x in 0..nx.saturating_sub(1) {
                let inside = (0..8)
                    .filter(|c| is_in(rows[c >> 1] + x + (c & 1)))
                    .fold(0, |set, c| set | 1 << c);
                for triangle in &table()[inside] {
                    triangles.push(triangle.map(|(low, bit)| {
                        let at = |c: usize| {
                            let [dz, dy, dx] = corner(c);
                            [z + dz, y + dy, x + dx]
                        };
                        let (p, q) = (at(low), at(low ^ bit));
                        let (i, j) = (index(p), index(q));
                        *known.entry((i, bit)).or_insert_with(|| {
                            let (a, b) = (f64::from(field.values[i]), f64::from(field.values[j]));
                            let t = ((0.5 - a) / (b - a)).clamp(0.0, 1.0);
                            vertices.push(std::array::from_fn(|k| {
                                p[k] as f64 + t * (q[k] as f64 - p[k] as f64)
                            }));
                            (vertices.len() - 1) as u32
                        })
                    }));
                }
            }
        }
    }
    (vertices, triangles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_cuts_each_crossed_edge_and_no_other() {
        for inside in 0..256usize {
            let is_in = |c: usize| inside >> c & 1 == 1;
            let mut cut: Vec<Edge> = triangles(inside).into_iter().flatten().collect();
            cut.sort_unstable();
            cut.dedup();
            let mut crossed: Vec<Edge> = (0..8)
                .flat_map(|c| [1, 2, 4].map(|bit| (c, bit)))
                .filter(|&(c, bit)| c & bit == 0 && is_in(c) != is_in(c | bit))
                .collect();
            crossed.sort_unstable();
            assert_eq!(cut, crossed, "{inside:08b}");
        }
        // The five patterns with a well-known number of triangles.
        assert_eq!(
            [0b1, 0b11, 0b111, 0b1111, 0b0110_1001].map(|c| triangles(c).len()),
            [1, 2, 3, 2, 4]
        );
    }
}
