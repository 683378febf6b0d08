//! Frames of compressed pixel data, within an otherwise sound file of three frames.

use crate::dicom::options;
use crate::files::in_memory;
use crate::seeds::{SERIES, files_of, golden};
use crate::{MIB, Target, nothing};

/// The target `codec_rle`.
pub static CODEC_RLE: Target = Target {
    name: "codec_rle",
    about: "RLE frames",
    longest: 2048,
    fixed: MIB,
    per_byte: 64,
    has_threads: false,
    prepare: nothing,
    parse: rle,
    seeds: || frames(&["rle.zip"]),
};
/// The target `codec_jpeg`.
pub static CODEC_JPEG: Target = Target {
    name: "codec_jpeg",
    about: "JPEG baseline, extended and lossless frames",
    longest: 2048,
    fixed: 2 * MIB,
    per_byte: 64,
    has_threads: false,
    prepare: nothing,
    parse: jpeg,
    seeds: || {
        frames(&[
            "jpeg_baseline.zip",
            "jpeg_lossless.zip",
            "jpeg_lossless_any.zip",
        ])
    },
};
/// The target `codec_jpeg_ls`.
pub static CODEC_JPEG_LS: Target = Target {
    name: "codec_jpeg_ls",
    about: "JPEG-LS frames",
    longest: 2048,
    fixed: 2 * MIB,
    per_byte: 64,
    has_threads: false,
    prepare: nothing,
    parse: jpeg_ls,
    seeds: || frames(&["jpeg_ls.zip", "jpeg_ls_16.zip", "jpeg_ls_near.zip"]),
};
/// The target `codec_jpeg_2000`.
pub static CODEC_JPEG_2000: Target = Target {
    name: "codec_jpeg_2000",
    about: "JPEG 2000 frames",
    longest: 2048,
    fixed: 8 * MIB,
    per_byte: 1024,
    has_threads: false,
    prepare: nothing,
    parse: jpeg_2000,
    seeds: || frames(&["jpeg_2000.zip", "jpeg_2000_unsigned.zip"]),
};

const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
const ENHANCED_CT: &str = "1.2.840.10008.5.1.4.1.1.2.1";
const FRAMES: usize = 3;

fn rle(input: &[u8]) {
    read(RLE, input);
}

fn jpeg(input: &[u8]) {
    read(JPEG_BASELINE, input);
    read(JPEG_LOSSLESS, input);
}

fn jpeg_ls(input: &[u8]) {
    read(JPEG_LS, input);
}

fn jpeg_2000(input: &[u8]) {
    read(JPEG_2000, input);
}

/// The first byte says how the frames are laid out; the rest is each frame.
fn read(syntax: &str, input: &[u8]) {
    let Some((layout, frame)) = input.split_first() else {
        return;
    };
    let side = if layout & 1 == 0 { 16 } else { 61 };
    let bits = if layout & 2 == 0 { 16 } else { 8 };
    let bytes = file(syntax, side, bits, layout & 4 != 0, frame);
    in_memory("frames.dcm", &bytes, |path| {
        let _ = multirnet_dicom::read(path, &options());
    });
}

/// An enhanced CT of [`FRAMES`] frames of `side` × `side` pixels.
fn file(syntax: &str, side: u16, bits: u16, is_signed: bool, frame: &[u8]) -> Vec<u8> {
    let mut meta = Elements::default();
    meta.text([0x0002, 0x0002], "UI", ENHANCED_CT);
    meta.text([0x0002, 0x0003], "UI", "1.2.3.1");
    meta.text([0x0002, 0x0010], "UI", syntax);
    let group = |tag: [u16; 2], inner: Elements| {
        let mut sequence = Elements::default();
        sequence.sequence(tag, &[inner]);
        sequence.0
    };
    let decimal = |tag: [u16; 2], value: &str| {
        let mut element = Elements::default();
        element.text(tag, "DS", value);
        element
    };
    let mut shared = Elements::default();
    shared.0.extend(group(
        [0x0020, 0x9116],
        decimal([0x0020, 0x0037], "1\\0\\0\\0\\1\\0"),
    ));
    shared.0.extend(group(
        [0x0028, 0x9110],
        decimal([0x0028, 0x0030], "0.8\\0.8"),
    ));
    let mut rescale = decimal([0x0028, 0x1052], "0");
    rescale.text([0x0028, 0x1053], "DS", "1");
    shared.0.extend(group([0x0028, 0x9145], rescale));
    let frames: Vec<Elements> = (0..FRAMES)
        .map(|z| {
            let position = decimal([0x0020, 0x0032], &format!("0\\0\\{}", 2 * z));
            Elements(group([0x0020, 0x9113], position))
        })
        .collect();
    let mut set = Elements::default();
    set.text([0x0008, 0x0008], "CS", "ORIGINAL\\PRIMARY\\AXIAL");
    set.text([0x0008, 0x0016], "UI", ENHANCED_CT);
    set.text([0x0008, 0x0018], "UI", "1.2.3.1");
    set.text([0x0008, 0x0060], "CS", "CT");
    set.text([0x0020, 0x000D], "UI", "1.2");
    set.text([0x0020, 0x000E], "UI", "1.2.3");
    set.word([0x0028, 0x0002], 1);
    set.text([0x0028, 0x0004], "CS", "MONOCHROME2");
    set.text([0x0028, 0x0008], "IS", &FRAMES.to_string());
    set.word([0x0028, 0x0010], side);
    set.word([0x0028, 0x0011], side);
    set.word([0x0028, 0x0100], bits);
    set.word([0x0028, 0x0101], bits);
    set.word([0x0028, 0x0102], bits - 1);
    set.word([0x0028, 0x0103], u16::from(is_signed));
    set.sequence([0x5200, 0x9229], &[shared]);
    set.sequence([0x5200, 0x9230], &frames);
    set.frames(frame);
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let mut length = Elements::default();
    length.raw([0x0002, 0x0000], "UL", &(meta.0.len() as u32).to_le_bytes());
    for part in [length, meta, set] {
        bytes.extend(part.0);
    }
    bytes
}

/// Elements in explicit VR little endian.
#[derive(Default)]
struct Elements(Vec<u8>);

impl Elements {
    fn raw(&mut self, tag: [u16; 2], vr: &str, value: &[u8]) {
        self.0.extend(tag.iter().flat_map(|t| t.to_le_bytes()));
        self.0.extend(vr.as_bytes());
        let length = value.len() + value.len() % 2;
        if vr == "SQ" {
            self.0.extend([0, 0]);
            self.0.extend((length as u32).to_le_bytes());
        } else {
            self.0.extend((length as u16).to_le_bytes());
        }
        self.0.extend(value);
        if value.len() % 2 == 1 {
            self.0.push(if vr == "UI" { 0 } else { b' ' });
        }
    }

    fn text(&mut self, tag: [u16; 2], vr: &str, value: &str) {
        self.raw(tag, vr, value.as_bytes());
    }

    fn word(&mut self, tag: [u16; 2], value: u16) {
        self.raw(tag, "US", &value.to_le_bytes());
    }

    fn sequence(&mut self, tag: [u16; 2], items: &[Self]) {
        let mut value = Vec::new();
        for item in items {
            value.extend([0xFE, 0xFF, 0x00, 0xE0]);
            value.extend((item.0.len() as u32).to_le_bytes());
            value.extend(&item.0);
        }
        self.raw(tag, "SQ", &value);
    }

    /// Pixel data that has `frame` for every frame.
    fn frames(&mut self, frame: &[u8]) {
        self.0.extend([0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0]);
        self.0.extend([0xFF; 4]);
        let even = [frame, &[0][..frame.len() % 2]].concat();
        for item in std::iter::once(&[][..]).chain([&even[..]; FRAMES]) {
            self.0.extend([0xFE, 0xFF, 0x00, 0xE0]);
            self.0.extend((item.len() as u32).to_le_bytes());
            self.0.extend(item);
        }
        self.0.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    }
}

/// The compressed frame of each file of an archive: the fragment that follows an empty offset table.
fn frames_of(archive: &[u8]) -> Vec<Vec<u8>> {
    const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
    let mut frames = Vec::new();
    for file in files_of(archive) {
        let pixels = [
            0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
        ];
        let at = file.windows(pixels.len()).position(|w| w == pixels);
        let mut rest = &file[at.expect("compressed pixel data") + pixels.len()..];
        while let Some(item) = rest.strip_prefix(&ITEM) {
            let (length, after) = item.split_first_chunk::<4>().expect("a length");
            let (value, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            // The first item is the table of offsets.
            if value.len() > 4 * FRAMES {
                frames.push(value.to_vec());
            }
            rest = after;
        }
    }
    frames
}

/// The frames of archives among the golden files, in three layouts.
fn frames(archives: &[&str]) -> Vec<Vec<u8>> {
    let archives = archives.iter().flat_map(|name| golden(SERIES, name));
    let frames = archives.flat_map(|zip| frames_of(&zip));
    frames
        .flat_map(|frame| [0, 1, 4].map(|layout| [&[layout][..], &frame].concat()))
        .collect()
}
