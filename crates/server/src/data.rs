//! The data folder: where everything lies, and what belongs to nothing after a kill.
//!
//! ```text
//! DATA/
//!   lock                       held by the program that uses the folder
//!   token                      the token of the person who runs the server
//!   server.db                  jobs, uploads and corrections (SQLite)
//!   uploads/UPLOAD             pieces so far
//!   jobs/JOB/scan/             the uploaded scan, or links to a received study
//!   jobs/JOB/attempt/          results that are being made
//!   jobs/JOB/results/          results, whole
//!   jobs/JOB/versions/N/       a reader's correction
//!   studies/                   the store of studies that came over the network
//!   trash/                     what is being deleted
//! ```

use crate::{Error, Result};
use multirnet_base::{FolderLock, files};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The data folder, locked.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    /// Folders of deleted jobs that could not be removed yet.
    leftovers: Mutex<BTreeSet<PathBuf>>,
    _lock: FolderLock,
}

impl DataFolder {
    /// Makes the folder if it is not there, keeps others out of it, and locks it.
    ///
    /// # Errors
    /// `Write`, also if another program uses the folder.
    pub fn open(root: &Path) -> Result<Self> {
        files::make_dir(root)?;
        owner_only(root)?;
        let lock = FolderLock::take(root, "data folder")?;
        if !lock.is_held {
            tracing::warn!("{}: the file system has no locks", root.display());
        }
        let data = Self {
            root: root.to_owned(),
            leftovers: Mutex::default(),
            _lock: lock,
        };
        for folder in [data.uploads(), data.jobs(), data.trash()] {
            files::make_dir(&folder)?;
        }
        remove(&data.trash());
        files::make_dir(&data.trash())?;
        Ok(data)
    }

    /// Removes jobs and uploads that the database does not know: they were never acknowledged, or
    /// were deleted.
    pub fn remove_unknown(&self, jobs: &BTreeSet<String>, uploads: &BTreeSet<String>) {
        for (folder, known) in [(self.jobs(), jobs), (self.uploads(), uploads)] {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                if !known.contains(&*entry.file_name().to_string_lossy()) {
                    remove(&entry.path());
                }
            }
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join("server.db")
    }

    /// The token of the person who runs the server.
    pub fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// The store of studies that came over the network.
    pub fn studies(&self) -> PathBuf {
        self.root.join("studies")
    }

    fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// The file of an upload.
    pub fn upload(&self, id: &str) -> PathBuf {
        self.uploads().join(id)
    }

    fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// The folder of a job.
    pub fn job(&self, id: &str) -> PathBuf {
        self.jobs().join(id)
    }

    /// The results of a job.
    pub fn results(&self, id: &str) -> PathBuf {
        self.job(id).join("results")
    }

    /// A correction of a job.
    pub fn version(&self, id: &str, version: u32) -> PathBuf {
        self.job(id).join("versions").join(version.to_string())
    }

    fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// Takes the folder of a job away, at once for others and then from the disk.
    pub fn discard_job(&self, id: &str) {
        let (folder, away) = (self.job(id), self.trash().join(id));
        // A full disk may have no room for the new name. The folder is then removed where it is.
        let place = match fs::rename(&folder, &away) {
            Err(e) if e.kind() == NotFound => return,
            Err(_) => folder,
            Ok(()) => away,
        };
        self.discard(place);
    }

    /// Removes the file of an upload that is not needed any more.
    pub fn discard_upload(&self, id: &str) {
        self.discard(self.upload(id));
    }

    fn discard(&self, place: PathBuf) {
        remove(&place);
        if place.exists() {
            self.leftovers().insert(place);
        }
    }

    /// Removes what could not be removed before, since the disk refused: folders of deleted jobs, files of
    /// uploads, and unfinished results.
    pub fn discard_leftovers(&self) {
        files::remove_left();
        let places: Vec<PathBuf> = self.leftovers().iter().cloned().collect();
        for place in places {
            remove(&place);
            if !place.exists() {
                self.leftovers().remove(&place);
            }
        }
    }

    fn leftovers(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.leftovers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Free bytes on the disk of the folder.
    pub fn free_bytes(&self) -> Option<u64> {
        fs4::available_space(&self.root).ok()
    }
}

/// Keeps other accounts of the machine out of `folder`: it holds data of patients.
fn owner_only(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(|e| Error::write(folder, "set the rights of the folder", e))?;
    }
    Ok(())
}

/// Removes a file or folder that is not needed any more.
pub(crate) fn remove(path: &Path) {
    let removed = match path.is_dir() && !path.is_symlink() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    if let Err(e) = removed
        && e.kind() != NotFound
    {
        tracing::warn!("{}: cannot remove it: {e}", path.display());
    }
}

/// Waits until every file below `folder` and their names are on the disk.
///
/// # Errors
/// `Write`.
pub(crate) fn sync_tree(folder: &Path) -> Result<()> {
    let io = |path: &Path, e| Error::write(path, "write to the disk", e);
    for entry in fs::read_dir(folder).map_err(|e| io(folder, e))? {
        let path = entry.map_err(|e| io(folder, e))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            let file = fs::File::open(&path).map_err(|e| io(&path, e))?;
            file.sync_all().map_err(|e| io(&path, e))?;
        }
    }
    Ok(files::sync_dir(folder)?)
}
