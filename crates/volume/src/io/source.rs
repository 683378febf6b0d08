//! Files as bounded streams of bytes.
//!
//! A header may claim any size, so allocations do not rely on it. The file's length bounds what
//! the file can hold, because a deflate stream expands at most 1032 times. Memory is touched only
//! as bytes arrive.

use crate::scalar::Encoding;
use crate::{Error, ErrorKind, Result};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The greatest expansion of a deflate stream.
const MAX_EXPANSION: u64 = 1032;

const BUFFER: usize = 1 << 18;

/// Most unpacked bytes before the voxels of a compressed file, and behind them. A few megabytes can unpack
/// to terabytes, and only the header's size of the volume says where to stop.
const MOST_BESIDE: u64 = 1 << 26;
/// Longest number of a volume that is written as text.
const LONGEST_WORD: usize = 512;

/// An open file.
pub(crate) struct ByteSource {
    path: PathBuf,
    reader: BufReader<File>,
    len: u64,
}

/// How a file's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Raw,
    Gzip,
    Zlib,
}

impl ByteSource {
    /// Opens a regular file that is not empty.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| open_error(path, e))?;
        if metadata.is_dir() {
            let reason = "this is a directory, not a volume file";
            return Err(Error::new(ErrorKind::Io, reason)
                .hint("name a file; a directory is read as a DICOM series only")
                .at(path));
        }
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Io, "this is not a regular file").at(path));
        }
        if metadata.len() == 0 {
            return Err(Error::new(ErrorKind::Malformed, "the file is empty")
                .hint("copy or download it again")
                .at(path));
        }
        let file = File::open(path).map_err(|e| open_error(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity((BUFFER as u64).min(metadata.len()) as usize, file),
            len: metadata.len(),
        })
    }

    /// The file's length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the next bytes are those of a gzip file.
    pub fn is_gzip(&mut self) -> Result<bool> {
        let next = self.reader.fill_buf();
        let next = next.map_err(|e| Error::io(&self.path, "read the file", e))?;
        Ok(next.starts_with(&[0x1f, 0x8b]))
    }

    /// Moves to `position` from the start.
    pub fn seek(&mut self, position: u64) -> Result<()> {
        self.reader
            .seek(SeekFrom::Start(position))
            .map_err(|e| Error::io(&self.path, "read the file", e))?;
        Ok(())
    }

    /// The next line of a text header without its end, or `None` at the file's end. `budget` is
    /// the number of bytes that may still be read; each line reduces it.
    pub fn line(&mut self, budget: &mut u64) -> Result<Option<String>> {
        let mut line = Vec::new();
        let read = (&mut self.reader)
            .take(*budget)
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::io(&self.path, "read the header", e))?;
        *budget -= read as u64;
        if *budget == 0 {
            return Err(
                Error::new(ErrorKind::Malformed, "the text header does not end").at(&self.path),
            );
        }
        if read == 0 {
            return Ok(None);
        }
        while line.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    /// The rest of the file as it is.
    pub fn raw(self) -> impl Read {
        self.reader
    }

    /// The rest of the file, unpacked.
    pub fn unpack(mut self, packing: Packing) -> Result<Stream> {
        let position = self.reader.stream_position();
        let position = position.map_err(|e| Error::io(&self.path, "read the file", e))?;
        let left = self.len.saturating_sub(position);
        let (reader, most): (Box<dyn Read>, u64) = match packing {
            Packing::Raw => (Box::new(self.reader), left),
            Packing::Gzip => (
                Box::new(MultiGzDecoder::new(self.reader)),
                left.saturating_mul(MAX_EXPANSION),
            ),
            Packing::Zlib => (
                Box::new(ZlibDecoder::new(self.reader)),
                left.saturating_mul(MAX_EXPANSION),
            ),
        };
        Ok(Stream {
            path: self.path,
            reader,
            packing,
            most,
        })
    }
}

/// Unpacked bytes of a file.
pub(crate) struct Stream {
    path: PathBuf,
    reader: Box<dyn Read>,
    packing: Packing,
    /// Upper bound of the bytes still to come.
    most: u64,
}

impl Stream {
    /// Fills `bytes` with the next bytes of the file. `part` names them in an error.
    pub fn fill(&mut self, bytes: &mut [u8], part: &str) -> Result<()> {
        self.reader
            .read_exact(bytes)
            .map_err(|e| self.error(e, part))?;
        self.most = self.most.saturating_sub(bytes.len() as u64);
        Ok(())
    }

    /// Skips `count` bytes.
    pub fn skip(&mut self, count: u64) -> Result<()> {
        if count > self.most {
            return Err(self.truncated("before its voxels"));
        }
        if self.packing != Packing::Raw && count > MOST_BESIDE {
            let reason = format!(
                "the voxels begin at byte {count} of the compressed data, behind {MOST_BESIDE}"
            );
            return Err(Error::new(ErrorKind::Unsupported, reason)
                .hint("write the file again without what precedes the voxels")
                .at(&self.path));
        }
        let read = std::io::copy(&mut (&mut self.reader).take(count), &mut std::io::sink())
            .map_err(|e| self.error(e, "what precedes the voxels"))?;
        self.most = self.most.saturating_sub(read);
        if read < count {
            return Err(self.truncated("before its voxels"));
        }
        Ok(())
    }

    /// Refuses a number of voxels that the file cannot hold. Runs before any allocation.
    fn check_size(&self, shape: [usize; 3], size: usize) -> Result<(usize, u64)> {
        // Shapes come from `volume_shape`, which bounds the product.
        let count = shape.iter().map(|&n| n as u64).product::<u64>();
        let bytes = count * size as u64;
        if bytes > self.most {
            return Err(self.truncated(&format!(
                "its {shape:?} voxels (z, y, x) take {bytes} bytes, and at most {} are there",
                self.most
            )));
        }
        Ok((count as usize, bytes))
    }

    /// The voxels of a volume of `shape`.
    pub fn voxels(&mut self, shape: [usize; 3], encoding: &Encoding) -> Result<Vec<f32>> {
        let (count, bytes) = self.check_size(shape, encoding.scalar.size())?;
        let mut values = self.reserve(count)?;
        let mut buffer = vec![0; BUFFER.min(bytes as usize)];
        let mut left = bytes as usize;
        while left > 0 {
            // The buffer's length is a multiple of every scalar's size.
            let chunk = &mut buffer[..left.min(BUFFER)];
            if let Err(e) = self.reader.read_exact(chunk) {
                let part = format!("{} of {count} voxels", values.len());
                return Err(self.error(e, &part));
            }
            encoding.decode(chunk, &mut values);
            left -= chunk.len();
        }
        self.finish()?;
        Ok(values)
    }

    /// The voxels of a volume of `shape`, written as decimal numbers with white space between.
    pub fn text_voxels(&mut self, shape: [usize; 3]) -> Result<Vec<f32>> {
        // A voxel takes a digit and a space, but the last one needs no space. The limit is
        // therefore one byte higher.
        self.most += 1;
        let (count, _) = self.check_size(shape, 2)?;
        let mut values = self.reserve(count)?;
        // The text is read in parts, because a compressed one can be any number of times longer than its
        // numbers.
        let mut text = Vec::new();
        let is_between = |b: &u8| b.is_ascii_whitespace() || *b == b',';
        let mut white = 0;
        while values.len() < count {
            let read = (&mut self.reader)
                .take(BUFFER as u64)
                .read_to_end(&mut text);
            let read = read.map_err(|e| self.error(e, "the voxels"))?;
            // The last word may go on in the next part.
            let end = match read {
                0 => text.len(),
                _ => text.iter().rposition(is_between).map_or(0, |at| at + 1),
            };
            let before = values.len();
            let words = text[..end]
                .split(is_between)
                .filter(|word| !word.is_empty());
            for word in words.take(count - values.len()) {
                let word = String::from_utf8_lossy(word);
                let value = word.parse::<f32>().map_err(|_| {
                    let reason = format!("voxel {} is {word:?}, not a number", values.len());
                    Error::new(ErrorKind::Malformed, reason).at(&self.path)
                })?;
                values.push(value);
            }
            text.drain(..end);
            white = if values.len() > before {
                0
            } else {
                white + read as u64
            };
            if read == 0 || text.len() > LONGEST_WORD || white > MOST_BESIDE {
                break;
            }
        }
        if text.len() > LONGEST_WORD {
            let reason = format!(
                "voxel {} has more than {LONGEST_WORD} characters",
                values.len()
            );
            return Err(Error::new(ErrorKind::Malformed, reason).at(&self.path));
        }
        if values.len() < count {
            return Err(self.truncated(&format!("{} of {count} voxels", values.len())));
        }
        Ok(values)
    }

    fn reserve(&self, count: usize) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| {
            Error::new(ErrorKind::Io, format!("no memory for {count} voxels"))
                .hint("crop the scan or use a machine with more memory")
                .at(&self.path)
        })?;
        Ok(values)
    }

    /// Reads to the end of a packed file, where the checksum is.
    fn finish(&mut self) -> Result<()> {
        if self.packing == Packing::Raw {
            return Ok(());
        }
        let rest = &mut (&mut self.reader).take(MOST_BESIDE + 1);
        match std::io::copy(rest, &mut std::io::sink()) {
            Ok(read) if read > MOST_BESIDE => {
                let reason = format!("more than {MOST_BESIDE} bytes follow the voxels");
                Err(Error::new(ErrorKind::Malformed, reason)
                    .hint("the header says fewer voxels than the file has; write it again")
                    .at(&self.path))
            }
            Ok(_) => Ok(()),
            // Bytes after the last whole gzip member are ignored.
            Err(e) if e.to_string() == "invalid gzip header" => Ok(()),
            Err(e) => Err(self.error(e, "its checksum")),
        }
    }

    fn truncated(&self, detail: &str) -> Error {
        Error::new(
            ErrorKind::Malformed,
            format!("the file is cut off: {detail}"),
        )
        .hint("copy or download it again")
        .at(&self.path)
    }

    fn error(&self, error: std::io::Error, part: &str) -> Error {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            Kind::UnexpectedEof => self.truncated(&format!("it ends in {part}")),
            Kind::InvalidData | Kind::InvalidInput => Error::new(
                ErrorKind::Malformed,
                format!("the compressed data is damaged in {part}: {error}"),
            )
            .hint("copy or download it again")
            .at(&self.path),
            _ => Error::io(&self.path, "read the file", error),
        }
    }
}

fn open_error(path: &Path, error: std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => "check the path",
        std::io::ErrorKind::PermissionDenied => "check the file's permissions",
        _ => return Error::io(path, "open the file", error),
    };
    Error::io(path, "open the file", error).hint(hint)
}

/// The data file that a detached header names, beside or below the header.
///
/// Absolute names and `..` are refused. Otherwise a header from elsewhere could make us read any
/// file of this machine.
pub(crate) fn beside(header: &Path, name: &str) -> Result<PathBuf> {
    let relative = Path::new(name);
    let stays = relative.components().all(|c| {
        matches!(
            c,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if name.is_empty() || !stays {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the data file {name:?} does not lie beside the header"),
        )
        .hint("move it beside the header and name it without a directory")
        .at(header));
    }
    Ok(header.with_file_name("").join(relative))
}
