//! Prepared cases on disk, and a bounded number of them in memory.
//!
//! An entry `KEY.case` holds, in this order: the magic bytes; the length of a JSON header as u64; the
//! header; for each part of the case the arrays of the local and then of the global view (image as
//! u16, lesions and lungs as u8); the SHA-256 of all that. Numbers are little-endian.
//!
//! KEY is the SHA-256 of the case's files, of the manifest's options for it, and of the preparation's
//! configuration. An entry is therefore never stale. An entry that does not match its digest is made
//! again.

use crate::load::{Part, PreparedCase, Reader, View, load_case};
use crate::{Case, Cohort, Error, ErrorKind, Result};
use multirnet_anatomy::PrepareConfig;
use multirnet_base::digest::{sha256_bytes, sha256_of_parts, sha256_of_path};
use multirnet_base::files;
use multirnet_base::jobs::in_parallel;
use multirnet_volume::{Geometry, Volume};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const MAGIC: &[u8; 8] = b"MRNCASE2";
/// Part of every key. It must rise whenever a change of the format or of the preparation's code
/// changes entries.
const VERSION: &str = "multirnet case 2";
const MAX_HEADER: usize = 1 << 20;

/// The facts of a case that its entry holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The entry's key.
    pub key: String,
    /// SHA-256 of the scan's values.
    pub content: String,
    /// Number of lesion voxels in the local views.
    pub lesion_voxels: usize,
    /// Highest lesion label.
    pub highest_label: u8,
    /// Lesion volume in the local views, in ml.
    pub lesion_ml: f64,
    /// Warnings of the input gate.
    pub warnings: Vec<String>,
    /// SHA-256 of the scan's file or files. The entry's file does not hold it, because the key
    /// depends on it.
    #[serde(skip)]
    pub scan_sha256: String,
    parts: Vec<PartGrids>,
}

/// Grids of a part's views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PartGrids {
    planes: usize,
    local: Geometry,
    global: Geometry,
}

impl Entry {
    /// Grids of the parts' local views, at least one.
    pub fn local(&self) -> impl Iterator<Item = &Geometry> {
        self.parts.iter().map(|p| &p.local)
    }
}

/// A cache of the cases that one configuration has prepared, on disk and in memory.
pub struct Cache<'a> {
    folder: PathBuf,
    config: PrepareConfig,
    read: &'a Reader<'a>,
    limit: usize,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    cases: HashMap<String, (Arc<PreparedCase>, u64)>,
    bytes: usize,
    clock: u64,
}

impl<'a> Cache<'a> {
    /// A cache in `folder` that holds at most about `memory_mib` MiB in memory. It reads scans with
    /// `read`.
    pub fn new(
        folder: &Path,
        config: &PrepareConfig,
        memory_mib: usize,
        read: &'a Reader<'a>,
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            config: config.clone(),
            read,
            limit: memory_mib << 20,
            memory: Mutex::default(),
        }
    }

    /// Computes the key of `case`. This reads all files of the case once.
    ///
    /// # Errors
    /// `Io` if a file cannot be read, `Interrupted` if `stop` was raised meanwhile.
    pub fn key(&self, case: &Case, stop: &AtomicBool) -> Result<String> {
        Ok(self.key_and_scan(case, stop)?.0)
    }

    /// The key, and the digest of the scan's files.
    fn key_and_scan(&self, case: &Case, stop: &AtomicBool) -> Result<(String, String)> {
        let file = |p: Option<&PathBuf>| p.map_or(Ok(String::new()), |p| file_digest(p, stop));
        let scan = file_digest(&case.scan, stop)?;
        let parts = [
            scan.clone(),
            file(case.mask.as_ref())?,
            file(case.lungs.as_ref())?,
            file(case.slices.as_ref())?,
        ];
        let options = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            case.intensity,
            case.mask_values,
            case.lungs_values,
            case.class,
            (case.slope, case.intercept),
            case.spacing_mm,
            case.lesions_known,
            case.lungs_all,
            case.is_part(),
        );
        let config = serde_json::to_string(&self.config)
            .map_err(|e| Error::new(ErrorKind::Config, e.to_string()))?;
        let parts = parts.iter().map(String::as_bytes);
        let rest = [VERSION.as_bytes(), options.as_bytes(), config.as_bytes()];
        Ok((sha256_of_parts(parts.chain(rest)), scan))
    }

    /// Returns the entry of `case`. Prepares the case first if it has no sound entry.
    ///
    /// # Errors
    /// As [`load_case`]; `Write` if the entry cannot be written; `Interrupted` if `stop` was raised
    /// before all files of the case were read.
    pub fn ensure(&self, case: &Case, stop: &AtomicBool) -> Result<Entry> {
        let (key, scan_sha256) = self.key_and_scan(case, stop)?;
        let (entry, _) = match self.read_entry(&key) {
            Ok(found) => found,
            Err(_) => self.build(case, &key)?,
        };
        Ok(Entry {
            scan_sha256,
            ..entry
        })
    }

    /// Prepares all cases, `jobs` at a time. A case that fails does not stop the others: its error
    /// is in the returned list. `progress` receives each finished case with its position.
    ///
    /// # Errors
    /// Errors that do not concern a single scan: `Interrupted` if `stop` was raised before all cases
    /// were reached (finished cases are kept), and `Write` if an entry could not be written.
    pub fn ensure_all(
        &self,
        cohort: &Cohort,
        jobs: usize,
        progress: &mut (dyn FnMut(usize, &Result<Entry>) + Send),
        stop: &AtomicBool,
    ) -> Result<Vec<Result<Entry>>> {
        let n = cohort.cases.len();
        let progress = Mutex::new(progress);
        // A full disk stops all jobs, because every other scan would fail in the same way.
        let failed = AtomicBool::new(false);
        let go_on = || !stop.load(Ordering::Relaxed) && !failed.load(Ordering::Relaxed);
        let results = in_parallel(n, jobs, go_on, |i| {
            let case = &cohort.cases[i];
            let result = self.ensure(case, stop).map_err(|e| e.at(&case.scan));
            if result.as_ref().err().is_none_or(is_of_scan) {
                lock(&progress)(i, &result);
            } else {
                failed.store(true, Ordering::Relaxed);
            }
            result
        });
        let (mut all, mut done) = (Vec::with_capacity(n), 0);
        for result in results {
            match result {
                Some(Err(e)) if e.kind() == ErrorKind::Write => return Err(e),
                Some(Err(e)) if e.kind() == ErrorKind::Interrupted => {}
                None => {}
                Some(of_the_scan) => {
                    done += 1;
                    all.push(of_the_scan);
                }
            }
        }
        if done < n {
            return Err(Error::new(
                ErrorKind::Interrupted,
                format!("stopped while scans were prepared ({done} of {n} are done and kept)"),
            )
            .hint("start the same command again to go on"));
        }
        Ok(all)
    }

    /// The prepared case of `key`, from memory or from disk. It is prepared again if its entry is
    /// missing or corrupt.
    ///
    /// # Errors
    /// As [`Cache::ensure`].
    pub fn get(&self, case: &Case, key: &str) -> Result<Arc<PreparedCase>> {
        {
            let mut memory = lock(&self.memory);
            memory.clock += 1;
            let clock = memory.clock;
            if let Some((found, used)) = memory.cases.get_mut(key) {
                *used = clock;
                return Ok(found.clone());
            }
        }
        // The entry is read outside of the lock, so other threads can use the cache meanwhile.
        let prepared = match self.read_entry(key) {
            Ok((_, prepared)) => prepared,
            Err(_) => self.build(case, key)?.1,
        };
        let prepared = Arc::new(prepared);
        let mut memory = lock(&self.memory);
        let clock = memory.clock;
        memory.bytes += prepared.bytes();
        if let Some((old, _)) = memory
            .cases
            .insert(key.to_owned(), (prepared.clone(), clock))
        {
            memory.bytes -= old.bytes();
        }
        while memory.bytes > self.limit && memory.cases.len() > 1 {
            let oldest = memory.cases.iter().filter(|(k, _)| *k != key);
            let Some(oldest) = oldest.min_by_key(|(_, (_, used))| *used) else {
                break;
            };
            let oldest = oldest.0.clone();
            if let Some((gone, _)) = memory.cases.remove(&oldest) {
                memory.bytes -= gone.bytes();
            }
        }
        Ok(prepared)
    }

    /// Size of the prepared cases in memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        lock(&self.memory).bytes
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.case"))
    }

    fn build(&self, case: &Case, key: &str) -> Result<(Entry, PreparedCase)> {
        let prepared = load_case(case, &self.config, self.read)?;
        let entry = entry_of(key, &prepared);
        files::write_synced(&self.path(key), &encode(&entry, &prepared)?)?;
        Ok((entry, prepared))
    }

    fn read_entry(&self, key: &str) -> Result<(Entry, PreparedCase)> {
        let path = self.path(key);
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, "read", e))?;
        decode(&bytes)
            .filter(|(entry, _)| entry.key == key)
            .ok_or_else(|| Error::new(ErrorKind::Malformed, "the cache entry is corrupt").at(&path))
    }
}

/// The facts of a prepared case.
pub(crate) fn entry_of(key: &str, prepared: &PreparedCase) -> Entry {
    let local = || prepared.parts.iter().map(|p| &p.local);
    let highest = |v: &View| v.lesions.data().iter().copied().max();
    let mm3 = |v: &View| v.lesion_voxels.len() as f64 * v.lesions.geometry().voxel_mm3();
    let grids = |p: &Part| PartGrids {
        planes: p.planes,
        local: *p.local.image.geometry(),
        global: *p.global.image.geometry(),
    };
    Entry {
        key: key.to_owned(),
        content: prepared.content.clone(),
        lesion_voxels: local().map(|v| v.lesion_voxels.len()).sum(),
        highest_label: local().filter_map(highest).max().unwrap_or(0),
        lesion_ml: local().map(mm3).sum::<f64>() / 1000.0,
        warnings: prepared.warnings.clone(),
        scan_sha256: String::new(),
        parts: prepared.parts.iter().map(grids).collect(),
    }
}

/// Whether an error concerns only its own scan.
fn is_of_scan(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Write | ErrorKind::Interrupted)
}

/// SHA-256 of a file, or of a folder's files.
///
/// # Errors
/// `Io` if it cannot be read, `Interrupted` if `stop` was raised meanwhile.
pub fn file_digest(path: &Path, stop: &AtomicBool) -> Result<String> {
    sha256_of_path(path, &|| stop.load(Ordering::Relaxed))?.ok_or_else(|| {
        Error::new(ErrorKind::Interrupted, "stopped while scans were read")
            .hint("start the same command again to go on")
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn encode(entry: &Entry, prepared: &PreparedCase) -> Result<Vec<u8>> {
    let header =
        serde_json::to_vec(entry).map_err(|e| Error::new(ErrorKind::Malformed, e.to_string()))?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for view in prepared.parts.iter().flat_map(|p| [&p.local, &p.global]) {
        bytes.extend(view.image.data().iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend(view.lesions.data());
        bytes.extend(view.lungs.data());
    }
    let digest = sha256_bytes(&bytes);
    bytes.extend(digest);
    Ok(bytes)
}

pub(crate) fn decode(bytes: &[u8]) -> Option<(Entry, PreparedCase)> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if sha256_bytes(body) != digest {
        return None;
    }
    let rest = body.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_at_checked(8)?;
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (header, mut rest) = rest.split_at_checked(length.min(MAX_HEADER))?;
    let entry: Entry = serde_json::from_slice(header).ok()?;
    let mut view = |grid: Geometry| {
        let n = grid.len();
        let mut take = |n: usize| {
            let (part, left) = rest.split_at_checked(n)?;
            rest = left;
            Some(part)
        };
        let image = take(n.checked_mul(2)?)?
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .collect();
        let lesions = Volume::new(take(n)?.to_vec(), grid).ok()?;
        let lungs = Volume::new(take(n)?.to_vec(), grid).ok()?;
        View::new(Volume::new(image, grid).ok()?, lesions, lungs).ok()
    };
    let parts = entry.parts.iter().map(|grids| {
        Some(Part {
            planes: grids.planes,
            local: view(grids.local)?,
            global: view(grids.global)?,
        })
    });
    let parts: Vec<Part> = parts.collect::<Option<_>>()?;
    if parts.is_empty() {
        return None;
    }
    let prepared = PreparedCase {
        parts,
        content: entry.content.clone(),
        warnings: entry.warnings.clone(),
    };
    rest.is_empty().then_some((entry, prepared))
}
