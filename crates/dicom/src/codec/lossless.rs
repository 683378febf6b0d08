//! JPEG Lossless as CT scanners write it: one component, Huffman codes, no restarts, no shift.
//!
//! A general decoder spends most of the time of reading a series on these. Streams of any other
//! kind, and damaged headers, are left to it ([`Stream::parse`] gives `None`).

use super::broken;
use crate::Result;

/// Bits that one look into the table decides.
const LOOK: u32 = 12;

/// A stream of the plain kind, taken apart.
pub(super) struct Stream<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    precision: u32,
    predictor: u8,
    table: Table,
    /// What follows the scan header: entropy-coded data up to the next marker.
    scan: &'a [u8],
}

impl<'a> Stream<'a> {
    /// Takes `bytes` apart; `None` if they are not of the plain kind.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[0xFF, 0xD8])?;
        let mut tables: [Option<Table>; 4] = Default::default();
        let mut frame: Option<(u32, usize, usize, u8)> = None;
        loop {
            let [0xFF, marker, body @ ..] = rest else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes(*body.first_chunk::<2>()?));
            let segment = body.get(2..length)?;
            rest = &body[length..];
            match (marker, segment) {
                // SOF3: lossless, sequential, Huffman.
                (0xC3, &[precision @ 2..=16, h0, h1, w0, w1, 1, id, ..]) if frame.is_none() => {
                    let size = |a, b| usize::from(u16::from_be_bytes([a, b]));
                    frame = Some((u32::from(precision), size(h0, h1), size(w0, w1), id));
                }
                (0xC4, segment) => read_tables(segment, &mut tables)?,
                (0xDA, &[1, id, table, predictor @ 1..=7, _, 0]) => {
                    let (precision, height, width, own) = frame?;
                    if id != own || height == 0 || width == 0 {
                        return None;
                    }
                    return Some(Self {
                        width,
                        height,
                        precision,
                        predictor,
                        table: tables.get_mut(usize::from(table >> 4))?.take()?,
                        scan: rest,
                    });
                }
                // Application data and comments, and an interval of no restarts.
                (0xE0..=0xEF | 0xFE, _) | (0xDD, [0, 0]) => {}
                _ => return None,
            }
        }
    }

    /// The samples, row after row.
    pub(super) fn decode(&self) -> Result<Vec<u16>> {
        let data = unstuffed(self.scan);
        let mut bits = Bits::new(&data);
        let mut out = vec![0u16; self.width * self.height];
        let out_mut = &mut out[..];
        let done = match self.predictor {
            1 => self.rows(&mut bits, out_mut, |a, _, _| a),
            2 => self.rows(&mut bits, out_mut, |_, b, _| b),
            3 => self.rows(&mut bits, out_mut, |_, _, c| c),
            4 => self.rows(&mut bits, out_mut, |a, b, c| a + b - c),
            5 => self.rows(&mut bits, out_mut, |a, b, c| a + ((b - c) >> 1)),
            6 => self.rows(&mut bits, out_mut, |a, b, c| b + ((a - c) >> 1)),
            _ => self.rows(&mut bits, out_mut, |a, b, _| (a + b) >> 1),
        };
        if done.is_none() {
            return Err(broken("JPEG", "it holds a code that its table lacks"));
        }
        if bits.used() > 8 * data.len() {
            return Err(broken("JPEG", "the data end early"));
        }
        Ok(out)
    }

    /// `predict` gets the samples to the left, above, and above to the left.
    fn rows(
        &self,
        bits: &mut Bits,
        out: &mut [u16],
        predict: impl Fn(i32, i32, i32) -> i32,
    ) -> Option<()> {
        let mut left = 1u16 << (self.precision - 1);
        let (first, rest) = out.split_at_mut(self.width);
        for sample in first.iter_mut() {
            left = left.wrapping_add(self.table.difference(bits)?);
            *sample = left;
        }
        let mut above: &[u16] = first;
        for row in rest.chunks_exact_mut(self.width) {
            let mut corner = above[0];
            let mut left = corner.wrapping_add(self.table.difference(bits)?);
            row[0] = left;
            for (sample, &up) in row[1..].iter_mut().zip(&above[1..]) {
                let predicted = predict(left.into(), up.into(), corner.into());
                left = (predicted as u16).wrapping_add(self.table.difference(bits)?);
                *sample = left;
                corner = up;
            }
            above = row;
        }
        Some(())
    }
}

/// Reads a segment of Huffman tables; `None` for tables that are no code, or not of differences.
fn read_tables(mut segment: &[u8], tables: &mut [Option<Table>; 4]) -> Option<()> {
    while let [place, rest @ ..] = segment {
        let counts = rest.first_chunk::<16>()?;
        let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
        let values = rest.get(16..16 + total)?;
        // The upper half is the class: 0 for differences.
        *tables.get_mut(usize::from(*place))? = Some(Table::new(counts, values)?);
        segment = &rest[16 + total..];
    }
    Some(())
}

/// What the first bits of the data stand for.
#[derive(Clone, Copy, Default)]
struct Look {
    /// The difference, if code and difference fit into the look.
    difference: u16,
    /// Bits of both then, else 0.
    both: u8,
    /// Bits of the code, 0 if it is longer than the look.
    code: u8,
    /// Bits of the difference.
    category: u8,
}

/// A Huffman code of difference categories.
struct Table {
    look: Vec<Look>,
    /// Per length: the first code beyond those of this length, left-aligned to 16 bits.
    limit: [u32; 17],
    /// Per length: what to add to a code to find its value.
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        if values.iter().any(|&v| v > 16) {
            return None;
        }
        let mut table = Self {
            look: vec![Look::default(); 1 << LOOK],
            limit: [0; 17],
            offset: [0; 17],
            values: values.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            table.offset[length as usize] = index as i32 - code as i32;
            if code + count > 1 << length {
                return None;
            }
            for _ in 0..count {
                if length <= LOOK {
                    table.fill(code, length, values[index]);
                }
                code += 1;
                index += 1;
            }
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// Enters the code of `length` bits in all places that begin with it.
    fn fill(&mut self, code: u32, length: u32, category: u8) {
        let free = LOOK - length;
        for tail in 0..1u32 << free {
            let extra = u32::from(category);
            let mut look = Look {
                code: length as u8,
                category,
                ..Look::default()
            };
            // Category 16 stands for 32768 and has no bits of its own.
            if category == 16 {
                (look.difference, look.both) = (0x8000, length as u8);
            } else if extra <= free {
                look.difference = extended(tail >> (free - extra), extra);
                look.both = (length + extra) as u8;
            }
            self.look[((code << free) | tail) as usize] = look;
        }
    }

    #[inline]
    fn difference(&self, bits: &mut Bits) -> Option<u16> {
        bits.fill();
        let look = self.look[bits.peek(LOOK) as usize];
        if look.both != 0 {
            bits.skip(u32::from(look.both));
            return Some(look.difference);
        }
        self.difference_beyond(bits, look)
    }

    /// A difference that reaches beyond the look.
    #[cold]
    fn difference_beyond(&self, bits: &mut Bits, look: Look) -> Option<u16> {
        let mut category = look.category;
        if look.code != 0 {
            bits.skip(u32::from(look.code));
        } else {
            let code = bits.peek(16);
            let length = (LOOK as usize + 1..=16).find(|&l| code < self.limit[l])?;
            let index = (code >> (16 - length)) as i32 + self.offset[length];
            category = *self.values.get(usize::try_from(index).ok()?)?;
            bits.skip(length as u32);
            if category == 16 {
                return Some(0x8000);
            }
        }
        let extra = u32::from(category);
        let difference = extended(bits.peek(extra), extra);
        bits.skip(extra);
        Some(difference)
    }
}

/// The difference that `bits` of its category stand for, modulo 2¹⁶.
fn extended(bits: u32, category: u32) -> u16 {
    if category == 0 {
        0
    } else if bits >> (category - 1) == 0 {
        (bits + 1).wrapping_sub(1 << category) as u16
    } else {
        bits as u16
    }
}

/// Entropy-coded data without the zeros that follow each byte FF, up to the first marker.
fn unstuffed(scan: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(scan.len());
    let mut rest = scan;
    while let Some(at) = rest.iter().position(|&b| b == 0xFF) {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1) {
            Some(0) => {
                out.push(0xFF);
                rest = &rest[at + 2..];
            }
            _ => return out,
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Bits of the data, first bits high; zeros follow the end.
struct Bits<'a> {
    data: &'a [u8],
    /// Bytes taken into `window`.
    taken: usize,
    window: u64,
    held: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            taken: 0,
            window: 0,
            held: 0,
        }
    }

    /// Makes sure that 32 bits are held.
    #[inline]
    fn fill(&mut self) {
        if self.held >= 32 {
            return;
        }
        match self.data.get(self.taken..).and_then(|d| d.first_chunk()) {
            Some(next) => {
                self.window |= u64::from_be_bytes(*next) >> self.held;
                let bytes = (63 - self.held) / 8;
                self.taken += bytes as usize;
                self.held += 8 * bytes;
                // Bits of a byte that is not counted as taken must not stay.
                self.window &= u64::MAX << (64 - self.held);
            }
            None => {
                while self.held <= 56 {
                    let byte = self.data.get(self.taken).copied().unwrap_or(0);
                    self.window |= u64::from(byte) << (56 - self.held);
                    self.taken += 1;
                    self.held += 8;
                }
            }
        }
    }

    /// The next bits, of which so many are held.
    #[inline]
    fn peek(&self, count: u32) -> u32 {
        // In two steps, as 64 is no shift.
        ((self.window >> 1) >> (63 - count)) as u32
    }

    #[inline]
    fn skip(&mut self, count: u32) {
        self.window <<= count;
        self.held -= count;
    }

    fn used(&self) -> usize {
        8 * self.taken - self.held as usize
    }
}

#[cfg(test)]
mod tests {
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
}
