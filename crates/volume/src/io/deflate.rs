//! Gzip compression on all cores.
//!
//! As pigz does: blocks are deflated independently and joined at byte boundaries into one gzip
//! member, so that any reader takes it, also those that stop after the first member.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use rayon::prelude::*;
use std::io::{Error, Result, Write};

/// Bytes per independent block: large enough that forgetting what came before costs little.
const BLOCK: usize = 1 << 18;

/// Compresses what it is given, as a file `.gz`. Call [`GzWriter::finish`] at the end.
pub(super) struct GzWriter<W: Write> {
    inner: W,
    pending: Vec<u8>,
    batch: usize,
    crc: Crc,
    level: Compression,
}

impl<W: Write> GzWriter<W> {
    pub fn new(mut inner: W, level: Compression) -> Result<Self> {
        // No name, no time (equal input gives equal files), unknown system.
        inner.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        Ok(Self {
            inner,
            pending: Vec::new(),
            batch: BLOCK * 4 * rayon::current_num_threads(),
            crc: Crc::new(),
            level,
        })
    }

    fn compress_pending(&mut self) -> Result<()> {
        let level = self.level;
        let blocks: Vec<(Vec<u8>, Crc)> = self
            .pending
            .par_chunks(BLOCK)
            .map(|block| {
                let mut crc = Crc::new();
                crc.update(block);
                Ok((deflate(block, level, FlushCompress::Sync)?, crc))
            })
            .collect::<Result<_>>()?;
        for (block, crc) in blocks {
            self.inner.write_all(&block)?;
            self.crc.combine(&crc);
        }
        self.pending.clear();
        Ok(())
    }

    /// Writes what is left and the trailer.
    pub fn finish(mut self) -> Result<()> {
        self.compress_pending()?;
        let last = deflate(&[], self.level, FlushCompress::Finish)?;
        self.inner.write_all(&last)?;
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        self.inner.flush()
    }
}

impl<W: Write> Write for GzWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let room = self.batch - self.pending.len();
        let taken = bytes.len().min(room);
        self.pending.extend_from_slice(&bytes[..taken]);
        if self.pending.len() == self.batch {
            self.compress_pending()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }
}

/// Raw deflate of `block`, ended on a byte boundary.
fn deflate(block: &[u8], level: Compression, flush: FlushCompress) -> Result<Vec<u8>> {
    let mut compress = Compress::new(level, false);
    let mut out = Vec::with_capacity(block.len() / 2 + 64);
    loop {
        let read = compress.total_in() as usize;
        let status = compress
            .compress_vec(&block[read..], &mut out, flush)
            .map_err(Error::other)?;
        let all_read = compress.total_in() as usize == block.len();
        // With room left in the output nothing is left to flush.
        if status == Status::StreamEnd || (all_read && out.len() < out.capacity()) {
            return Ok(out);
        }
        out.reserve(out.capacity().max(64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_packed_unpacks_as_one_member() {
        let mut state = 1u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 17] {
            let zeros = vec![0; len];
            let noisy: Vec<u8> = (0..len).map(|_| noise()).collect();
            for data in [zeros, noisy] {
                let mut packed = Vec::new();
                let mut writer = GzWriter::new(&mut packed, Compression::fast()).unwrap();
                writer.batch = 4 * BLOCK;
                writer.write_all(&data).unwrap();
                writer.finish().unwrap();
                let mut back = Vec::new();
                let mut decoder = flate2::bufread::GzDecoder::new(&packed[..]);
                decoder.read_to_end(&mut back).unwrap();
                assert!(back == data, "{len} bytes");
                assert!(decoder.into_inner().is_empty(), "bytes after the member");
            }
        }
    }

    #[test]
    fn a_failing_writer_is_an_error() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> Result<usize> {
                self.0 = self
                    .0
                    .checked_sub(bytes.len())
                    .ok_or(std::io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
        for room in [0, 10, 14, 20] {
            let write = |room| {
                let mut writer = GzWriter::new(Full(room), Compression::fast())?;
                writer.write_all(&[1, 2, 3, 4])?;
                writer.finish()
            };
            let error = write(room).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        }
    }
}
