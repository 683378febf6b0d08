//! Gzip compression on all cores.
//!
//! Blocks are deflated independently and joined at byte boundaries into one gzip member, as pigz
//! does. Every reader accepts the result, including readers that stop after the first member.
//! Blocks of zeros are most of a mask; they are deflated once.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use rayon::prelude::*;
use std::io::{Error, Result, Write};
use std::sync::OnceLock;

/// Approximate bytes per independent block. Blocks do not share history, which costs little at
/// this size.
pub(super) const BLOCK: usize = 1 << 19;

/// Writes `head` and then `count` blocks of bytes as one `.gz` file. `make(i, out)` appends block
/// `i` to the empty `out`. Threads call it in parallel, and each holds only a few blocks in memory
/// at a time.
pub(super) fn write_gz(
    mut inner: impl Write,
    level: Compression,
    head: &[u8],
    count: usize,
    make: impl Fn(usize, &mut Vec<u8>) + Sync,
) -> Result<()> {
    // No name, no time (equal input gives equal files), unknown system.
    inner.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
    let mut total = Crc::new();
    let mut put = |block: &Packed| -> Result<()> {
        inner.write_all(&block.bytes)?;
        total.combine(&block.crc);
        Ok(())
    };
    put(&Packer::new(level).pack(head, FlushCompress::Sync)?)?;
    let zeros = Zeros::default();
    let batch = 2 * rayon::current_num_threads();
    for first in (0..count).step_by(batch) {
        let blocks: Vec<Result<Option<Packed>>> = (first..count.min(first + batch))
            .into_par_iter()
            .map_init(
                || (Packer::new(level), Vec::new()),
                |(packer, raw), i| {
                    raw.clear();
                    make(i, raw);
                    zeros.pack(packer, raw)
                },
            )
            .collect();
        for block in blocks {
            match (&block?, zeros.0.get()) {
                (Some(block), _) | (None, Some((_, block))) => put(block)?,
                (None, None) => {}
            }
        }
    }
    let last = Packer::new(level).pack(&[], FlushCompress::Finish)?;
    inner.write_all(&last.bytes)?;
    inner.write_all(&total.sum().to_le_bytes())?;
    inner.write_all(&total.amount().to_le_bytes())?;
    inner.flush()
}

/// A deflated block, ended on a byte boundary.
struct Packed {
    bytes: Vec<u8>,
    crc: Crc,
}

/// The first block of zeros, and its length. Most blocks of zeros have the same length.
#[derive(Default)]
struct Zeros(OnceLock<(usize, Packed)>);

impl Zeros {
    /// Packs `raw`, or returns `None` if it is the block that is held here.
    fn pack(&self, packer: &mut Packer, raw: &[u8]) -> Result<Option<Packed>> {
        if raw.iter().fold(0, |any, b| any | b) != 0 {
            return packer.pack(raw, FlushCompress::Sync).map(Some);
        }
        if self.0.get().is_some_and(|known| known.0 == raw.len()) {
            return Ok(None);
        }
        let packed = packer.pack(raw, FlushCompress::Sync)?;
        // Another thread may have stored a block of another length before.
        Ok(self
            .0
            .set((raw.len(), packed))
            .err()
            .map(|(_, packed)| packed))
    }
}

/// A compressor that is reused from block to block.
struct Packer(Compress);

impl Packer {
    fn new(level: Compression) -> Self {
        Self(Compress::new(level, false))
    }

    fn pack(&mut self, block: &[u8], flush: FlushCompress) -> Result<Packed> {
        self.0.reset();
        let mut crc = Crc::new();
        crc.update(block);
        let bytes = deflate(&mut self.0, block, flush)?;
        Ok(Packed { bytes, crc })
    }
}

/// Raw deflate of `block`, ended on a byte boundary.
fn deflate(compress: &mut Compress, block: &[u8], flush: FlushCompress) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(block.len() / 2 + 64);
    loop {
        let read = compress.total_in() as usize;
        let status = compress
            .compress_vec(&block[read..], &mut out, flush)
            .map_err(Error::other)?;
        let all_read = compress.total_in() as usize == block.len();
        // Room left in the output means that deflate has no more bytes to flush.
        if status == Status::StreamEnd || (all_read && out.len() < out.capacity()) {
            return Ok(out);
        }
        out.reserve(out.capacity().max(64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn noise(seed: u32) -> impl FnMut() -> u8 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }
    }

    /// Packs `data` in blocks of `block` bytes and unpacks it with flate2's decoder.
    fn round_trip(head: &[u8], data: &[u8], block: usize, level: u32) {
        let mut packed = Vec::new();
        let count = data.len().div_ceil(block);
        write_gz(
            &mut packed,
            Compression::new(level),
            head,
            count,
            |i, out| {
                let end = ((i + 1) * block).min(data.len());
                out.extend_from_slice(&data[i * block..end]);
            },
        )
        .unwrap();
        let mut back = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(&packed[..]);
        decoder.read_to_end(&mut back).unwrap();
        assert!(back[..head.len()] == *head && back[head.len()..] == *data);
        assert!(decoder.into_inner().is_empty(), "bytes after the member");
    }

    #[test]
    fn what_is_packed_unpacks_as_one_member() {
        let mut noise = noise(1);
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 17] {
            let zeros = vec![0; len];
            let noisy: Vec<u8> = (0..len).map(|_| noise()).collect();
            for data in [zeros, noisy] {
                round_trip(b"head", &data, BLOCK, 1);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_mixture_survives(
            runs in prop::collection::vec((0usize..3, 1usize..5000), 0..12),
            block in 1usize..4000,
            level in 0u32..10,
            head in prop::collection::vec(any::<u8>(), 0..400),
            seed in any::<u32>(),
        ) {
            let mut noise = noise(seed);
            let mut data = Vec::new();
            for (kind, len) in runs {
                data.extend((0..len).map(|i| match kind {
                    0 => 0,
                    1 => noise(),
                    _ => (i / 7) as u8,
                }));
            }
            round_trip(&head, &data, block, level);
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
            let make = |_, out: &mut Vec<u8>| out.extend([1, 2, 3, 4]);
            let error = write_gz(Full(room), Compression::fast(), &[], 1, make).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        }
    }
}
