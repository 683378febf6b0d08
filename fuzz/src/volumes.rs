//! Volume files and pictures.

use crate::files::in_memory;
use crate::seeds::{VOLUMES, golden};
use crate::{INFLATED, MIB, Target, nothing};
use flate2::Compression;
use flate2::write::GzEncoder;
use multirnet_volume::io;
use std::io::Write as _;

/// The target `nifti`.
pub static NIFTI: Target = Target {
    name: "nifti",
    about: "NIfTI-1 files",
    longest: 4096,
    fixed: MIB,
    per_byte: 5 * INFLATED,
    has_threads: false,
    prepare: nothing,
    parse: nifti,
    seeds: || {
        let plain = golden(VOLUMES, ".nii");
        let packed = plain.iter().map(|file| [&[1][..], file].concat());
        packed
            .chain(plain.clone())
            .chain(golden(VOLUMES, ".nii.gz"))
            .collect()
    },
};
/// The target `nrrd`.
pub static NRRD: Target = Target {
    name: "nrrd",
    about: "NRRD files",
    longest: 4096,
    fixed: MIB,
    per_byte: 8 * INFLATED,
    has_threads: false,
    prepare: nothing,
    parse: nrrd,
    seeds: || golden(VOLUMES, ".nrrd"),
};
/// The target `metaimage`.
pub static METAIMAGE: Target = Target {
    name: "metaimage",
    about: "MetaImage files",
    longest: 4096,
    fixed: MIB,
    per_byte: 5 * INFLATED,
    has_threads: false,
    prepare: nothing,
    parse: metaimage,
    seeds: || golden(VOLUMES, ".mha"),
};
/// The target `picture`.
pub static PICTURE: Target = Target {
    name: "picture",
    about: "PNG and JPEG slices",
    longest: 4096,
    fixed: PICTURE_BYTES,
    per_byte: 64,
    has_threads: false,
    prepare: nothing,
    parse: picture,
    seeds: || golden("fuzz/seeds/picture", ""),
};

/// A picture has at most as many pixels as `read_picture` allows, and a decoder's own buffers.
pub const PICTURE_BYTES: usize = 256 << 20;

/// Every second input is packed, so that the fuzzer reaches what lies behind the gzip header.
fn nifti(input: &[u8]) {
    match input.split_first() {
        Some((1, rest)) => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            let packed = packed.write_all(rest).and_then(|()| packed.finish());
            read("scan.nii.gz", &packed.unwrap_or_default());
        }
        _ => read("scan.nii", input),
    }
}

fn nrrd(input: &[u8]) {
    read("scan.nrrd", input);
}

fn metaimage(input: &[u8]) {
    read("scan.mha", input);
}

fn read(name: &str, bytes: &[u8]) {
    in_memory(name, bytes, |path| {
        let _ = io::read_with_notes(path);
        let _ = io::read_labels(path);
    });
}

fn picture(input: &[u8]) {
    let name = if input.starts_with(&[0xFF, 0xD8]) {
        "slice.jpg"
    } else {
        "slice.png"
    };
    in_memory(name, input, |path| {
        if io::is_picture(path) {
            let _ = io::read_picture(path, [1.0; 3]);
            let _ = io::read_picture_labels(path, [1.0; 3]);
        }
    });
}
