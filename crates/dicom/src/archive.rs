//! Zip archives of DICOM files.
//!
//! Nothing is unpacked to the disk, so names of entries are only names. What an archive may cost is
//! bounded before anything is unpacked: entries may not share bytes of the archive, none may be larger
//! than a file or than its compressed bytes can give, and all DICOM files together may not exceed
//! [`MAX_ARCHIVE_BYTES`]. An entry that unpacks to another size than the archive says is refused at
//! that size.

use crate::limits::MAX_FILE_BYTES;
use crate::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Most bytes of all DICOM files of an archive together, unpacked.
pub(crate) const MAX_ARCHIVE_BYTES: u64 = 8 << 30;
/// The greatest expansion of a deflate stream.
const MAX_EXPANSION: u64 = 1032;

/// An open archive.
#[derive(Debug)]
pub(crate) struct Archive(Mutex<ZipArchive<BufReader<File>>>);

/// An entry that is a file.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Position in the archive.
    pub index: usize,
    pub name: String,
    /// Unpacked size by the archive's directory.
    pub bytes: u64,
    /// The first bytes, or the reason why the entry cannot be read.
    pub head: std::result::Result<Vec<u8>, String>,
}

impl Archive {
    /// Opens an archive of at most `most` entries.
    pub fn open(path: &Path, most: usize) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|e| bad(&e).at(path))?;
        if archive.len() > most {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the zip archive has more than {most} entries"),
            )
            .at(path)
            .hint("give the archive of one study"));
        }
        Ok(Self(Mutex::new(archive)))
    }

    /// The entries that are files, by `is_wanted`, with the first `head` bytes of each.
    ///
    /// # Errors
    /// `Malformed` if entries share bytes of the archive.
    pub fn entries(&self, head: u64, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Entry>> {
        let mut archive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        let mut ranges = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            // The raw entry gives names and sizes also where the method or the encryption is not
            // supported.
            let (name, size, is_dir, lie) = match archive.by_index_raw(index) {
                Ok(entry) => {
                    let start = entry.data_start().unwrap_or(entry.header_start());
                    ranges.push((entry.header_start(), start, entry.compressed_size()));
                    let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
                    (name, entry.size(), entry.is_dir(), size_lie(&entry))
                }
                Err(e) => {
                    let head = Err(e.to_string());
                    let name = format!("entry {index}");
                    found.push(Entry {
                        index,
                        name,
                        bytes: 0,
                        head,
                    });
                    continue;
                }
            };
            if is_dir || !is_wanted(&name) {
                continue;
            }
            let head = match lie {
                Some(reason) => Err(reason),
                None => archive
                    .by_index(index)
                    .map_err(|e| e.to_string())
                    .and_then(|entry| first_bytes(entry, head.min(size))),
            };
            found.push(Entry {
                index,
                name,
                bytes: size,
                head,
            });
        }
        check_overlaps(ranges)?;
        Ok(found)
    }

    /// The whole content of entry `index`, which has `size` bytes.
    pub fn bytes(&self, index: usize, size: u64, name: &Path) -> Result<Vec<u8>> {
        let mut archive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = archive.by_index(index).map_err(|e| {
            Error::new(ErrorKind::Malformed, format!("cannot be unpacked: {e}")).at(name)
        })?;
        // `entries` has compared the size with the compressed bytes, so this reserves no more than
        // these can give.
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size as usize + 1).map_err(|_| {
            Error::new(ErrorKind::TooLarge, format!("no memory for {size} bytes")).at(name)
        })?;
        entry
            .take(size + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io(name, "read the file", e))?;
        if bytes.len() as u64 == size {
            return Ok(bytes);
        }
        Err(Error::new(
            ErrorKind::Malformed,
            format!("unpacks to another size than the {size} bytes that the archive says"),
        )
        .at(name)
        .hint("the archive is damaged; fetch it again"))
    }
}

/// Refuses DICOM files that are too many bytes together.
pub(crate) fn check_sum(sizes: impl Iterator<Item = u64>) -> Result<()> {
    let sum = sizes.fold(0u64, u64::saturating_add);
    if sum <= MAX_ARCHIVE_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!(
            "the DICOM files of the zip archive unpack to {sum} bytes, more than {MAX_ARCHIVE_BYTES}"
        ),
    )
    .hint("give the archive of one study"))
}

/// Why the size of an entry cannot be right.
fn size_lie<R: Read + ?Sized>(entry: &zip::read::ZipFile<'_, R>) -> Option<String> {
    let (packed, size) = (entry.compressed_size(), entry.size());
    let most = match entry.compression() {
        CompressionMethod::Stored => packed,
        _ => packed.saturating_add(1).saturating_mul(MAX_EXPANSION),
    };
    if size > MAX_FILE_BYTES {
        return Some(format!(
            "it unpacks to {size} bytes, more than {MAX_FILE_BYTES}"
        ));
    }
    (size > most).then(|| format!("{packed} compressed bytes cannot unpack to {size}"))
}

fn first_bytes(entry: impl Read, count: u64) -> std::result::Result<Vec<u8>, String> {
    let mut head = Vec::with_capacity(count as usize);
    match entry.take(count).read_to_end(&mut head) {
        Ok(_) => Ok(head),
        Err(e) => Err(e.to_string()),
    }
}

/// Refuses entries that share bytes. Such an archive costs more to unpack than its size lets expect.
fn check_overlaps(mut ranges: Vec<(u64, u64, u64)>) -> Result<()> {
    ranges.sort_unstable();
    let overlaps = |pair: &[(u64, u64, u64)]| pair[0].1.saturating_add(pair[0].2) > pair[1].0;
    if ranges.windows(2).any(overlaps) {
        return Err(
            Error::new(ErrorKind::Malformed, "entries of the zip archive overlap")
                .hint("no ordinary program writes such an archive; ask its sender for another"),
        );
    }
    Ok(())
}

fn bad(error: &ZipError) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("the zip archive cannot be read: {error}"),
    )
    .hint("fetch it again, or unpack it and give the folder")
}
