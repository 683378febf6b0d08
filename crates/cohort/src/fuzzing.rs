//! Entry points for the fuzz targets of the workspace's folder `fuzz`. They are not part of the library:
//! they may change at any time.

use crate::cache;
use crate::load::{Part, PreparedCase, View};
use multirnet_base::digest::sha256_bytes;
use multirnet_volume::{Geometry, Volume};

/// Reads a cache entry whose digest is right.
pub fn cache_entry(body: &[u8]) {
    let mut bytes = body.to_vec();
    bytes.extend(sha256_bytes(body));
    let _ = cache::decode(&bytes);
}

/// A small cache entry without its digest.
///
/// # Panics
/// Never: its parts fit.
#[must_use]
pub fn seed() -> Vec<u8> {
    let grid = Geometry::axial([3, 4, 5], [1.0; 3]).expect("a grid");
    let labels = || Volume::filled(1u8, grid);
    let view = || View::new(Volume::filled(7u16, grid), labels(), labels()).expect("a view");
    let prepared = PreparedCase {
        parts: vec![Part {
            planes: 3,
            local: view(),
            global: view(),
        }],
        content: "content".to_owned(),
        warnings: vec!["warning".to_owned()],
    };
    let entry = cache::entry_of("key", &prepared);
    let mut bytes = cache::encode(&entry, &prepared).expect("an entry");
    bytes.truncate(bytes.len() - 32);
    bytes
}
