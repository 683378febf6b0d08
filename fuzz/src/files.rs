//! Files in memory, since parsers take paths; and the cache of prepared scans.

use crate::{MIB, Target, nothing};
use std::cell::OnceCell;
use std::path::Path;
use tempfile::TempDir;

/// The target `cache_entry`.
pub static CACHE_ENTRY: Target = Target {
    name: "cache_entry",
    about: "entries of the cache of prepared scans",
    longest: 1 << 14,
    fixed: MIB,
    per_byte: 64,
    has_threads: false,
    prepare: nothing,
    parse: cache_entry,
    seeds: || vec![multirnet_cohort::fuzzing::seed()],
};

/// Linux's file system in memory. Elsewhere the usual folder for temporary files serves.
const IN_MEMORY: &str = "/dev/shm";

/// A new folder that costs no disk.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(IN_MEMORY)
        .or_else(|_| tempfile::tempdir())
        .expect("a folder for temporary files")
}

/// Gives `use_it` the path of a file `name` with these bytes, alone in its folder.
pub fn in_memory(name: &str, bytes: &[u8], use_it: impl FnOnce(&Path)) {
    thread_local! {
        static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|own| {
        let path = own.get_or_init(folder).path().join(name);
        std::fs::write(&path, bytes).expect("room for a small file");
        use_it(&path);
        std::fs::remove_file(&path).expect("the file that was just written");
    });
}

fn cache_entry(input: &[u8]) {
    multirnet_cohort::fuzzing::cache_entry(input);
}
