//! JPEG Lossless as CT scanners write it: one component, Huffman codes, no restarts, no shift.
//!
//! With a general decoder, these streams take most of the time of reading a series. The general
//! decoder still gets streams of any other kind and damaged headers ([`Stream::parse`] gives `None`).

mod bits;
mod huffman;
#[cfg(test)]
mod tests;

use super::refusal::broken;
use crate::Result;
use bits::{Bits, unstuffed};
use huffman::{Table, read_tables};

/// The parts of a stream of this kind.
pub(crate) struct Stream<'a> {
    pub(crate) width: usize,
    pub(crate) height: usize,
    precision: u32,
    predictor: u8,
    table: Table,
    /// What follows the scan header: entropy-coded data up to the next marker.
    scan: &'a [u8],
}

impl<'a> Stream<'a> {
    /// Splits `bytes` into the parts of a stream; `None` if they are of another kind.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
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
                // Application data, comments, and a restart interval of 0 (no restarts).
                (0xE0..=0xEF | 0xFE, _) | (0xDD, [0, 0]) => {}
                _ => return None,
            }
        }
    }

    /// The samples, row after row.
    pub(crate) fn decode(&self) -> Result<Vec<u16>> {
        // Each sample has a code of at least one bit.
        if self.scan.len().saturating_mul(8) < self.width * self.height {
            return Err(broken("JPEG", "the data end early"));
        }
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
            return Err(broken("JPEG", "it has a code that is not in its table"));
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
