//! The bits of entropy-coded data.

/// Entropy-coded data up to the first marker, without the zero byte that follows each byte FF.
pub(super) fn unstuffed(scan: &[u8]) -> Vec<u8> {
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

/// Reads bits of the data, the highest bit of a byte first. Zeros follow the end.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Bytes taken into `window`.
    taken: usize,
    window: u64,
    held: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            taken: 0,
            window: 0,
            held: 0,
        }
    }

    /// Makes sure that at least 32 bits are held.
    #[inline]
    pub(super) fn fill(&mut self) {
        if self.held >= 32 {
            return;
        }
        match self.data.get(self.taken..).and_then(|d| d.first_chunk()) {
            Some(next) => {
                self.window |= u64::from_be_bytes(*next) >> self.held;
                let bytes = (63 - self.held) / 8;
                self.taken += bytes as usize;
                self.held += 8 * bytes;
                // The window may hold part of the next byte. These bits are cleared, because the
                // next call adds the whole byte.
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

    /// The next `count` bits. The window must hold as many.
    #[inline]
    pub(super) fn peek(&self, count: u32) -> u32 {
        // `count` may be 0, and shifting a `u64` by 64 bits overflows. Two shifts avoid this.
        ((self.window >> 1) >> (63 - count)) as u32
    }

    #[inline]
    pub(super) fn skip(&mut self, count: u32) {
        self.window <<= count;
        self.held -= count;
    }

    pub(super) fn used(&self) -> usize {
        8 * self.taken - self.held as usize
    }
}
