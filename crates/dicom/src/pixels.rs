//! Conversion of stored values to Hounsfield units, for all slices of a stack in parallel.

use crate::header::Header;
use crate::layout::Layout;
use crate::limits::{AIR_HU, MAX_FILE_BYTES, check_voxels};
use crate::source::{Collection, LARGE_BYTES};
use crate::stack::Stack;
use crate::{Result, codec};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A padding value above this is suspicious, because it would replace tissue by air.
const TISSUE_HU: f64 = -900.0;

/// Values of a stack, slice after slice.
pub(crate) struct Decoded {
    pub data: Vec<f32>,
    /// Number of voxels that became air although their padding value lies in the range of tissue.
    pub padded_tissue: usize,
}

/// Reads and decodes all slices of `stack`, which must not have more than `max_voxels` pixels.
pub(crate) fn decode(
    collection: &Collection,
    headers: &[Header],
    stack: &Stack,
    max_voxels: usize,
) -> Result<Decoded> {
    let size = stack.slices[0].rows * stack.slices[0].columns;
    let shape = [
        stack.slices.len(),
        stack.slices[0].rows,
        stack.slices[0].columns,
    ];
    check_voxels(shape, max_voxels)?;
    // Each file is unpacked only once, also if many of its frames are slices.
    let mut by_file: BTreeMap<usize, Vec<(usize, &mut [f32])>> = BTreeMap::new();
    let mut data = vec![0f32; stack.slices.len() * size];
    for (slice, out) in stack.slices.iter().zip(data.chunks_exact_mut(size)) {
        by_file
            .entry(slice.header)
            .or_default()
            .push((slice.frame, out));
    }
    let padded_tissue = AtomicUsize::new(0);
    let decode_file = |(index, frames): (usize, Vec<(usize, &mut [f32])>)| -> Result<()> {
        let header = &headers[index];
        let named = |e: crate::Error| e.at(Path::new(&header.name));
        let bytes = collection.bytes(&collection.sources[header.source])?;
        let container = collection
            .budget
            .parse(&bytes, MAX_FILE_BYTES)
            .map_err(named)?;
        frames
            .into_par_iter()
            .try_for_each(|(frame, out)| -> Result<()> {
                let count = header.frames.len();
                let stored = codec::stored_values(&container, &header.layout, frame, count)
                    .map_err(named)?;
                let frame = &header.frames[frame];
                let padded = to_hu(&stored, &header.layout, frame.slope, frame.intercept, out);
                padded_tissue.fetch_add(padded, Ordering::Relaxed);
                Ok(())
            })
    };
    let (large, small): (Vec<_>, Vec<_>) = by_file
        .into_iter()
        .partition(|(index, _)| headers[*index].bytes > LARGE_BYTES);
    small.into_par_iter().try_for_each(decode_file)?;
    // One large file at a time is in memory. Its frames are decoded in parallel.
    large.into_iter().try_for_each(&decode_file)?;
    Ok(Decoded {
        data,
        padded_tissue: padded_tissue.into_inner(),
    })
}

/// Converts stored values. Returns the number of padding values in the range of tissue.
fn to_hu(stored: &[u16], layout: &Layout, slope: f64, intercept: f64, out: &mut [f32]) -> usize {
    // Bits above the high bit may hold overlays. The left shift drops them, and the right shift
    // restores the sign.
    let left = 15 - layout.high.min(15);
    let right = 16 - layout.stored.clamp(1, 16);
    let value = |raw: u16| {
        let raised = raw << left;
        if layout.signed {
            i32::from((raised as i16) >> right)
        } else {
            i32::from(raised >> right)
        }
    };
    let hu = |v: i32| (f64::from(v) * slope + intercept) as f32;
    // The comparison also turns NaN and infinities of absurd rescale values into numbers.
    let bounded = |v: f32| {
        if v > AIR_HU {
            v.min(f32::from(i16::MAX))
        } else {
            AIR_HU
        }
    };
    let Some((low, high)) = layout.padding else {
        for (o, &raw) in out.iter_mut().zip(stored) {
            *o = bounded(hu(value(raw)));
        }
        return 0;
    };
    let mut tissue = 0;
    for (o, &raw) in out.iter_mut().zip(stored) {
        let v = value(raw);
        let plain = bounded(hu(v));
        let is_padding = low <= v && v <= high;
        tissue += usize::from(is_padding && f64::from(plain) > TISSUE_HU);
        *o = if is_padding { AIR_HU } else { plain };
    }
    tissue
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(stored: u32, high: u32, signed: bool) -> Layout {
        Layout {
            rows: 1,
            columns: 4,
            samples: 1,
            allocated: 16,
            stored,
            high,
            signed,
            padding: None,
        }
    }

    #[test]
    fn takes_stored_bits_only() {
        let mut out = [0f32; 4];
        // Twelve bits; the four above them hold an overlay.
        let raw = [0x0064, 0xF064, 0x0FFF, 0x0800];
        to_hu(&raw, &layout(12, 11, false), 1.0, -100.0, &mut out);
        assert_eq!(out, [0.0, 0.0, 3995.0, 1948.0]);
        to_hu(&raw, &layout(12, 11, true), 1.0, 0.0, &mut out);
        assert_eq!(out, [100.0, 100.0, -1.0, AIR_HU]);
        // Values kept in the high bits.
        let raw = [0x0640, 0x0641, 0xFFF0, 0x0010];
        to_hu(&raw, &layout(12, 15, true), 2.0, 0.0, &mut out);
        assert_eq!(out, [200.0, 200.0, -2.0, 2.0]);
    }

    #[test]
    fn padding_is_air_and_counted_where_it_means_tissue() {
        let mut out = [0f32; 4];
        let mut l = layout(16, 15, true);
        l.padding = Some((-2000, -1990));
        let raw = [-2000i16, -1995, -1024, 40].map(|v| v as u16);
        assert_eq!(to_hu(&raw, &l, 1.0, 0.0, &mut out), 0);
        assert_eq!(out, [AIR_HU, AIR_HU, AIR_HU, 40.0]);
        l.padding = Some((40, 40));
        assert_eq!(to_hu(&raw, &l, 1.0, 0.0, &mut out), 1);
        assert_eq!(out[3], AIR_HU);
    }

    #[test]
    fn absurd_rescale_values_stay_finite() {
        let mut out = [0f32; 4];
        to_hu(
            &[0, 1, 2, 3],
            &layout(16, 15, false),
            1e308,
            -1e308,
            &mut out,
        );
        assert!(out.iter().all(|v| v.is_finite()), "{out:?}");
    }
}
