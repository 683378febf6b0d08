//! The frames of a segmentation: which are written, and their pixels.

use super::bits::{BitPacker, even};
use super::input::{Encoding, Mask, Segmentation};
use crate::reference::SeriesReference;
use crate::{Error, ErrorKind, Result};

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameOfSegment {
    /// Number of the segment from 1; `None` in a label map.
    pub segment: Option<u16>,
    /// Index of the slice.
    pub plane: usize,
}

/// The frames in order, and the pixel data.
pub(crate) struct Frames {
    pub frames: Vec<FrameOfSegment>,
    pub pixels: Vec<u8>,
}

/// Collects the frames of `input`: by segment, then by slice in the source's order.
///
/// # Errors
/// `OtherGrid` if a mask does not lie on the source's slices, `TooLarge` for more than `u32::MAX` bytes.
pub(crate) fn collect(source: &SeriesReference, input: &Segmentation) -> Result<Frames> {
    let grid = source.grid.as_ref().ok_or_else(resampled)?;
    for segment in input.segments {
        if let Some(difference) = segment.mask.planes.geometry().difference(grid) {
            return Err(Error::new(
                ErrorKind::OtherGrid,
                format!(
                    "the mask of {} is not on the grid of the source's slices: {difference}",
                    segment.label
                ),
            )
            .hint("give masks on the scan's own grid"));
        }
    }
    let shape = grid.shape();
    let mut found = gather(input, shape, input.all_frames);
    if found.frames.is_empty() {
        // A segmentation needs a frame, and one alone would single out a slice.
        found = gather(input, shape, true);
    }
    if found.pixels.len() > u32::MAX as usize - 1 {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the segmentation would have {} bytes", found.pixels.len()),
        )
        .hint("write one bit a voxel, without empty frames"));
    }
    Ok(found)
}

fn resampled() -> Error {
    Error::new(
        ErrorKind::OtherGrid,
        "the irregular series was resampled, so the masks do not lie on its slices",
    )
    .hint("a segmentation must lie on the source's slices; take the other results")
}

fn gather(input: &Segmentation, shape: [usize; 3], all_frames: bool) -> Frames {
    match input.encoding {
        Encoding::Binary => gather_bits(input, shape, all_frames),
        Encoding::LabelMap => gather_labels(input, shape, all_frames),
    }
}

fn gather_bits(input: &Segmentation, [planes, rows, columns]: [usize; 3], all: bool) -> Frames {
    let mut frames = Vec::new();
    let mut packer = BitPacker::default();
    let mut values = vec![0u8; rows * columns];
    for (index, segment) in input.segments.iter().enumerate() {
        let belongs = membership(&segment.mask);
        for plane in 0..planes {
            segment.mask.planes.read_plane(plane, &mut values);
            if all || values.iter().any(|&v| belongs[usize::from(v)]) {
                packer.push(values.iter().map(|&v| belongs[usize::from(v)]));
                frames.push(FrameOfSegment {
                    segment: u16::try_from(index + 1).ok(),
                    plane,
                });
            }
        }
    }
    Frames {
        frames,
        pixels: packer.finish(),
    }
}

fn gather_labels(input: &Segmentation, [planes, rows, columns]: [usize; 3], all: bool) -> Frames {
    let mut frames = Vec::new();
    let mut pixels = Vec::new();
    let mut values = vec![0u8; rows * columns];
    for plane in 0..planes {
        let mut labels = vec![0u8; rows * columns];
        for (number, segment) in (1..=u8::MAX).zip(input.segments) {
            let belongs = membership(&segment.mask);
            segment.mask.planes.read_plane(plane, &mut values);
            for (label, &value) in labels.iter_mut().zip(&values) {
                if belongs[usize::from(value)] {
                    *label = number;
                }
            }
        }
        if all || labels.iter().any(|&label| label != 0) {
            pixels.extend(labels);
            frames.push(FrameOfSegment {
                segment: None,
                plane,
            });
        }
    }
    Frames {
        frames,
        pixels: even(pixels),
    }
}

/// Whether each value belongs to the mask.
fn membership(mask: &Mask) -> [bool; 256] {
    let mut belongs = [false; 256];
    mask.values
        .iter()
        .for_each(|&v| belongs[usize::from(v)] = true);
    belongs
}
