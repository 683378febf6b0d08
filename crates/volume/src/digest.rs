//! The digest of a volume's content.

use crate::{Volume, Voxel};
use multirnet_base::digest::Hasher;

/// SHA-256, hexadecimal, of a volume's content: its shape (`u64`), spacing, origin and direction
/// (`f64`), then every value as `f32`, all little-endian. It does not depend on the file's format.
pub fn content_sha256<T: Voxel>(volume: &Volume<T>) -> String {
    content_sha256_unless(volume, &|| false).unwrap_or_default()
}

/// As [`content_sha256`], but returns `None` as soon as `stop` returns true. It calls `stop` every
/// 16,384 values.
pub fn content_sha256_unless<T: Voxel>(
    volume: &Volume<T>,
    stop: &dyn Fn() -> bool,
) -> Option<String> {
    let g = volume.geometry();
    let mut hash = Hasher::new();
    for n in g.shape() {
        hash.update(&(n as u64).to_le_bytes());
    }
    let numbers = g.spacing_mm().into_iter().chain(g.origin_mm());
    for v in numbers.chain(g.direction().into_iter().flatten()) {
        // -0.0 and 0.0 are the same position; adding 0.0 gives both the same bytes.
        hash.update(&(v + 0.0).to_le_bytes());
    }
    let mut buffer = vec![0; 1 << 16];
    for part in volume.data().chunks(1 << 14) {
        if stop() {
            return None;
        }
        // Chunks of known size become plain stores.
        let (bytes, _) = buffer.as_chunks_mut::<4>();
        for (to, v) in bytes.iter_mut().zip(part) {
            *to = v.to_f32().to_le_bytes();
        }
        hash.update(&buffer[..4 * part.len()]);
    }
    Some(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Geometry;

    #[test]
    fn content_and_geometry_both_count() {
        let g = Geometry::axial([2, 3, 4], [1.0; 3]).unwrap();
        let a = Volume::filled(1.0f32, g);
        let mut b = a.clone();
        b.data_mut()[5] = 2.0;
        let c = a
            .clone()
            .with_geometry(Geometry::axial([2, 3, 4], [1.0, 1.0, 1.1]).unwrap())
            .unwrap();
        let digests = [&a, &b, &c].map(content_sha256);
        assert_eq!(digests[0], content_sha256(&a.map(|v| v as u8)));
        assert!(digests[0] != digests[1] && digests[0] != digests[2] && digests[1] != digests[2]);
    }
}
