//! `cargo xtask release`: the program as it is given to others.
//!
//! The build is reproducible: two builds of one commit with one toolchain on one platform give the same
//! bytes, wherever the sources lie. Paths are therefore replaced in the program, and C code is told to do
//! the same. cargo-auditable puts the list of dependencies into the program, where scanners find it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const USAGE: &str = "\
Build the program for others: reproducible, with the list of its dependencies in it.
Needs cargo-auditable; with auditable2cdx it also writes that list as CycloneDX
(`cargo install --locked cargo-auditable auditable2cdx`).

Usage: cargo xtask release [--out DIR] [--check]

  --out DIR   folder of multirnet, multirnet.cdx.json and SHA256SUMS (target/dist)
  --check     build a second time, from a copy of the sources in another folder, and compare";

/// Runs the command with these arguments.
pub fn run(root: &Path, arguments: &[String]) -> Result<(), String> {
    let (mut out, mut check) = (root.join("target/dist"), false);
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        match (flag.as_str(), rest.clone().next()) {
            ("--check", _) => check = true,
            ("--out", Some(folder)) => {
                rest.next();
                out = env::current_dir().unwrap_or_default().join(folder);
            }
            _ => {
                return Err(format!(
                    "{flag} is not an option, or lacks its value\n\n{USAGE}"
                ));
            }
        }
    }
    let program = build(root, &out.join("build"))?;
    let failed = |e: std::io::Error| format!("{}: {e}", out.display());
    let name = format!("multirnet{}", env::consts::EXE_SUFFIX);
    let target = out.join(&name);
    fs::copy(&program, &target).map_err(failed)?;
    let mut listed = vec![name];
    match Command::new("auditable2cdx").arg(&target).output() {
        Ok(output) if output.status.success() => {
            fs::write(out.join("multirnet.cdx.json"), output.stdout).map_err(failed)?;
            listed.push("multirnet.cdx.json".to_owned());
        }
        Ok(output) => return Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(_) => eprintln!("xtask: auditable2cdx is missing, so no CycloneDX file is written"),
    }
    let sums = said(Command::new("sha256sum").args(&listed).current_dir(&out))?;
    fs::write(out.join("SHA256SUMS"), &sums).map_err(failed)?;
    print!("{sums}");
    if check {
        compare(root, &out, &program)?;
    }
    Ok(())
}

/// Builds the program in the folder `build`. Gives its path.
fn build(sources: &Path, build: &Path) -> Result<PathBuf, String> {
    let home = env::var_os("CARGO_HOME").map_or_else(
        || env::home_dir().unwrap_or_default().join(".cargo"),
        PathBuf::from,
    );
    let remapped = [
        (sources, "/multirnet"),
        (build, "/build"),
        (&home, "/cargo"),
    ];
    let mut flags: Vec<String> = Vec::new();
    let mut c_flags: Vec<String> = Vec::new();
    for (from, to) in remapped {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        c_flags.push(format!("-ffile-prefix-map={}={to}", from.display()));
    }
    let time = said(
        Command::new("git")
            .args(["log", "-1", "--format=%ct"])
            .current_dir(sources),
    )?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(sources)
        .args([
            "auditable",
            "build",
            "--release",
            "--locked",
            "--package",
            "multirnet-cli",
        ])
        .arg("--target-dir")
        .arg(build)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CFLAGS", c_flags.join(" "))
        .env("SOURCE_DATE_EPOCH", time.trim())
        .env("CARGO_INCREMENTAL", "0")
        .status()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    if !status.success() {
        let hint = "if cargo-auditable is missing, run `cargo install --locked cargo-auditable`";
        return Err(format!("the program does not build; {hint}"));
    }
    Ok(build
        .join("release")
        .join(format!("multirnet{}", env::consts::EXE_SUFFIX)))
}

/// Builds the committed sources again elsewhere, and compares the programs.
fn compare(root: &Path, out: &Path, program: &Path) -> Result<(), String> {
    let other = out.join("again");
    let failed = |e: std::io::Error| format!("{}: {e}", other.display());
    if other.exists() {
        fs::remove_dir_all(&other).map_err(failed)?;
    }
    let changed = said(
        Command::new("git")
            .args(["status", "--porcelain"])
            .current_dir(root),
    )?;
    if !changed.is_empty() {
        return Err("--check compares the committed sources; commit the changes first".to_owned());
    }
    let sources = other.join("sources");
    said(
        Command::new("git")
            .args(["clone", "--quiet"])
            .arg(root)
            .arg(&sources),
    )?;
    let again = build(&sources, &other.join("build"))?;
    let [one, two] = [program, &again].map(|p| fs::read(p).map_err(failed));
    let is_same = one? == two?;
    fs::remove_dir_all(&other).map_err(failed)?;
    match is_same {
        true => {
            println!("a second build elsewhere gives the same bytes");
            Ok(())
        }
        false => Err("a second build elsewhere gives other bytes".to_owned()),
    }
}

/// What a command writes to standard output.
fn said(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|e| format!("cannot start {name}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}
