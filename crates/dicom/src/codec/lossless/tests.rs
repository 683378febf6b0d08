//! Streams that the tests encode themselves, and damaged ones.

use super::*;
use rand::{RngExt, SeedableRng};

/// Code lengths of the categories 0 to 16 (or 15), one of short codes and one of all lengths.
const EVEN: [u8; 17] = [5; 17];
const STEEP: [u8; 16] = [3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// Codes by category, and the table as the file holds it.
fn codes(lengths: &[u8]) -> (Vec<(u32, u32)>, Vec<u8>) {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| (lengths[i], i));
    let mut file = vec![0u8; 16];
    let mut codes = vec![(0, 0); lengths.len()];
    let (mut code, mut length) = (0u32, 0u8);
    for &i in &order {
        code <<= lengths[i] - length;
        length = lengths[i];
        codes[i] = (code, u32::from(length));
        code += 1;
        file[usize::from(length) - 1] += 1;
    }
    file.extend(order.iter().map(|&i| i as u8));
    (codes, file)
}

fn predicted(image: &[u16], width: usize, i: usize, precision: u32, predictor: u8) -> u16 {
    let (y, x) = (i / width, i % width);
    let at = |dy: usize, dx: usize| i32::from(image[i - dy * width - dx]);
    let value = match (y, x, predictor) {
        (0, 0, _) => 1 << (precision - 1),
        (0, _, _) => at(0, 1),
        (_, 0, _) => at(1, 0),
        (_, _, 1) => at(0, 1),
        (_, _, 2) => at(1, 0),
        (_, _, 3) => at(1, 1),
        (_, _, 4) => at(0, 1) + at(1, 0) - at(1, 1),
        (_, _, 5) => at(0, 1) + ((at(1, 0) - at(1, 1)) >> 1),
        (_, _, 6) => at(1, 0) + ((at(0, 1) - at(1, 1)) >> 1),
        _ => (at(0, 1) + at(1, 0)) >> 1,
    };
    value as u16
}

fn encode(image: &[u16], width: usize, precision: u32, predictor: u8, code: &[u8]) -> Vec<u8> {
    let height = image.len() / width;
    let (codes, table) = codes(code);
    let mut bits: Vec<u8> = Vec::new();
    let mut put = |value: u32, count: u32| {
        bits.extend((0..count).rev().map(|b| (value >> b & 1) as u8));
    };
    for (i, &v) in image.iter().enumerate() {
        let d = v.wrapping_sub(predicted(image, width, i, precision, predictor));
        let signed = i32::from(d as i16);
        let category = if d == 0x8000 {
            16
        } else {
            32 - signed.unsigned_abs().leading_zeros()
        };
        put(codes[category as usize].0, codes[category as usize].1);
        if category < 16 {
            let value = if signed < 0 { signed - 1 } else { signed };
            put(value as u32 & ((1u32 << category) - 1), category);
        }
    }
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xC4, 0, 3 + table.len() as u8, 0];
    out.extend(table);
    let [h, w] = [height, width].map(|n| (n as u16).to_be_bytes());
    out.extend([0xFF, 0xC3, 0, 11, precision as u8]);
    out.extend([h[0], h[1], w[0], w[1], 1, 7, 0x11, 0]);
    out.extend([0xFF, 0xDA, 0, 8, 1, 7, 0, predictor, 0, 0]);
    for byte in bits.chunks(8) {
        let value = (0..8).fold(0, |v, b| v << 1 | byte.get(b).copied().unwrap_or(1));
        out.push(value);
        if value == 0xFF {
            out.push(0);
        }
    }
    out.extend([0xFF, 0xD9]);
    out
}

fn image(seed: u64, precision: u32) -> (Vec<u16>, usize) {
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    let (width, height) = (random.random_range(1..40), random.random_range(1..30));
    let most = (1u32 << precision) - 1;
    let mut value = most / 2;
    let image = (0..width * height)
        .map(|_| {
            // Mostly small steps, sometimes anything.
            if random.random_range(0..20) == 0 {
                value = random.random_range(0..=most);
            } else {
                let step = random.random_range(0..9);
                value = (value + step).saturating_sub(4).min(most);
            }
            value as u16
        })
        .collect();
    (image, width)
}

#[test]
fn decodes_what_was_encoded_and_agrees_with_the_general_decoder() {
    for seed in 0..210 {
        let predictor = (seed % 7) as u8 + 1;
        let precision = [8, 12, 15, 16][seed as usize / 7 % 4];
        let code: &[u8] = if seed % 2 == 0 || precision == 16 {
            &EVEN
        } else {
            &STEEP
        };
        let (image, width) = image(seed, precision);
        let bytes = encode(&image, width, precision, predictor, code);
        let stream = Stream::parse(&bytes).unwrap();
        assert_eq!((stream.width, stream.height), (width, image.len() / width));
        assert_eq!(stream.decode().unwrap(), image, "seed {seed}");
        if precision > 8 {
            let general = jpeg_decoder::Decoder::new(&bytes[..]).decode().unwrap();
            let pairs = general.chunks_exact(2);
            let general: Vec<u16> = pairs.map(|b| u16::from_ne_bytes([b[0], b[1]])).collect();
            assert_eq!(general, image, "seed {seed}");
        }
    }
}

#[test]
fn data_that_end_early_are_refused_and_damage_does_not_panic() {
    let (image, width) = image(3, 12);
    let bytes = encode(&image, width, 12, 1, &EVEN);
    for cut in bytes.len() - 60..bytes.len() - 3 {
        let stream = Stream::parse(&bytes[..cut]).unwrap();
        assert!(stream.decode().is_err(), "{cut} bytes");
    }
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(1);
    for _ in 0..2000 {
        let mut damaged = bytes.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..damaged.len());
            damaged[at] = random.random();
        }
        if let Some(stream) = Stream::parse(&damaged)
            && stream.width * stream.height < 1 << 20
        {
            let _ = stream.decode();
        }
    }
}

#[test]
fn other_streams_are_left_to_the_general_decoder() {
    let (image, width) = image(5, 12);
    let good = encode(&image, width, 12, 1, &EVEN);
    assert!(Stream::parse(&good).is_some());
    let scan = good.windows(2).position(|w| w == [0xFF, 0xDA]).unwrap();
    let frame = good.windows(2).position(|w| w == [0xFF, 0xC3]).unwrap();
    // A point transform, several components, another process, a predictor of other processes.
    for (at, value) in [
        (scan + 9, 1),
        (frame + 9, 3),
        (frame + 1, 0xC1),
        (scan + 7, 0),
    ] {
        let mut other = good.clone();
        other[at] = value;
        assert!(Stream::parse(&other).is_none(), "byte {at} = {value}");
    }
}
