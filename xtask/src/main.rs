//! The one gate: `cargo xtask check` runs every check of the project, cheapest first.

mod fuzz;
mod house;
mod release;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// One step of the gate: its name, cargo's arguments, and extra environment.
struct Step {
    name: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

/// The checks of [`house`] run in this process, so the step has no arguments for cargo.
const HOUSE: Step = Step {
    name: "house",
    args: &[],
    env: &[],
};

const FORMAT: Step = Step {
    name: "format",
    args: &["fmt", "--all", "--", "--check"],
    env: &[],
};
const CLIPPY: Step = Step {
    name: "clippy",
    args: &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--release",
        "--locked",
        "--",
        "-D",
        "warnings",
    ],
    env: &[],
};
const DOCS: Step = Step {
    name: "docs",
    args: &["doc", "--workspace", "--no-deps", "--release", "--locked"],
    env: &[("RUSTDOCFLAGS", "-D warnings")],
};
const TESTS: Step = Step {
    name: "tests",
    args: &["test", "--workspace", "--release", "--locked"],
    env: &[],
};
/// This is a command of its own, because the graphics processor's feature builds all dependencies a
/// second time.
const GPU_CLIPPY: Step = Step {
    name: "clippy with wgpu",
    args: &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--release",
        "--locked",
        "--features",
        "wgpu",
        "--",
        "-D",
        "warnings",
    ],
    env: &[],
};
const GPU_TESTS: Step = Step {
    name: "tests with wgpu",
    args: &[
        "test",
        "--workspace",
        "--release",
        "--locked",
        "--features",
        "wgpu",
        "--test",
        "gpu",
        "--test",
        "gpu_ops",
        "--test",
        "device",
        "--",
        "--nocapture",
    ],
    env: &[],
};
/// The processor whose kernels this machine compiles but does not run.
const OTHER_TARGET: &str = "aarch64-unknown-linux-gnu";

/// `kernels` is the only crate with code for single processors. It builds in a folder of its own.
/// Otherwise it would lock out or rebuild what the other steps share.
const OTHER_PROCESSOR: Step = Step {
    name: "kernels for aarch64",
    args: &[
        "check",
        "--package",
        "multirnet-kernels",
        "--target",
        OTHER_TARGET,
        "--target-dir",
        "target/aarch64",
        "--release",
        "--locked",
    ],
    env: &[],
};
const POLICY: Step = Step {
    name: "dependency policy",
    args: &["deny", "--offline", "check", "bans", "licenses", "sources"],
    env: &[],
};

const USAGE: &str = "\
The project's gate.

Usage: cargo xtask <COMMAND>

Commands:
  check   format, house, clippy, docs, tests, kernels for aarch64 (left out without that target),
          dependency policy (needs cargo-deny)
  fast    format, house, clippy and docs only: the part that .ci/run adds to the tests
  aarch64 the kernels for aarch64 alone
  house   layers of crates, circles of files, long files, no `unsafe` outside of kernels: what
          ARCHITECTURE.md promises
  fuzz    run the fuzz targets in turn (needs cargo-fuzz); `cargo xtask fuzz --help` has its options
  gpu     clippy and the tests of `--device gpu`, on the adapter that is found
  release build the program for others; `cargo xtask release --help` has its options
  help    this text";

/// The workspace's folder. Cargo sets the variable at run time, so it is right after the workspace
/// has moved. A program that is started without cargo takes the folder of the build.
fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(PathBuf::from).unwrap_or_default()
}

/// Whether the toolchain has the standard library of [`OTHER_TARGET`]. If rustc does not answer, the
/// result is false.
fn has_other_target() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", OTHER_TARGET])
        .output();
    libraries.is_ok_and(|found| {
        let folder = String::from_utf8_lossy(&found.stdout);
        found.status.success() && Path::new(folder.trim()).is_dir()
    })
}

/// Runs a step and returns whether it ran. A step is left out only if this machine lacks what it
/// needs.
fn run(step: &Step) -> Result<bool, String> {
    eprintln!("xtask: {}", step.name);
    if step.name == HOUSE.name {
        return house::run(&root()).map(|()| true);
    }
    if step.name == OTHER_PROCESSOR.name && !has_other_target() {
        eprintln!(
            "xtask: left out: the target is missing (run `rustup target add {OTHER_TARGET}`)"
        );
        return Ok(false);
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root())
        .args(step.args)
        .envs(step.env.iter().copied())
        .status()
        .map_err(|e| format!("{}: cannot start cargo: {e}", step.name))?;
    if status.success() {
        return Ok(true);
    }
    let hint = match step.name {
        "format" => "run `cargo fmt --all`",
        "dependency policy" => {
            "read the lines above; if cargo-deny is missing, run `cargo install --locked cargo-deny`"
        }
        _ => "read the lines above",
    };
    Err(format!("{} failed: {hint}", step.name))
}

/// A command with options of its own, and its help.
type Own = (fn(&Path, &[String]) -> Result<(), String>, &'static str);

fn with_options((run, usage): Own, arguments: &[String]) -> ExitCode {
    if arguments
        .iter()
        .any(|a| matches!(a.as_str(), "--help" | "-h"))
    {
        println!("{usage}");
        return ExitCode::SUCCESS;
    }
    match run(&root(), arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let own: Option<Own> = match command.as_str() {
        "fuzz" => Some((fuzz::run, fuzz::USAGE)),
        "release" => Some((release::run, release::USAGE)),
        _ => None,
    };
    if let Some(own) = own {
        return with_options(own, &arguments.collect::<Vec<_>>());
    }
    let steps: &[Step] = match command.as_str() {
        "check" => &[FORMAT, HOUSE, CLIPPY, DOCS, TESTS, OTHER_PROCESSOR, POLICY],
        "fast" => &[FORMAT, HOUSE, CLIPPY, DOCS],
        "house" => &[HOUSE],
        "aarch64" => &[OTHER_PROCESSOR],
        "gpu" => &[GPU_CLIPPY, GPU_TESTS],
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut left_out = Vec::new();
    for step in steps {
        match run(step) {
            Ok(true) => {}
            Ok(false) => left_out.push(step.name),
            Err(message) => {
                eprintln!("xtask: {message}");
                return ExitCode::FAILURE;
            }
        }
    }
    if left_out.is_empty() {
        eprintln!("xtask: all checks passed");
    } else {
        eprintln!(
            "xtask: all checks passed but for {}, left out",
            left_out.join(", ")
        );
    }
    ExitCode::SUCCESS
}
