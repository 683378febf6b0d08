//! Fuzz targets for every parser that reads what others wrote.
//!
//! [`table::TARGETS`] is the table of targets. [`run`] feeds one input to a target and checks what holds for
//! all of them: no panic, and no more memory than a stated function of the input's length. `cargo xtask
//! fuzz` builds the targets with libFuzzer and runs them in turn; the test `seeds` runs all seeds and
//! their simplest mutations in the ordinary test run.
//!
//! Each module has the targets of one kind, and only the table names all of them. A fuzzer is therefore
//! linked with its own parsers alone. It runs many times faster then, because it looks through the counters
//! of all code after each input.
//!
//! Targets use the crates' public functions. Where a parser is private, its crate has a hidden module
//! `fuzzing`.

pub mod codecs;
pub mod dicom;
pub mod files;
pub mod interface;
pub mod models;
pub mod network;
pub mod seeds;
pub mod table;
pub mod texts;
pub mod volumes;

use peak_alloc::PeakAlloc;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};

/// Counts what is allocated, so that [`run`] can bound it.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A parser with the bounds that hold for it.
pub struct Target {
    /// The name of the target, of its file in `fuzz_targets`, and of its folder of seeds.
    pub name: &'static str,
    /// What is parsed.
    pub about: &'static str,
    /// Longest input that the fuzzer tries, in bytes.
    pub longest: usize,
    /// Bytes that any input may make the program allocate.
    pub fixed: usize,
    /// Bytes beside [`Target::fixed`] that each byte of an input may make the program allocate.
    pub per_byte: usize,
    /// Whether it hands work to threads of its own.
    pub has_threads: bool,
    /// Makes things that are needed once, before memory is counted.
    pub prepare: fn(),
    /// Gives inputs that are accepted.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Parses an input.
    pub parse: fn(&[u8]),
}

const MIB: usize = 1 << 20;
/// A deflate stream expands at most 1032 times. Volumes are read as f32, so a byte of a compressed file may
/// become four times as many bytes of values. DICOM files hold the inflated data set, stored values and values.
const INFLATED: usize = 1032;

fn nothing() {}

/// Makes libFuzzer's entry of the target with this name.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! fuzzer {
    ($target:path) => {
        libfuzzer_sys::fuzz_target!(
            init: {
                $crate::work_alone(&$target);
                $crate::begin(&$target);
            },
            |input: &[u8]| { $crate::run(&$target, input) }
        );
    };
}

/// The last panic, for a message.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Prepares the process. Panics in third-party decoders are caught by the program and are not findings;
/// libFuzzer's own hook would end the process at each. A panic in this project's code ends it, also
/// where the program would catch it.
///
/// If the environment variable `MULTIRNET_FUZZ_SEEDS` names a folder, the target's seeds and the length of
/// its longest input are written into it, and the process ends. `cargo xtask fuzz` uses this.
pub fn begin(target: &Target) {
    if let Some(folder) = std::env::var_os("MULTIRNET_FUZZ_SEEDS") {
        write_seeds(target, Path::new(&folder));
        std::process::exit(0);
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(note_panic)));
    (target.prepare)();
}

/// Makes the calling thread do the work that parsers would hand to other threads. Handing it over takes
/// longer than parsing, and coverage would not repeat. A target with threads of its own keeps the usual
/// threads: theirs would wait for the calling one.
///
/// # Panics
/// If parallel work was done before.
pub fn work_alone(target: &Target) {
    if !target.has_threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
        let pool = pool.use_current_thread().build_global();
        pool.expect("the first parallel work");
    }
}

fn write_seeds(target: &Target, folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder of seeds");
    let regressions = seeds::regressions(target.name);
    for (number, seed) in (target.seeds)().iter().chain(&regressions).enumerate() {
        let path = folder.join(format!("seed-{number:03}"));
        std::fs::write(path, seed).expect("room for a seed");
    }
    println!("{}", target.longest);
}

fn note_panic(info: &PanicHookInfo<'_>) {
    let text = info.to_string();
    let file = info.location().map_or("", |l| l.file());
    let is_own = ["crates/", "fuzz/"].iter().any(|own| file.starts_with(own));
    if is_own {
        eprintln!("a panic in this project's code: {text}");
        std::process::abort();
    }
    *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

/// Feeds `input` to a target.
///
/// # Panics
/// If the target panics, or if it allocates more than its bounds allow.
pub fn run(target: &Target, input: &[u8]) {
    let name = target.name;
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = std::panic::catch_unwind(|| (target.parse)(input));
    let peak = MEMORY.peak_usage().saturating_sub(before);
    if result.is_err() {
        let text = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        panic!("{name} panicked on {} bytes: {text}", input.len());
    }
    let bound = target.fixed + target.per_byte * input.len();
    assert!(
        peak <= bound,
        "{name} allocated {peak} bytes for an input of {} bytes; the bound is {bound}",
        input.len()
    );
}
