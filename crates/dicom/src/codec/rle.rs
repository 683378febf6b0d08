//! RLE Lossless (DICOM PS3.5, annex G).

use super::refusal::broken;
use crate::Result;
use crate::layout::Layout;

/// Decodes one frame. Each byte of a value has its own segment of PackBits, the high byte first.
pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Vec<u16>> {
    let word = |i: usize| -> Result<usize> {
        bytes
            .get(4 * i..4 * i + 4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
            .ok_or_else(|| broken("RLE", "the header is cut off"))
    };
    let segments = word(0)?;
    let needed = layout.allocated as usize / 8;
    if segments != needed {
        return Err(broken(
            "RLE",
            format_args!("it has {segments} segments instead of {needed}"),
        ));
    }
    let pixels = layout.rows * layout.columns;
    // Two bytes stand for 128 at most.
    if bytes.len().saturating_mul(64) < pixels {
        return Err(broken("RLE", "the data are too few for the image's size"));
    }
    let mut values = vec![0u16; pixels];
    for segment in 0..segments {
        let start = word(segment + 1)?;
        let end = if segment + 1 < segments {
            word(segment + 2)?
        } else {
            bytes.len()
        };
        let packed = bytes
            .get(start..end)
            .ok_or_else(|| broken("RLE", "a segment lies outside the data"))?;
        unpack(packed, &mut values)?;
    }
    Ok(values)
}

/// Shifts every value up by a byte and puts the segment's bytes into the low byte.
fn unpack(mut packed: &[u8], values: &mut [u16]) -> Result<()> {
    let mut out = values.iter_mut();
    let mut put = |v: u8| match out.next() {
        Some(value) => {
            *value = *value << 8 | u16::from(v);
            true
        }
        None => false,
    };
    while let [control, rest @ ..] = packed {
        packed = rest;
        match *control as i8 {
            -128 => {}
            n if n >= 0 => {
                let count = (n as usize + 1).min(packed.len());
                for &v in &packed[..count] {
                    if !put(v) {
                        return Ok(());
                    }
                }
                packed = &packed[count..];
            }
            n => {
                let Some((&v, rest)) = packed.split_first() else {
                    break;
                };
                packed = rest;
                for _ in 0..1 - isize::from(n) {
                    if !put(v) {
                        return Ok(());
                    }
                }
            }
        }
    }
    if put(0) {
        return Err(broken("RLE", "a segment ends early"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(allocated: u32) -> Layout {
        Layout {
            rows: 2,
            columns: 3,
            samples: 1,
            allocated,
            stored: allocated,
            high: allocated - 1,
            signed: false,
            padding: None,
        }
    }

    fn frame(segments: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0u8; 64];
        bytes[0] = segments.len() as u8;
        for (i, segment) in segments.iter().enumerate() {
            let at = bytes.len() as u32;
            bytes[4 * (i + 1)..4 * (i + 2)].copy_from_slice(&at.to_le_bytes());
            bytes.extend_from_slice(segment);
        }
        bytes
    }

    #[test]
    fn joins_the_bytes_high_byte_first() {
        // Runs, literals, a no-op, and a padding byte behind the last segment.
        let bytes = frame(&[&[0xFB, 1], &[2, 10, 20, 30, 0x80, 0xFE, 40, 0]]);
        let values = decode(&bytes, &layout(16)).unwrap();
        assert_eq!(values, [266, 276, 286, 296, 296, 296]);
    }

    #[test]
    fn refuses_what_is_short() {
        for bytes in [
            &frame(&[&[0xFB, 1]])[..],
            &frame(&[&[0xFB, 1], &[0xFE, 1]])[..],
            &frame(&[&[0xFB, 1], &[5, 1, 2]])[..],
            &[2, 0][..],
            &[][..],
        ] {
            assert!(decode(bytes, &layout(16)).is_err(), "{bytes:?}");
        }
        assert_eq!(decode(&frame(&[&[0xFB, 7]]), &layout(8)).unwrap(), [7; 6]);
    }
}
