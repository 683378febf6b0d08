//! Where DICOM files come from: a folder, a single file, or a zip archive.

use crate::archive::{self, Archive};
use crate::limits::MAX_FILE_BYTES;
use crate::stream::{Container, looks_like_dicom};
use crate::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file above this size, unpacked, is read alone. Memory is therefore bounded by one file of
/// [`MAX_FILE_BYTES`] and one file of this size for each thread.
pub(crate) const LARGE_BYTES: u64 = 64 << 20;
/// Most bytes of all deflated data sets together. Each is unpacked twice: for its header and for its
/// pixels.
const MAX_INFLATED_BYTES: u64 = 16 << 30;
/// Largest number of files.
const MAX_FILES: usize = 100_000;
/// Deepest nesting of folders.
const MAX_DEPTH: usize = 16;
/// Number of bytes that are enough to recognise DICOM.
const HEAD: usize = 132;

/// One file, with its name in messages.
#[derive(Debug, Clone)]
pub(crate) struct FileSource {
    pub name: String,
    /// Size in bytes, unpacked. A folder's file may have changed since.
    pub bytes: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Path(PathBuf),
    Entry(usize),
}

/// All DICOM files at a path.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    pub sources: Vec<FileSource>,
    /// Files that are not DICOM.
    pub others: usize,
    /// Files that could not be opened, with the reason.
    pub unreadable: Vec<(String, String)>,
    /// Position of the single file that was given, if one was.
    pub single: Option<usize>,
    /// What deflated data sets may still take.
    pub budget: Budget,
    archive: Option<Archive>,
}

/// The bytes that the deflated data sets of one collection may take together, unpacked.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU64::new(MAX_INFLATED_BYTES))
    }
}

impl Budget {
    /// Splits the bytes of a file, whose data set may unpack to at most `limit` bytes.
    pub fn parse<'a>(&self, bytes: &'a [u8], limit: u64) -> Result<Container<'a>> {
        let left = self.0.load(Ordering::Relaxed);
        let mut inflated = 0;
        let parsed = Container::parse_counted(bytes, limit.min(left), &mut inflated);
        // Threads may go beyond the budget together, each by at most its own file.
        let less = |left: u64| Some(left.saturating_sub(inflated));
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        parsed
    }
}

enum FileKind {
    Dicom,
    Zip,
    Other,
}

fn read_head(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    reader.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The kind of a file. An empty or unrecognisable file with a DICOM extension counts as DICOM,
/// because a damaged slice must be reported.
fn kind_of(name: &Path, head: &[u8]) -> FileKind {
    let extension = name
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    if looks_like_dicom(head) {
        FileKind::Dicom
    } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        FileKind::Zip
    } else if matches!(extension.as_deref(), Some("dcm" | "dicom")) {
        FileKind::Dicom
    } else {
        FileKind::Other
    }
}

fn is_dicom_file(name: &Path, head: &[u8]) -> bool {
    matches!(kind_of(name, head), FileKind::Dicom)
}

fn hidden(name: &str) -> bool {
    // Some archivers add resource forks with the name and extension of the real file.
    name.split(['/', '\\'])
        .any(|part| part.starts_with('.') || part == "__MACOSX")
}

impl Collection {
    /// Finds the DICOM files at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let meta =
            std::fs::metadata(path).map_err(|e| Error::io(path, "open the file or folder", e))?;
        if meta.is_dir() {
            let mut found = Self::default();
            found.walk(path, path, MAX_DEPTH)?;
            return found.finish(path);
        }
        check_regular(path, &meta)?;
        let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
        let head = read_head(&file).map_err(|e| Error::io(path, "read the file", e))?;
        match kind_of(path, &head) {
            FileKind::Zip => Self::open_zip(path),
            FileKind::Dicom if head.is_empty() => {
                Err(Error::new(ErrorKind::Malformed, "the file is empty")
                    .at(path)
                    .hint("fetch it again"))
            }
            FileKind::Dicom if looks_like_dicom(&head) => Self::beside(path),
            _ => Err(Error::new(
                ErrorKind::NotDicom,
                "this is neither DICOM nor a zip archive",
            )
            .at(path)
            .hint("give a folder, a file or a zip archive of DICOM files")),
        }
    }

    /// The file at `path` and its neighbours in the same folder.
    fn beside(path: &Path) -> Result<Self> {
        let folder = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        let mut found = Self::default();
        found.walk(folder, folder, 0)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        if !found.sources.iter().any(|s| Some(&s.name) == name.as_ref()) {
            found.sources.push(FileSource {
                name: name.clone().unwrap_or_default(),
                bytes: std::fs::metadata(path).map_or(0, |m| m.len()),
                place: Place::Path(path.to_owned()),
            });
        }
        let mut found = found.finish(folder)?;
        found.single = found
            .sources
            .iter()
            .position(|s| Some(&s.name) == name.as_ref());
        Ok(found)
    }

    fn walk(&mut self, root: &Path, folder: &Path, depth: usize) -> Result<()> {
        let shown = |path: &Path| {
            path.strip_prefix(root)
                .unwrap_or(path)
                .display()
                .to_string()
        };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if folder == root => return Err(Error::io(folder, "read the folder", e)),
            Err(e) => {
                self.unreadable.push((shown(folder), e.to_string()));
                return Ok(());
            }
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io(folder, "read the folder", e))?;
            let (path, name) = (entry.path(), entry.file_name());
            if hidden(&name.to_string_lossy()) {
                continue;
            }
            // Links to files are followed. Links to folders are not, because they may form circles.
            let is_link = entry.file_type().is_ok_and(|t| t.is_symlink());
            if path.is_dir() {
                if depth > 0 && !is_link {
                    self.walk(root, &path, depth - 1)?;
                }
                continue;
            }
            // Opening a pipe waits for its other end, so only regular files are opened.
            let head = std::fs::metadata(&path).and_then(|meta| match meta.is_file() {
                true => Ok(Some((meta.len(), read_head(File::open(&path)?)?))),
                false => Ok(None),
            });
            match head {
                Ok(Some((bytes, head))) if is_dicom_file(&path, &head) => {
                    self.sources.push(FileSource {
                        name: shown(&path),
                        bytes,
                        place: Place::Path(path),
                    });
                }
                Ok(_) => self.others += 1,
                Err(e) => self.unreadable.push((shown(&path), e.to_string())),
            }
            if self.sources.len() + self.others + self.unreadable.len() > MAX_FILES {
                return Err(too_many().at(root));
            }
        }
        Ok(())
    }

    fn open_zip(path: &Path) -> Result<Self> {
        let archive = Archive::open(path, MAX_FILES)?;
        let mut found = Self::default();
        let entries = archive.entries(HEAD as u64, |name| !hidden(name));
        for entry in entries.map_err(|e| e.at(path))? {
            match entry.head {
                Ok(head) if is_dicom_file(Path::new(&entry.name), &head) => {
                    found.sources.push(FileSource {
                        name: entry.name,
                        bytes: entry.bytes,
                        place: Place::Entry(entry.index),
                    });
                }
                // Archives within an archive are not opened.
                Ok(_) => found.others += 1,
                Err(reason) => found.unreadable.push((entry.name, reason)),
            }
        }
        archive::check_sum(found.sources.iter().map(|s| s.bytes)).map_err(|e| e.at(path))?;
        found.archive = Some(archive);
        found.finish(path)
    }

    fn finish(mut self, path: &Path) -> Result<Self> {
        self.sources.sort_by(|a, b| a.name.cmp(&b.name));
        if !self.sources.is_empty() {
            return Ok(self);
        }
        if let Some((name, reason)) = self.unreadable.first() {
            return Err(
                Error::new(ErrorKind::Io, format!("cannot read {name}: {reason}"))
                    .at(path)
                    .hint("give yourself read permission"),
            );
        }
        let reason = match self.others {
            0 => "there are no files here".to_owned(),
            1 => "the only file here is not DICOM".to_owned(),
            n => format!("none of the {n} files here is DICOM"),
        };
        Err(Error::new(ErrorKind::NotDicom, reason)
            .at(path)
            .hint("give the folder, file or zip archive that holds the DICOM files"))
    }

    /// The whole content of a file.
    pub fn bytes(&self, source: &FileSource) -> Result<Vec<u8>> {
        let named = Path::new(&source.name);
        let io = |e| Error::io(named, "read the file", e);
        let mut bytes = Vec::new();
        match &source.place {
            Place::Path(path) => {
                let file = File::open(path).map_err(io)?;
                if let Ok(meta) = file.metadata() {
                    bytes.reserve_exact(meta.len().min(MAX_FILE_BYTES) as usize + 1);
                }
                file.take(MAX_FILE_BYTES + 1)
                    .read_to_end(&mut bytes)
                    .map_err(io)?;
            }
            Place::Entry(index) => {
                let Some(archive) = &self.archive else {
                    return Err(Error::new(ErrorKind::Io, "the archive is closed").at(named));
                };
                bytes = archive.bytes(*index, source.bytes, named)?;
            }
        }
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the file has more than {MAX_FILE_BYTES} bytes"),
            )
            .at(named));
        }
        Ok(bytes)
    }
}

/// Refuses what is neither a folder nor a file. A pipe would wait for its other end for ever.
fn check_regular(path: &Path, meta: &std::fs::Metadata) -> Result<()> {
    if meta.is_file() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Io, "this is not a regular file")
        .at(path)
        .hint("give a folder, a file or a zip archive of DICOM files"))
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("there are more than {MAX_FILES} files"),
    )
    .hint("give the folder of one study")
}

/// Whether `path` is DICOM: a DICOM file, or a folder or zip archive that holds one.
pub fn is_dicom(path: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(path) else {
        return false;
    };
    if meta.is_dir() {
        return folder_has_dicom(path, MAX_DEPTH);
    }
    if !meta.is_file() {
        return false;
    }
    let Ok(head) = File::open(path).and_then(read_head) else {
        return false;
    };
    match kind_of(path, &head) {
        FileKind::Dicom => true,
        FileKind::Zip => Collection::open_zip(path).is_ok(),
        FileKind::Other => false,
    }
}

fn folder_has_dicom(folder: &Path, depth: usize) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if hidden(&entry.file_name().to_string_lossy()) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push(path),
            Ok(_) if path.is_file() => {
                let head = File::open(&path).and_then(read_head).unwrap_or_default();
                if is_dicom_file(&path, &head) {
                    return true;
                }
            }
            _ => {}
        }
    }
    depth > 0 && folders.iter().any(|f| folder_has_dicom(f, depth - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn deflated_data_sets_share_one_budget() {
        let meta = b"DICM\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99";
        let mut packer =
            flate2::write::DeflateEncoder::new(meta.to_vec(), flate2::Compression::fast());
        packer.write_all(&vec![0; 1 << 20]).unwrap();
        let file = packer.finish().unwrap();
        let budget = Budget(AtomicU64::new(3 << 20));
        for _ in 0..3 {
            budget.parse(&file, MAX_FILE_BYTES).unwrap();
        }
        let error = budget.parse(&file, MAX_FILE_BYTES).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        // A refused data set counts as well.
        let budget = Budget(AtomicU64::new(1 << 20));
        assert!(budget.parse(&file, 1 << 19).is_err());
        assert!(budget.parse(&file, MAX_FILE_BYTES).is_err());
        // Files that are not deflated cost nothing.
        let plain = b"DICM\x02\0\x10\0UI\x12\x001.2.840.10008.1.2\0";
        assert!(budget.parse(plain, MAX_FILE_BYTES).is_ok());
    }
}
