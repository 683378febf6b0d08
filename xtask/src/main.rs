//! The one gate: `cargo xtask check` runs every check of the project, cheapest first.

mod house;

use std::env;
use std::path::PathBuf;
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
/// With the graphics processor's feature all dependencies are built a second time, which is why
/// this is a command of its own.
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
const POLICY: Step = Step {
    name: "dependency policy",
    args: &["deny", "--offline", "check", "bans", "licenses", "sources"],
    env: &[],
};

const USAGE: &str = "\
The project's gate.

Usage: cargo xtask <COMMAND>

Commands:
  check   format, house, clippy, docs, tests, dependency policy (needs cargo-deny)
  fast    format, house, clippy and docs only: the part that .ci/run adds to the tests
  house   layers of crates, circles of files, long files: what ARCHITECTURE.md promises
  gpu     clippy and the tests of `--device gpu`, on the adapter that is found
  help    this text";

/// The workspace's folder. Cargo sets the variable at run time, which holds after the workspace has
/// moved; the folder of the build serves a program that is started without cargo.
fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(PathBuf::from).unwrap_or_default()
}

fn run(step: &Step) -> Result<(), String> {
    eprintln!("xtask: {}", step.name);
    if step.name == HOUSE.name {
        return house::run(&root());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(step.args)
        .envs(step.env.iter().copied())
        .status()
        .map_err(|e| format!("{}: cannot start cargo: {e}", step.name))?;
    if status.success() {
        return Ok(());
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

fn main() -> ExitCode {
    let command = env::args().nth(1).unwrap_or_default();
    let steps: &[Step] = match command.as_str() {
        "check" => &[FORMAT, HOUSE, CLIPPY, DOCS, TESTS, POLICY],
        "fast" => &[FORMAT, HOUSE, CLIPPY, DOCS],
        "house" => &[HOUSE],
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
    for step in steps {
        if let Err(message) = run(step) {
            eprintln!("xtask: {message}");
            return ExitCode::FAILURE;
        }
    }
    eprintln!("xtask: all checks passed");
    ExitCode::SUCCESS
}
