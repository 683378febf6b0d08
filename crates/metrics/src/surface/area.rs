//! Area of the surface within one cell of the grid whose points are the voxels' corners.
//!
//! A cell spans the centres of 2 × 2 × 2 voxels. Its surface, as marching cubes draws it, runs
//! through the midpoints of those cell edges that join a voxel inside the mask with one outside.
//! The voxels of the rarer kind form groups that are connected along edges. One polygon cuts off
//! each group, so diagonal neighbours stay apart. All polygons but one are flat or split into flat
//! parts in only one way. The exception is the hexagon around a chain of three edges, which bends.
//! It is split as in `surface-distance`: into the large triangle over its ends and three small
//! ones.

/// Surface area in mm² of each of the 256 ways to fill a cell. Bit 0 is the cell's low corner;
/// adding 1, 2 and 4 to a bit's number moves it up along y, z and x.
pub(super) fn table(spacing_mm: [f64; 3]) -> [f64; 256] {
    let [dz, dy, dx] = spacing_mm;
    // Per bit of a corner's number: the area of the face across that bit's axis.
    let faces = [dz * dx, dy * dx, dz * dy];
    std::array::from_fn(|code| {
        let code = code as u8;
        let rarer = if code.count_ones() > 4 { !code } else { code };
        groups(rarer).map(|g| group_area(g, faces)).sum()
    })
}

/// The corners next to corner `bit`, one along each axis.
fn neighbours(bit: u32) -> [u32; 3] {
    [bit ^ 1, bit ^ 2, bit ^ 4]
}

/// The parts of a set of corners that are connected along the cell's edges.
fn groups(mut corners: u8) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        if corners == 0 {
            return None;
        }
        let mut group = 1 << corners.trailing_zeros();
        loop {
            let grown = (0..8)
                .filter(|b| group >> b & 1 == 1)
                .flat_map(neighbours)
                .fold(group, |g, b| g | (corners & (1 << b)));
            if grown == group {
                break;
            }
            group = grown;
        }
        corners &= !group;
        Some(group)
    })
}

/// Area of the polygon that cuts off one connected group of at most four corners.
fn group_area(group: u8, faces: [f64; 3]) -> f64 {
    // Length of a vector of face areas, each weighted by its axis's factor.
    let length = |weights: [f64; 3]| {
        let parts: [f64; 3] = std::array::from_fn(|a| weights[a] * faces[a]);
        parts.iter().map(|p| p * p).sum::<f64>().sqrt()
    };
    let inside = |bit: u32| group >> bit & 1 == 1;
    // Per axis, the number of the group's edges along it.
    let edges: [u32; 3] = std::array::from_fn(|a| {
        (0..8u32)
            .filter(|&b| b >> a & 1 == 0 && inside(b) && inside(b | 1 << a))
            .count() as u32
    });
    let degree = |bit: u32| neighbours(bit).into_iter().filter(|&n| inside(n)).count();
    let corners: Vec<u32> = (0..8).filter(|&b| inside(b)).collect();
    // 1 across the axes without an edge, 0 along the others, and the reverse.
    let across = edges.map(|n| if n == 0 { 1.0 } else { 0.0 });
    match (corners.len(), edges.iter().sum::<u32>()) {
        // One corner: a triangle.
        (1, _) => length([1.0; 3]) / 8.0,
        // An edge: a rectangle along it.
        (2, _) => length(across) / 2.0,
        // An L: half a face, and a trapezium over its tips.
        (3, _) => length(across) / 2.0 + length([1.0; 3]) * 3.0 / 8.0,
        // A face.
        (4, 4) => length(across),
        // A corner with its three neighbours: a flat hexagon.
        (4, _) if corners.iter().any(|&b| degree(b) == 3) => length([1.0; 3]) * 0.75,
        // A chain along all three axes: each end has a triangle with the middle edge.
        (4, _) => {
            let middle = (0..3).find(|&a| {
                let ends = |b: u32| degree(b) == 2 && degree(b ^ (1 << a)) == 2;
                corners.iter().any(|&b| inside(b ^ (1 << a)) && ends(b))
            });
            let with_middle = |end: usize| {
                std::array::from_fn(|a| {
                    if a == end || Some(a) == middle {
                        1.0
                    } else {
                        0.0
                    }
                })
            };
            let ends: f64 = (0..3)
                .filter(|&a| Some(a) != middle)
                .map(|a| length(with_middle(a)) / 4.0)
                .sum();
            length([1.0; 3]) / 2.0 + ends
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_by_hand() {
        let table = table([1.0; 3]);
        let (r2, r3) = (2f64.sqrt(), 3f64.sqrt());
        for (code, area) in [
            (0b0000_0000, 0.0),
            (0b0000_0001, r3 / 8.0),
            (0b0000_0011, r2 / 2.0),
            (0b0000_1001, r3 / 4.0),
            (0b0000_0111, 0.5 + r3 * 3.0 / 8.0),
            (0b0000_1111, 1.0),
            (0b0001_0111, r3 * 0.75),
            (0b0010_0111, r3 / 2.0 + r2 / 2.0),
            (0b1001_0110, r3 / 2.0),
            (0b1111_1111, 0.0),
        ] {
            assert!(
                (table[code] - area).abs() < 1e-12,
                "{code:08b} {}",
                table[code]
            );
            assert!((table[255 - code] - area).abs() < 1e-12, "{code:08b}");
        }
    }

    #[test]
    fn faces_count_by_their_own_spacing() {
        // Two voxels along z: the surface lies across y and x, one plane along z.
        let table = table([5.0, 0.7, 0.9]);
        assert!((table[0b0000_1111] - 5.0 * 0.7).abs() < 1e-12, "x is bit 2");
        assert!((table[0b0101_0101] - 5.0 * 0.9).abs() < 1e-12, "y is bit 0");
        assert!((table[0b0011_0011] - 0.7 * 0.9).abs() < 1e-12, "z is bit 1");
        for area in &table[1..255] {
            assert!(*area > 0.0);
        }
    }
}
