//! Compressed pixel data whose headers ask for more than the image needs.

use crate::support::*;
use crate::watch::{assert_refused, attacked};

const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG: &str = "1.2.840.10008.1.2.4.51";
const LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
/// The process stays below this in all tests of this file.
const MOST_MIB: u64 = 700;
/// Rows and columns of a usual slice.
const SIDE: u16 = 512;

/// Three slices whose frames are `fragment`.
fn slices(syntax: &'static str, side: u16, fragment: &[u8]) -> Vec<Slice> {
    let mut slices = series(3);
    for s in &mut slices {
        s.syntax = syntax;
        s.rows = usize::from(side);
        s.columns = usize::from(side);
        s.fragment = Some(fragment.to_vec());
    }
    slices
}

fn refused(name: &str, syntax: &'static str, side: u16, fragment: &[u8], reason: &str) {
    let result = attacked(name, MOST_MIB, || {
        read_slices(&slices(syntax, side, fragment), false)
    });
    assert_refused(name, result, reason);
}

fn marker(code: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&[0xFF, code], &length[..], content].concat()
}

/// A JPEG 2000 codestream. Attacks change its fields.
#[derive(Clone)]
struct Stream {
    /// Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz.
    grid: [u32; 8],
    components: u16,
    layers: u16,
    levels: u8,
    /// Exponents of a code-block's sides, less 2.
    block: u8,
    /// Exponents of the precincts, one byte a resolution; empty for the largest.
    precincts: Vec<u8>,
    guard_bits: u8,
    exponent: u8,
    /// Further segments of the main header.
    more: Vec<u8>,
    /// Segments of the tile-part's header.
    tile: Vec<u8>,
    data: Vec<u8>,
    /// Psot of the tile-part; the right one if `None`.
    length: Option<u32>,
}

impl Stream {
    fn new() -> Self {
        let side = u32::from(SIDE);
        Self {
            grid: [side, side, 0, 0, side, side, 0, 0],
            components: 1,
            layers: 1,
            levels: 0,
            block: 4,
            precincts: Vec::new(),
            guard_bits: 1,
            exponent: 16,
            more: Vec::new(),
            tile: Vec::new(),
            data: vec![0],
            length: None,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut stream = Self::new();
        change(&mut stream);
        stream.bytes()
    }

    fn cod(&self) -> Vec<u8> {
        let coding = u8::from(!self.precincts.is_empty());
        let [l0, l1] = self.layers.to_be_bytes();
        let mut content = vec![
            coding,
            0,
            l0,
            l1,
            0,
            self.levels,
            self.block,
            self.block,
            0,
            1,
        ];
        content.extend(&self.precincts);
        marker(0x52, &content)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut siz = vec![0, 0];
        siz.extend(self.grid.iter().flat_map(|v| v.to_be_bytes()));
        siz.extend(self.components.to_be_bytes());
        siz.extend([15, 1, 1].repeat(usize::from(self.components)));
        let mut qcd = vec![self.guard_bits << 5];
        qcd.extend(vec![self.exponent << 3; 1 + 3 * usize::from(self.levels)]);
        let length = 14 + self.tile.len() + self.data.len();
        let mut sot = vec![0, 0];
        sot.extend(self.length.unwrap_or(length as u32).to_be_bytes());
        sot.extend([0, 1]);
        [
            vec![0xFF, 0x4F],
            marker(0x51, &siz),
            self.cod(),
            marker(0x5C, &qcd),
            self.more.clone(),
            marker(0x90, &sot),
            self.tile.clone(),
            vec![0xFF, 0x93],
            self.data.clone(),
            vec![0xFF, 0xD9],
        ]
        .concat()
    }
}

/// Packet headers and bodies of code-blocks that claim all coding passes. Each precinct has one block.
fn greedy_packets(blocks: usize, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..blocks {
        // Not empty; included; no missing bit-planes; 91 passes; a length field of 3 + 6 + 6 bits.
        let fields: [(u32, u32); 7] = [
            (1, 1),
            (1, 1),
            (1, 1),
            (0x1FF, 9),
            (91 - 37, 7),
            (0b111_1110, 7),
            (body.len() as u32, 15),
        ];
        let bits = fields
            .iter()
            .flat_map(|&(value, count)| (0..count).rev().map(move |b| value >> b & 1));
        let (mut byte, mut left) = (0u32, 8);
        let mut header: Vec<u8> = Vec::new();
        for bit in bits {
            left -= 1;
            byte |= bit << left;
            if left == 0 {
                header.push(byte as u8);
                // A bit is stuffed behind FF.
                left = if byte == 0xFF { 7 } else { 8 };
                byte = 0;
            }
        }
        header.push(byte as u8);
        out.extend(header);
        out.extend(body);
    }
    out
}

#[test]
fn the_streams_of_these_tests_decode_without_an_attack() {
    let scan = read_slices(&slices(JPEG_2000, SIDE, &Stream::new().bytes()), false).unwrap();
    assert!(
        scan.volume
            .data()
            .iter()
            .all(|&v| v == scan.volume.data()[0])
    );
    let many = Stream::with(|s| {
        s.levels = 5;
        s.layers = 4;
        s.data = vec![0; 6 * 4];
    });
    read_slices(&slices(JPEG_2000, SIDE, &many), false).unwrap();
    let tiles = Stream::with(|s| {
        s.grid[4] = 256;
        s.grid[5] = 512;
        // The first of two tile-parts stands in the header, the second follows.
        s.data = vec![0; 1];
        let second = [
            marker(0x90, &[0, 1, 0, 0, 0, 15, 0, 1]),
            vec![0xFF, 0x93, 0],
        ]
        .concat();
        s.length = Some(15);
        s.data.extend(second);
    });
    read_slices(&slices(JPEG_2000, SIDE, &tiles), false).unwrap();
}

#[test]
fn hostile_jpeg_2000_is_refused_before_it_is_decoded() {
    let big = u32::MAX - 1;
    let cases: [(&str, Vec<u8>, &str); 19] = [
        (
            "JPEG 2000 of 4 billion columns",
            Stream::with(|s| s.grid[0] = big),
            "not one that a slice can have",
        ),
        (
            "JPEG 2000 of another size than the header's",
            Stream::with(|s| s.grid = [8192, 8192, 0, 0, 8192, 8192, 0, 0]),
            "8192 x 8192 pixels, but the header says 512 x 512",
        ),
        (
            "JPEG 2000 far from the origin",
            Stream::with(|s| s.grid = [big, big, big - 512, big - 512, big, big, 0, 0]),
            "not one that a slice can have",
        ),
        (
            "JPEG 2000 of 262144 tiles",
            Stream::with(|s| (s.grid[4], s.grid[5]) = (1, 1)),
            "262144 tiles",
        ),
        (
            "JPEG 2000 of tiles without size",
            Stream::with(|s| s.grid[4] = 0),
            "not one that a slice can have",
        ),
        (
            "JPEG 2000 of 16384 components",
            Stream::with(|s| s.components = 16384),
            "in colour",
        ),
        (
            "JPEG 2000 with 33 levels",
            Stream::with(|s| s.levels = 33),
            "coding style is not valid",
        ),
        (
            "JPEG 2000 with precincts of 1 pixel",
            Stream::with(|s| s.precincts = vec![0]),
            "precincts, code-blocks and layers",
        ),
        (
            "JPEG 2000 with precincts of 2 pixels and 32 layers",
            Stream::with(|s| {
                s.levels = 5;
                s.layers = 32;
                s.precincts = vec![0x11; 6];
            }),
            "precincts, code-blocks and layers",
        ),
        (
            "JPEG 2000 with small code-blocks and 32 layers",
            Stream::with(|s| (s.block, s.layers) = (0, 32)),
            "precincts, code-blocks and layers",
        ),
        (
            "JPEG 2000 with precincts without size",
            Stream::with(|s| {
                s.levels = 1;
                s.precincts = vec![0xFF, 0];
            }),
            "a precinct has no size",
        ),
        (
            "JPEG 2000 with small precincts in a tile's header",
            Stream::with(|s| {
                let mut other = s.clone();
                other.precincts = vec![0];
                s.tile = other.cod();
            }),
            "precincts, code-blocks and layers",
        ),
        (
            "JPEG 2000 with a COC before its COD",
            Stream::with(|s| {
                s.more = marker(0x53, &[0, 1, 0, 0, 0, 0, 1, 0]);
                let mut other = s.clone();
                other.layers = 32;
                s.tile = other.cod();
            }),
            "precincts, code-blocks and layers",
        ),
        (
            "JPEG 2000 with 9000 progression changes",
            Stream::with(|s| {
                s.precincts = vec![0x33];
                s.more = marker(0x5F, &[0, 0, 0, 1, 1, 1, 2].repeat(9000));
            }),
            "progression order changes",
        ),
        (
            "JPEG 2000 with 30 progression changes of many precincts",
            Stream::with(|s| {
                s.precincts = vec![0x22];
                s.more = marker(0x5F, &[0, 0, 0, 1, 1, 1, 2].repeat(30));
            }),
            "precincts, code-blocks and layers",
        ),
        (
            "JPEG 2000 with a COD that hides another",
            Stream::with(|s| {
                let mut content = vec![0, 0, 0, 1, 0, 0, 4, 4, 0, 1];
                content.extend(s.cod());
                s.more = marker(0x52, &content);
            }),
            "the length of a segment COD",
        ),
        (
            "JPEG 2000 with a tile-part of 4 GB",
            Stream::with(|s| s.length = Some(u32::MAX)),
            "cut off",
        ),
        (
            "JPEG 2000 with a tile-part that ends in its header",
            Stream::with(|s| s.length = Some(12)),
            "cut off",
        ),
        (
            "JPEG 2000 of the first 40 bytes",
            Stream::new().bytes()[..40].to_vec(),
            "cut off",
        ),
    ];
    for (name, bytes, reason) in cases {
        refused(name, JPEG_2000, SIDE, &bytes, reason);
    }
}

#[test]
fn greedy_code_blocks_cost_a_bounded_time() {
    // All 91 coding passes of every code-block, once without data and once with noise.
    let noise: Vec<u8> = (0..4000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x7F)
        .collect();
    for (name, body) in [
        ("JPEG 2000 of all passes without data", &[][..]),
        ("JPEG 2000 of all passes and noise", &noise[..]),
    ] {
        let bytes = Stream::with(|s| {
            s.precincts = vec![0x66];
            s.exponent = 31;
            s.data = greedy_packets(64, body);
        });
        let scan = attacked(name, MOST_MIB, || {
            read_slices(&slices(JPEG_2000, SIDE, &bytes), false)
        });
        assert!(scan.unwrap().volume.data().iter().all(|v| v.is_finite()));
    }
}

#[test]
fn truncated_codestreams_are_refused() {
    let whole = Stream::with(|s| {
        s.precincts = vec![0x66];
        s.exponent = 31;
        s.data = greedy_packets(64, &[1, 2, 3]);
    });
    for end in (0..whole.len() - 2).step_by(23) {
        let result = read_slices(&slices(JPEG_2000, SIDE, &whole[..end]), false);
        assert_refused(&format!("{end} bytes"), result, "JPEG 2000");
    }
}

#[test]
fn frames_of_any_codec_are_not_larger_than_a_scanner_s() {
    let few = vec![0u8; 64];
    for syntax in [RLE, JPEG, LOSSLESS, JPEG_LS, JPEG_2000] {
        refused(
            "a frame of 18000 x 18000",
            syntax,
            18_000,
            &few,
            "more than 4194304",
        );
    }
}

/// A JPEG frame header of the process `code`.
fn frame(code: u8, [rows, columns]: [u16; 2], components: u8) -> Vec<u8> {
    let ([r0, r1], [c0, c1]) = (rows.to_be_bytes(), columns.to_be_bytes());
    let mut content = vec![8, r0, r1, c0, c1, components];
    content.extend((0..components).flat_map(|i| [i + 1, 0x11, 0]));
    marker(code, &content)
}

/// A scan header of one component for the spectral band `from..=to`.
fn scan([from, to, bits]: [u8; 3]) -> Vec<u8> {
    marker(0xDA, &[1, 1, 0, from, to, bits])
}

#[test]
fn hostile_jpeg_is_refused_before_it_is_decoded() {
    let start = [0xFF, 0xD8];
    let end = vec![0xFF, 0xD9];
    let tables = [
        marker(0xDB, &[&[0][..], &[1; 64]].concat()),
        // One code of one bit: 0 stands for the value 0.
        marker(0xC4, &[&[0, 1][..], &[0; 15], &[0]].concat()),
        marker(0xC4, &[&[0x10, 1][..], &[0; 15], &[0]].concat()),
    ]
    .concat();
    let size = [SIDE; 2];
    let cases: [(&str, Vec<u8>, &str); 8] = [
        (
            "JPEG of another size",
            [
                frame(0xC0, [60_000; 2], 1),
                tables.clone(),
                scan([0, 63, 0]),
            ]
            .concat(),
            "60000 x 60000 pixels",
        ),
        (
            "JPEG of four components",
            [frame(0xC0, size, 4), tables.clone(), scan([0, 63, 0])].concat(),
            "in colour",
        ),
        (
            "JPEG of 100000 progressive scans",
            [
                frame(0xC2, size, 1),
                tables.clone(),
                [scan([1, 63, 0]), vec![0]].concat().repeat(100_000),
            ]
            .concat(),
            "FFC2 is not one that DICOM allows",
        ),
        (
            "JPEG of 100000 baseline scans",
            [
                frame(0xC0, size, 1),
                tables.clone(),
                [scan([0, 63, 0]), vec![0; 1024]].concat().repeat(1000),
            ]
            .concat(),
            "more than one scan",
        ),
        (
            "JPEG with two frame headers",
            [
                frame(0xC0, size, 1),
                frame(0xC0, [60_000; 2], 1),
                tables.clone(),
                scan([0, 63, 0]),
            ]
            .concat(),
            "FFC0 is not one that DICOM allows",
        ),
        (
            "JPEG of a few bytes",
            [frame(0xC0, size, 1), scan([0, 63, 0])].concat(),
            "too few",
        ),
        (
            "arithmetic JPEG",
            [frame(0xC9, size, 1), tables.clone(), scan([0, 63, 0])].concat(),
            "FFC9 is not one that DICOM allows",
        ),
        (
            "JPEG whose segment ends behind the data",
            [frame(0xC0, size, 1), vec![0xFF, 0xE0, 0xFF, 0xFF]].concat(),
            "cut off",
        ),
    ];
    for (name, body, reason) in cases {
        let bytes = [&start[..], &body, &end].concat();
        refused(name, JPEG, SIDE, &bytes, reason);
    }
    let mut slices = slices(
        JPEG,
        2048,
        &[&start[..], &frame(0xC0, [2048; 2], 1), &tables].concat(),
    );
    for s in &mut slices {
        let few = [scan([0, 63, 0]), vec![0; 8_000], end.clone()].concat();
        s.fragment.as_mut().unwrap().extend(few);
    }
    refused_slices("JPEG of 2048 x 2048 with 8 kB", &slices, "too few");
}

fn refused_slices(name: &str, slices: &[Slice], reason: &str) {
    let result = attacked(name, MOST_MIB, || read_slices(slices, false));
    assert_refused(name, result, reason);
}

#[test]
fn hostile_lossless_jpeg_jpeg_ls_and_rle_are_refused() {
    let lossless = |side: u16| {
        let table = marker(0xC4, &[&[0, 1][..], &[0; 15], &[0]].concat());
        let frame = marker(
            0xC3,
            &[
                &[12][..],
                &side.to_be_bytes(),
                &side.to_be_bytes(),
                &[1, 1, 0x11, 0],
            ]
            .concat(),
        );
        let scan = marker(0xDA, &[1, 1, 0, 1, 0, 0]);
        [
            vec![0xFF, 0xD8],
            table,
            frame,
            scan,
            vec![0; 100],
            vec![0xFF, 0xD9],
        ]
        .concat()
    };
    refused(
        "lossless JPEG of 2048 x 2048 in 100 bytes",
        LOSSLESS,
        2048,
        &lossless(2048),
        "end early",
    );
    refused(
        "lossless JPEG of another size",
        LOSSLESS,
        SIDE,
        &lossless(65_000),
        "65000 x 65000",
    );

    let near_lossless = |side: u16, components: u8| {
        let mut frame = vec![16];
        frame.extend(side.to_be_bytes());
        frame.extend(side.to_be_bytes());
        frame.push(components);
        frame.extend((0..components).flat_map(|i| [i, 0x11, 0]));
        let scan = marker(0xDA, &[1, 1, 0, 0, 0, 0]);
        [
            vec![0xFF, 0xD8],
            marker(0xF7, &frame),
            scan,
            vec![0; 50],
            vec![0xFF, 0xD9],
        ]
        .concat()
    };
    refused(
        "JPEG-LS of another size",
        JPEG_LS,
        SIDE,
        &near_lossless(65_535, 1),
        "JPEG-LS",
    );
    refused(
        "JPEG-LS of 255 components",
        JPEG_LS,
        SIDE,
        &near_lossless(SIDE, 255),
        "JPEG-LS",
    );
    refused(
        "JPEG-LS of a few bytes",
        JPEG_LS,
        2048,
        &near_lossless(2048, 1),
        "JPEG-LS",
    );

    let rle = |segments: u32, offsets: [u32; 2], body: &[u8]| {
        let mut bytes = vec![0u8; 64];
        bytes[..4].copy_from_slice(&segments.to_le_bytes());
        bytes[4..8].copy_from_slice(&offsets[0].to_le_bytes());
        bytes[8..12].copy_from_slice(&offsets[1].to_le_bytes());
        bytes.extend(body);
        bytes
    };
    let full = [0x81u8, 7].repeat(2048);
    refused(
        "RLE of 4 billion segments",
        RLE,
        SIDE,
        &rle(u32::MAX, [64, 64], &full),
        "segments",
    );
    refused(
        "RLE with offsets behind the data",
        RLE,
        SIDE,
        &rle(2, [u32::MAX, 64], &full),
        "outside",
    );
    refused(
        "RLE with offsets that descend",
        RLE,
        SIDE,
        &rle(2, [4000, 64], &full),
        "outside",
    );
    refused(
        "RLE of a few bytes",
        RLE,
        2048,
        &rle(2, [64, 66], &[0x81, 7]),
        "too few",
    );
    refused(
        "RLE of 4 MB that mean nothing",
        RLE,
        SIDE,
        &rle(2, [64, 64], &vec![0x80; 4 << 20]),
        "ends early",
    );
}

#[test]
fn many_frames_cost_what_the_file_has() {
    // A file of a kilobyte that claims 100000 frames, 200 times.
    let mut slices = series(200);
    for s in &mut slices {
        s.more.text((0x0028, 0x0009), "AT", "");
        s.frames = Some(50_000);
        s.values = vec![0; 16];
    }
    let result = attacked("50000 frames of nothing", MOST_MIB, || {
        read_slices(&slices, false)
    });
    assert_refused("50000 frames", result, "hold at most 1");

    // 100000 fragments and as many offsets, of which none is that of the frame before.
    let mut one = series(1).remove(0);
    (one.rows, one.columns, one.syntax) = (4, 4, RLE);
    one.frames = Some(50_000);
    let mut data = Writer::default();
    data.0.extend([
        0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
    ]);
    let mut item = |bytes: &[u8]| {
        data.0.extend([0xFE, 0xFF, 0x00, 0xE0]);
        data.0.extend((bytes.len() as u32).to_le_bytes());
        data.0.extend(bytes);
    };
    let table: Vec<u8> = (0..50_000u32)
        .flat_map(|i| (i * 16).to_le_bytes())
        .collect();
    item(&table);
    (0..100_000).for_each(|_| item(&[]));
    data.0.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    one.more = data;
    let result = attacked("50000 frames in 100000 fragments", MOST_MIB, || {
        read_slices(&[one], false)
    });
    assert!(result.is_err());

    // Two million empty elements.
    let mut many = slice(0);
    many.more = Writer([0x29, 0, 0x10, 0x10, b'L', b'O', 0, 0].repeat(2_000_000));
    let result = attacked("2 million empty elements", MOST_MIB, || {
        read_slices(&[many], false)
    });
    assert_refused("elements", result, "more than 1048576 elements");
}
