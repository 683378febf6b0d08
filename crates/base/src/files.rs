//! Atomic writes: a file appears whole or not at all.
//!
//! A file is written under a temporary name in its own folder and renamed when it is complete. The
//! writer holds a lock on the temporary file. An unlocked temporary file is therefore left over from
//! a killed program. The next program that writes into the folder removes it.
//!
//! Several machines may write into one folder of a shared file system. Some of these have locks that
//! other machines do not see. A temporary name therefore has a tag of its machine, and what another
//! machine has left is only removed when it is a day old.

use crate::{Error, ErrorKind, Result, host};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Prefix of the names of unfinished files and folders.
pub const PARTIAL: &str = ".multirnet-partial-";

/// Name of the lock file in an unfinished folder.
pub(crate) const LOCK: &str = ".lock";

/// Writes the file `path`, with the content that `write` produces. The folder must exist. An
/// existing file is replaced. If a step fails, the existing file stays and nothing else is left.
///
/// # Errors
/// `Write`, with the path, if any step fails.
pub fn write_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    whole(path, false, write)
}

/// Writes `bytes` to `path` like [`write_with`], and creates the folder if it does not exist.
///
/// # Errors
/// As [`write_with`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    make_dir(parent(path))?;
    whole(path, false, |file| file.write_all(bytes))
}

/// Like [`write()`], and waits until the bytes are on the disk. This is for files that must survive
/// a loss of power.
///
/// # Errors
/// As [`write_with`].
pub fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    make_dir(parent(path))?;
    whole(path, true, |file| file.write_all(bytes))
}

/// Reads the text of the file `path`. `what` names the file in the error, e.g. "configuration".
///
/// # Errors
/// `Read`, with the path, if the file cannot be read.
pub fn read_text(path: &Path, what: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::io(path, &format!("read the {what}"), e))
}

/// Creates a folder and its parents.
///
/// # Errors
/// `Write`, with the path, if the folder cannot be created.
pub fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Error::write(path, "create the folder", e))
}

/// Makes a folder and its parents, and waits until their names are on the disk.
///
/// # Errors
/// `Write` that names the folder.
pub fn make_dir_synced(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    make_dir_synced(above)?;
    make_dir(path)?;
    sync_dir(above)
}

/// Waits until the names in the folder `path` are on the disk. Does nothing where folders cannot be
/// opened as files (Windows).
///
/// # Errors
/// `Write` that names the folder.
pub fn sync_dir(path: &Path) -> Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| Error::write(path, "write the folder", e))
}

/// The folder that `path` lies in, `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn whole(
    path: &Path,
    sync: bool,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let path = &place_to_write(path)?;
    let Some(name) = path.file_name() else {
        return Err(Error::new(ErrorKind::Write, "this path does not name a file").at(path));
    };
    let folder = parent(path);
    remove_stale(folder);
    let fail = |e: io::Error| Error::write(path, "write the file", e);
    let (temporary, file) = unfinished(folder, &name.to_string_lossy(), create_locked)
        .map_err(|e| Error::write(path, "create the file", e))?;
    let guard = RemovedOnDrop(&temporary);
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    write(&mut writer).map_err(fail)?;
    let file = writer.into_inner().map_err(|e| fail(e.into_error()))?;
    if sync {
        file.sync_all().map_err(fail)?;
    }
    fs::rename(&temporary, path).map_err(fail)?;
    finished(&temporary);
    std::mem::forget(guard);
    if sync {
        sync_dir(folder)?;
    }
    Ok(())
}

/// The file that a write to `path` replaces. A symbolic link is followed. Renaming a new file to
/// the link's name would replace the link and leave the file that it points to as it was.
///
/// # Errors
/// `Write` if `path` exists and is not a regular file. Renaming a new file to the name of a device
/// or a pipe would remove the device or pipe.
pub fn place_to_write(path: &Path) -> Result<PathBuf> {
    let refuse = |reason: &str| {
        let error = Error::new(ErrorKind::Write, reason);
        Err(error.hint("name a file to write").at(path))
    };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => refuse("this is a directory"),
        Ok(found) if !found.is_file() => refuse("this is not a regular file"),
        Ok(_) if path.is_symlink() => {
            fs::canonicalize(path).map_err(|e| Error::write(path, "follow the link", e))
        }
        Err(_) if path.is_symlink() => refuse("this link does not lead to a file"),
        _ => Ok(path.to_owned()),
    }
}

/// The unfinished files and folders of this process.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes every unfinished file and folder of this process. A program that exits at once calls
/// this, because its values are not dropped.
pub fn remove_unfinished() {
    for path in UNFINISHED.lock().map(|u| u.clone()).unwrap_or_default() {
        // A failure is ignored: the next run tries again.
        let _ = remove(&path);
    }
}

/// Takes `path` off the list of unfinished files and folders.
pub(crate) fn finished(path: &Path) {
    if let Ok(mut unfinished) = UNFINISHED.lock() {
        unfinished.retain(|p| p != path);
    }
}

/// Removes an unfinished file when it is dropped, also after a panic.
struct RemovedOnDrop<'a>(&'a Path);

impl Drop for RemovedOnDrop<'_> {
    fn drop(&mut self) {
        discard(self.0);
    }
}

/// Unfinished files and folders that this process does not need any more, and that the disk kept when
/// they were to be removed.
static LEFT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes an unfinished file or folder that is not needed any more. If the disk refuses, the next write of
/// this process into the same folder tries again, and so does [`remove_left`].
pub(crate) fn discard(path: &Path) {
    match remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            if let Ok(mut left) = LEFT.lock() {
                left.push(path.to_owned());
            }
        }
        _ => finished(path),
    }
}

/// Removes the unfinished files and folders that this process could not remove before, since the disk
/// refused. A program that runs for long calls this now and then.
pub fn remove_left() {
    remove_left_where(|_| true);
}

fn remove_left_where(is_meant: impl Fn(&Path) -> bool) {
    let Ok(mut left) = LEFT.lock() else {
        return;
    };
    let (meant, others): (Vec<_>, Vec<_>) = left.drain(..).partition(|path| is_meant(path));
    *left = others;
    // `discard` locks the list again.
    drop(left);
    meant.iter().for_each(|path| discard(path));
}

fn remove(path: &Path) -> io::Result<()> {
    match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// Makes a file or folder in `folder` under a unique temporary name, and returns its path and the
/// result of `make`. `make` must fail with `AlreadyExists` if the name is taken.
pub(crate) fn unfinished<T>(
    folder: &Path,
    name: &str,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    // File systems limit the length of a name. The last 40 characters leave room for the prefix.
    let end: String = name.chars().rev().take(40).collect();
    let end: String = end.chars().rev().collect();
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let (host, process) = (host::tag(), std::process::id());
        let place = folder.join(format!("{PARTIAL}{host}-{process}-{count}-{end}"));
        match make(&place) {
            Ok(made) => {
                if let Ok(mut unfinished) = UNFINISHED.lock() {
                    unfinished.push(place.clone());
                }
                return Ok((place, made));
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

/// Removes the unfinished files and folders that killed programs left in `folder`, and those of this
/// process that a disk kept. A process searches each folder only once, because listing thousands of files
/// takes time.
pub(crate) fn remove_stale(folder: &Path) {
    remove_left_where(|path| parent(path) == folder);
    static SEEN: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let key = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let is_new = |seen: &mut Option<HashSet<PathBuf>>| seen.get_or_insert_default().insert(key);
    if !SEEN.lock().is_ok_and(|mut seen| is_new(&mut seen)) {
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if let Some(rest) = name.to_string_lossy().strip_prefix(PARTIAL) {
            if is_foreign(rest) && !is_older(&entry.path(), DAY) {
                continue;
            }
            // The write that follows meets the same failure and reports it.
            let _ = remove_if_stale(&entry.path());
        }
    }
}

/// After this time without a change, what another machine has left is stale.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether another machine made the temporary name that ends in `rest`. Names of earlier versions begin
/// with a process, whose number has fewer digits than a tag.
fn is_foreign(rest: &str) -> bool {
    let tag = rest.split('-').next().unwrap_or_default();
    tag.len() == host::tag().len() && tag != host::tag()
}

fn remove_if_stale(path: &Path) -> io::Result<()> {
    let is_dir = path.is_dir();
    let lock = if is_dir {
        path.join(LOCK)
    } else {
        path.to_owned()
    };
    let free = match OpenOptions::new().write(true).open(&lock) {
        Ok(file) => file.try_lock().is_ok(),
        // Another program may have created the folder and not yet its lock file.
        Err(e) if e.kind() == io::ErrorKind::NotFound => is_older(path, Duration::from_secs(60)),
        Err(_) => false,
    };
    match (free, is_dir) {
        (false, _) => Ok(()),
        (true, true) => fs::remove_dir_all(path),
        (true, false) => fs::remove_file(path),
    }
}

fn is_older(path: &Path, limit: Duration) -> bool {
    let age = fs::metadata(path)
        .and_then(|m| m.modified())
        .ok()
        .and_then(|t| t.elapsed().ok());
    age.is_some_and(|age| age > limit)
}

/// Creates a file and locks it until the returned value is dropped. Before the lock is taken,
/// another program may take the file for a stale one. The error is then `AlreadyExists`, as for a
/// name that is taken.
pub(crate) fn create_locked(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    match file.try_lock() {
        Ok(()) if path.exists() => Ok(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(io::ErrorKind::AlreadyExists.into()),
        // Some file systems have no locks. Then only the removal of stale files is lost.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |file| {
            file.write_all(b"new")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert_eq!(error.io_kind(), Some(io::ErrorKind::StorageFull));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write_synced(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn what_a_killed_program_left_goes_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(format!("{PARTIAL}{name}"));
        fs::write(at("1-0-dead.nii.gz"), b"x").unwrap();
        fs::create_dir(at("1-1-dead")).unwrap();
        fs::write(at("1-1-dead").join(LOCK), b"").unwrap();
        fs::write(at("1-1-dead").join("half"), b"x").unwrap();
        let alive = create_locked(&at("1-2-alive")).unwrap();
        fs::create_dir(at("1-3-alive")).unwrap();
        let lock = create_locked(&at("1-3-alive").join(LOCK)).unwrap();
        fs::create_dir(at("1-4-new")).unwrap();
        // Of this machine; of another, whose locks may not be seen here; the same after two days.
        fs::write(at(&format!("{}-1-5-dead", host::tag())), b"x").unwrap();
        fs::write(at("abcdefgh-1-6-alive"), b"x").unwrap();
        let left = fs::File::create(at("abcdefgh-1-7-dead")).unwrap();
        let time = std::time::SystemTime::now() - 2 * DAY;
        left.set_modified(time).unwrap();
        write(&dir.path().join("b"), b"").unwrap();
        drop((alive, lock, left));
        let left = ["1-2-alive", "1-3-alive", "1-4-new", "abcdefgh-1-6-alive"];
        let left = left.map(|n| format!("{PARTIAL}{n}"));
        assert_eq!(names(dir.path())[..4], left);
        assert_eq!(names(dir.path())[4..], ["b"]);
    }

    #[test]
    fn what_the_disk_refuses_to_remove_goes_with_the_next_write_or_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        let place = |name: &str| folder.join(format!("{PARTIAL}{name}"));
        for next in [
            |folder: &Path| write(&folder.join("b"), b"").unwrap(),
            |_: &Path| remove_left(),
        ] {
            // Below a file nothing can be removed.
            fs::write(&folder, b"").unwrap();
            discard(&place("9-0-file"));
            discard(&place("9-1-folder"));
            fs::remove_file(&folder).unwrap();
            fs::create_dir_all(place("9-1-folder").join("inner")).unwrap();
            fs::write(place("9-0-file"), b"x").unwrap();
            next(&folder);
            assert!(names(&folder).iter().all(|name| name == "b"));
            fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_what_is_not_a_file_is_left_alone() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("far")).unwrap();
        write(&at("far/real"), b"old").unwrap();
        symlink("far/real", at("link")).unwrap();
        write(&at("link"), b"new").unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(fs::read(at("far/real")).unwrap(), b"new");
        assert_eq!(names(&at("far")), ["real"]);

        symlink("nowhere", at("dangling")).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        for (name, reason) in [
            ("dangling", "this link does not lead to a file"),
            ("socket", "this is not a regular file"),
            ("far", "this is a directory"),
        ] {
            let error = write(&at(name), b"new").unwrap_err();
            assert_eq!(error.reason(), reason);
            assert_eq!(error.kind(), ErrorKind::Write);
        }
        assert_eq!(names(dir.path()), ["dangling", "far", "link", "socket"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_is_as_readable_as_others() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        let (ours, plain) = (dir.path().join("ours"), dir.path().join("plain"));
        write(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
