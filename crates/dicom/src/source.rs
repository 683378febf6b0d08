//! Where DICOM files come from: a folder, a single file, or a zip archive.

use crate::stream::looks_like_dicom;
use crate::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use zip::ZipArchive;

/// Largest single file that is read; an enhanced CT of 2000 frames of 512 × 512 has 1.05 GB.
pub(crate) const MAX_FILE_BYTES: u64 = 2 << 30;
/// Largest number of files.
const MAX_FILES: usize = 100_000;
/// Deepest nesting of folders.
const MAX_DEPTH: usize = 16;
/// Number of bytes that are enough to recognise DICOM.
const HEAD: usize = 132;

type Archive = Mutex<ZipArchive<BufReader<File>>>;

/// One file, with its name in messages.
#[derive(Debug, Clone)]
pub(crate) struct FileSource {
    pub name: String,
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
    archive: Option<Archive>,
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
            match File::open(&path).and_then(|f| {
                if f.metadata()?.is_file() {
                    read_head(f)
                } else {
                    Ok(Vec::new())
                }
            }) {
                Ok(head) => match kind_of(&path, &head) {
                    FileKind::Dicom => self.sources.push(FileSource {
                        name: shown(&path),
                        place: Place::Path(path),
                    }),
                    FileKind::Zip | FileKind::Other => self.others += 1,
                },
                Err(e) => self.unreadable.push((shown(&path), e.to_string())),
            }
            if self.sources.len() + self.others > MAX_FILES {
                return Err(too_many().at(root));
            }
        }
        Ok(())
    }

    fn open_zip(path: &Path) -> Result<Self> {
        let bad = |e: zip::result::ZipError| {
            Error::new(
                ErrorKind::Malformed,
                format!("the zip archive cannot be read: {e}"),
            )
            .at(path)
            .hint("fetch it again, or unpack it and give the folder")
        };
        let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(bad)?;
        if archive.len() > MAX_FILES {
            return Err(too_many().at(path));
        }
        let mut found = Self::default();
        for index in 0..archive.len() {
            let mut entry = match archive.by_index(index) {
                Ok(entry) => entry,
                Err(e) => {
                    let name = format!("entry {index}");
                    found.unreadable.push((name, e.to_string()));
                    continue;
                }
            };
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            if entry.is_dir() || hidden(&name) {
                continue;
            }
            match read_head(&mut entry) {
                Ok(head) => match kind_of(Path::new(&name), &head) {
                    FileKind::Dicom => found.sources.push(FileSource {
                        name,
                        place: Place::Entry(index),
                    }),
                    FileKind::Zip | FileKind::Other => found.others += 1,
                },
                Err(e) => found.unreadable.push((name, e.to_string())),
            }
        }
        found.archive = Some(Mutex::new(archive));
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
                let mut archive = archive
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                let entry = archive.by_index(*index).map_err(|e| {
                    Error::new(ErrorKind::Malformed, format!("cannot be unpacked: {e}")).at(named)
                })?;
                // The archive's own sizes are not trusted, so the bytes are counted.
                entry
                    .take(MAX_FILE_BYTES + 1)
                    .read_to_end(&mut bytes)
                    .map_err(io)?;
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
                if matches!(kind_of(&path, &head), FileKind::Dicom) {
                    return true;
                }
            }
            _ => {}
        }
    }
    depth > 0 && folders.iter().any(|f| folder_has_dicom(f, depth - 1))
}
