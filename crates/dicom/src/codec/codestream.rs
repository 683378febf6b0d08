//! The headers of a JPEG 2000 codestream (ISO/IEC 15444-1, annex A), read before a decoder sees it.
//!
//! A decoder builds a place in memory for every tile, precinct, code-block and layer that the headers
//! announce, whether data follow or not. A few hundred bytes can therefore ask for gigabytes. This
//! module adds up what the headers ask for. It refuses segments whose length is not that of their
//! content, so that it and the decoder cannot read different things.

use super::refusal::broken;
use crate::{Error, Result};

const SOC: u8 = 0x4F;
const SIZ: u8 = 0x51;
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const QCD: u8 = 0x5C;
const QCC: u8 = 0x5D;
const RGN: u8 = 0x5E;
const POC: u8 = 0x5F;
const SOT: u8 = 0x90;
const SOD: u8 = 0x93;
const EOC: u8 = 0xD9;

/// Most tiles of a frame: 64 × 64. Usual frames have one.
const MAX_TILES: u64 = 4096;
/// Most precincts, code-blocks and layers of these that any frame may have. A frame of 512 × 512 has some
/// hundred.
const MAX_PARTS: u64 = 1 << 18;
/// Further ones for each pixel, as a fraction: one for 16 pixels.
const PIXELS_A_PART: u64 = 16;
/// Most progression order changes. Each costs the decoder a list of all precincts.
const MAX_CHANGES: usize = 32;
/// Largest coordinate of the reference grid.
const MAX_COORDINATE: u64 = 1 << 20;

/// What a COD or COC segment says of resolutions and their parts.
#[derive(Debug, Clone)]
struct Style {
    layers: u64,
    levels: u32,
    /// Exponents of a code-block's width and height.
    block: [u32; 2],
    /// Exponents of the precincts' width and height for each resolution; empty for the largest.
    precincts: Vec<[u32; 2]>,
}

/// The headers of a codestream.
#[derive(Debug)]
pub(super) struct Codestream {
    /// Width and height in pixels.
    pub size: [usize; 2],
    pub components: usize,
    /// Whether the first component's samples are signed.
    pub is_signed: bool,
    tiles: u64,
    tile_size: [u64; 2],
    styles: Vec<Style>,
    changes: usize,
}

/// The codestream within `bytes`, which may be a JP2 file. Its other boxes do not concern a CT slice.
pub(super) fn find_codestream(bytes: &[u8]) -> Result<&[u8]> {
    if !bytes.starts_with(b"\x00\x00\x00\x0CjP  ") {
        return Ok(bytes);
    }
    let mut rest = bytes;
    while let Some(&[a, b, c, d, t0, t1, t2, t3]) = rest.first_chunk::<8>() {
        let (length, header) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (rest.len(), 8),
            1 => {
                let long = rest.get(8..16).and_then(|l| l.first_chunk::<8>());
                let long = long.map_or(0, |l| u64::from_be_bytes(*l));
                (usize::try_from(long).unwrap_or(0), 16)
            }
            n => (n as usize, 8),
        };
        let content = rest
            .get(header..length)
            .ok_or_else(|| bad("a box is cut off"))?;
        if [t0, t1, t2, t3] == *b"jp2c" {
            return Ok(content);
        }
        rest = &rest[length..];
    }
    Err(bad("it has no codestream"))
}

fn bad(reason: impl std::fmt::Display) -> Error {
    broken("JPEG 2000", reason)
}

/// Reads a segment's content.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8> {
        let (&first, rest) = self
            .0
            .split_first()
            .ok_or_else(|| bad("a header is cut off"))?;
        self.0 = rest;
        Ok(first)
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn u32(&mut self) -> Result<u64> {
        let (high, low) = (u64::from(self.u16()?), u64::from(self.u16()?));
        Ok(high << 16 | low)
    }

    /// Refuses a segment that is longer than its content.
    fn end(&self, name: &str) -> Result<()> {
        match self.0 {
            [] => Ok(()),
            _ => Err(bad(format_args!("the length of a segment {name} is wrong"))),
        }
    }
}

impl Codestream {
    /// Reads all headers.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let rest = bytes
            .strip_prefix(&[0xFF, SOC])
            .ok_or_else(|| bad("it does not begin with a codestream"))?;
        let (marker, siz, mut rest) = segment(rest)?;
        if marker != SIZ {
            return Err(bad("the size is missing"));
        }
        let mut stream = Self::read_size(siz)?;
        // A stream of several components is refused, so its other headers do not matter.
        if stream.components != 1 {
            return Ok(stream);
        }
        loop {
            let (marker, content, after) = segment(rest)?;
            if marker == SOT {
                break;
            }
            stream.take(marker, content)?;
            rest = after;
        }
        while !rest.is_empty() && !rest.starts_with(&[0xFF, EOC]) {
            rest = stream.take_tile_part(rest)?;
        }
        Ok(stream)
    }

    fn read_size(content: &[u8]) -> Result<Self> {
        let mut r = Reader(content);
        r.u16()?;
        let mut grid = [0u64; 8];
        for value in &mut grid {
            *value = r.u32()?;
        }
        let [x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y] = grid;
        let components = usize::from(r.u16()?);
        let first = r.byte()?;
        let sampling = [r.byte()?, r.byte()?];
        if components == 1 {
            r.end("SIZ")?;
        }
        let is_sound = x0 < x1
            && y0 < y1
            && x1.max(y1) <= MAX_COORDINATE
            && tile_w > 0
            && tile_h > 0
            && tile_x <= x0
            && tile_y <= y0
            && tile_x + tile_w > x0
            && tile_y + tile_h > y0
            && sampling == [1, 1];
        if components == 1 && !is_sound {
            return Err(bad("its size is not one that a slice can have"));
        }
        let tiles = match components {
            1 => (x1 - tile_x).div_ceil(tile_w) * (y1 - tile_y).div_ceil(tile_h),
            _ => 1,
        };
        if tiles > MAX_TILES {
            return Err(bad(format_args!(
                "it has {tiles} tiles, more than {MAX_TILES}"
            )));
        }
        let size = [x1.saturating_sub(x0), y1.saturating_sub(y0)];
        Ok(Self {
            size: size.map(|v| v as usize),
            components,
            is_signed: first & 0x80 != 0,
            tiles,
            tile_size: [tile_w.min(size[0]), tile_h.min(size[1])],
            styles: Vec::new(),
            changes: 0,
        })
    }

    /// Takes a segment of the main header or of a tile-part's header.
    fn take(&mut self, marker: u8, content: &[u8]) -> Result<()> {
        let mut r = Reader(content);
        match marker {
            COD => {
                let coding = r.byte()?;
                r.byte()?;
                let layers = u64::from(r.u16()?);
                r.byte()?;
                self.styles.push(style(&mut r, coding, layers)?);
                r.end("COD")
            }
            COC => {
                r.byte()?;
                let coding = r.byte()?;
                // The number of layers is that of a COD segment.
                self.styles.push(style(&mut r, coding, 1)?);
                r.end("COC")
            }
            QCD | QCC => {
                let values = content
                    .len()
                    .saturating_sub(if marker == QCC { 2 } else { 1 });
                if marker == QCC {
                    r.byte()?;
                }
                let is_right = match r.byte()? & 0x1F {
                    0 => values > 0,
                    1 => values == 2,
                    _ => values > 0 && values.is_multiple_of(2),
                };
                match is_right {
                    true => Ok(()),
                    false => Err(bad("the length of a quantization segment is wrong")),
                }
            }
            RGN if content.len() != 3 => Err(bad("the length of a segment RGN is wrong")),
            POC => {
                self.changes += content.len() / 7;
                match self.changes {
                    0..=MAX_CHANGES => Ok(()),
                    _ => Err(bad(format_args!(
                        "it has more than {MAX_CHANGES} progression order changes"
                    ))),
                }
            }
            _ => Ok(()),
        }
    }

    /// Takes the tile-part at the start of `bytes`, and gives what follows it.
    fn take_tile_part<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let (marker, content, mut rest) = segment(bytes)?;
        if marker != SOT || content.len() != 8 {
            return Err(bad("a tile-part has no header"));
        }
        let mut r = Reader(content);
        r.u16()?;
        let length = match r.u32()? as usize {
            0 => bytes.len(),
            n => n,
        };
        let end = bytes
            .get(length..)
            .ok_or_else(|| bad("a tile-part is cut off"))?;
        while !rest.starts_with(&[0xFF, SOD]) {
            let (marker, content, after) = segment(rest)?;
            if marker == SOT || marker == EOC {
                return Err(bad("a tile-part has no data"));
            }
            self.take(marker, content)?;
            rest = after;
        }
        // The header may not reach beyond its tile-part.
        match rest.len() >= end.len() + 2 {
            true => Ok(end),
            false => Err(bad("a tile-part is cut off")),
        }
    }

    /// Refuses a stream whose headers ask for more parts than an image of its size needs.
    pub fn check_cost(&self) -> Result<()> {
        let pixels = (self.size[0] * self.size[1]) as u64;
        let most = MAX_PARTS + pixels / PIXELS_A_PART;
        // Segments of a tile may replace those of the main header, so the largest of each kind counts.
        let worst = self.styles.iter().map(|s| s.parts(self.tile_size)).max();
        let layers = self.styles.iter().map(|s| s.layers).max().unwrap_or(1);
        let parts = [self.tiles, layers.max(1), 1 + self.changes as u64]
            .iter()
            .fold(worst.unwrap_or(0), |parts, &n| parts.saturating_mul(n));
        if parts > most {
            return Err(bad(format_args!(
                "its headers ask for {parts} precincts, code-blocks and layers, more than {most}"
            )));
        }
        Ok(())
    }
}

/// The coding style of COD and COC segments.
fn style(r: &mut Reader, coding: u8, layers: u64) -> Result<Style> {
    let levels = u32::from(r.byte()?);
    let block = [r.byte()?, r.byte()?].map(|v| u32::from(v & 0xF) + 2);
    r.u16()?;
    if levels > 32 || block.iter().any(|&b| b > 10) {
        return Err(bad("its coding style is not valid"));
    }
    let mut precincts = Vec::new();
    if coding & 1 != 0 {
        for resolution in 0..=levels {
            let byte = u32::from(r.byte()?);
            let size = [byte & 0xF, byte >> 4];
            if resolution > 0 && size.contains(&0) {
                return Err(bad("a precinct has no size"));
            }
            precincts.push(size);
        }
    }
    Ok(Style {
        layers,
        levels,
        block,
        precincts,
    })
}

impl Style {
    /// An upper bound of the precincts and code-blocks of a tile of `size`.
    fn parts(&self, size: [u64; 2]) -> u64 {
        let mut parts = 0u64;
        for resolution in 0..=self.levels {
            let precinct = self
                .precincts
                .get(resolution as usize)
                .copied()
                .unwrap_or([15, 15]);
            let level = (self.levels - resolution).min(63);
            // A part may begin before the tile and end behind it.
            let across = |k: usize, exponent: u32, shrink: u32| {
                (size[k] >> shrink.min(63)) / (1 << exponent) + 2
            };
            let precincts = across(0, precinct[0], level) * across(1, precinct[1], level);
            let (bands, less) = if resolution == 0 { (1, 0) } else { (3, 1) };
            let block = |k: usize| self.block[k].min(precinct[k].saturating_sub(less));
            let blocks = across(0, block(0), level + less) * across(1, block(1), level + less);
            parts = parts.saturating_add(precincts + bands * blocks.max(precincts));
        }
        parts
    }
}

/// Splits the first segment from `bytes`: its marker, its content, and what follows.
fn segment(bytes: &[u8]) -> Result<(u8, &[u8], &[u8])> {
    let [0xFF, marker, rest @ ..] = bytes else {
        return Err(bad("a marker is missing"));
    };
    // These markers have no content.
    if matches!(*marker, 0x30..=0x3F | SOC | SOD | EOC) {
        return Ok((*marker, &[], rest));
    }
    let length = rest
        .first_chunk::<2>()
        .map_or(0, |l| u16::from_be_bytes(*l));
    let content = rest
        .get(2..usize::from(length))
        .ok_or_else(|| bad("a header is cut off"))?;
    Ok((*marker, content, &rest[usize::from(length)..]))
}
