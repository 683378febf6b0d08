//! Pixels of one bit.

/// Packs pixels of one bit, frame after frame without padding in between, the first pixel in the
/// lowest bit (PS3.5 8.1.1, Annex D).
#[derive(Debug, Default)]
pub(crate) struct BitPacker {
    bytes: Vec<u8>,
    /// Number of bits used in the last byte; 0 if all bytes are full.
    used: u32,
}

impl BitPacker {
    /// Adds a frame.
    pub fn push(&mut self, pixels: impl ExactSizeIterator<Item = bool>) {
        let mut pixels = pixels;
        if self.used == 0 {
            // Whole bytes, which is the usual case: a frame seldom begins within a byte.
            self.bytes.reserve(pixels.len().div_ceil(8));
            for _ in 0..pixels.len() / 8 {
                let eight = pixels.by_ref().take(8).enumerate();
                let byte = eight.fold(0, |byte, (i, pixel)| byte | u8::from(pixel) << i);
                self.bytes.push(byte);
            }
        }
        for pixel in pixels {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(pixel) << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// The bytes, padded to an even number.
    pub fn finish(self) -> Vec<u8> {
        even(self.bytes)
    }
}

/// `bytes` with a zero at the end if their number is odd.
pub(crate) fn even(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pattern of pydicom and highdicom for three frames of 5 × 5: top row, centre, two corners.
    #[test]
    fn bits_run_on_from_frame_to_frame() {
        let mut packer = BitPacker::default();
        packer.push((0..25).map(|i| i < 5));
        packer.push((0..25).map(|i| i == 12));
        packer.push((0..25).map(|i| i == 0 || i == 24));
        let expected = [0x1f, 0, 0, 0, 0x20, 0, 0x04, 0, 0, 0x04];
        assert_eq!(packer.finish(), expected);
    }

    #[test]
    fn the_number_of_bytes_is_even() {
        let mut packer = BitPacker::default();
        packer.push([true; 17].into_iter());
        assert_eq!(packer.finish(), [0xff, 0xff, 1, 0]);
        assert_eq!(BitPacker::default().finish(), []);
    }
}
