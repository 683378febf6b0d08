//! Checks of commands that are not run: everything that they name must exist.

use std::fs;
use std::path::Path;
use toml::Table;

/// Commands that a plain machine cannot run, by their first word, and the reason.
const NOT_RUN: [(&str, &str); 4] = [
    (
        "benches/peers/setup.sh",
        "installs Python packages from a registry",
    ),
    ("apt-get", "installs packages of the system"),
    ("pip", "installs Python packages"),
    ("maturin", "is a Python package, and `.ci/python` runs it"),
];

/// Words before a command that are left out, and the reason. The command itself is run.
const LEFT_OUT: [(&[&str], &str); 1] =
    [(&["/usr/bin/time", "-v"], "GNU time is a package of its own")];

/// How the test treats a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It is run without this many of its first words.
    Run(usize),
    /// It is not run. The text says what was checked, or why nothing was.
    Looked(String),
}

/// Decides how the test treats the command of these words, in the workspace `root`.
///
/// # Errors
/// If the command names something that does not exist, or if this test does not know it.
pub fn treatment(root: &Path, words: &[String]) -> Result<Treatment, String> {
    let first = words.first().map_or("", String::as_str);
    for (before, _) in LEFT_OUT {
        if words
            .iter()
            .map(String::as_str)
            .take(before.len())
            .eq(before.iter().copied())
        {
            return match treatment(root, &words[before.len()..])? {
                Treatment::Run(n) => Ok(Treatment::Run(n + before.len())),
                looked => Ok(looked),
            };
        }
    }
    if let Some((_, reason)) = NOT_RUN.iter().find(|(name, _)| *name == first) {
        if first.contains('/') && !root.join(first).is_file() {
            return Err(format!("{first} is not a file of the workspace"));
        }
        return Ok(Treatment::Looked(format!("not run: it {reason}")));
    }
    match (first, first.strip_prefix("target/release/")) {
        ("multirnet", _) | (_, Some("multirnet")) => Ok(Treatment::Run(0)),
        ("cargo", _) if words.len() > 3 && words[1..4] == ["run", "--release", "--"] => {
            Ok(Treatment::Run(0))
        }
        ("cargo", _) => cargo(root, &words[1..]),
        (_, Some(name)) => bench(root, name, &words[1..]),
        _ => Err(format!(
            "{first:?} is not a command that this test knows (say in {} what is done with it)",
            file!()
        )),
    }
}

/// Checks a program of `benches/`: its source must name every option.
fn bench(root: &Path, name: &str, arguments: &[String]) -> Result<Treatment, String> {
    let file = format!("benches/src/bin/{name}.rs");
    let source = fs::read_to_string(root.join(&file)).map_err(|e| format!("{file}: {e}"))?;
    for option in arguments.iter().filter_map(|a| a.strip_prefix("--")) {
        if !source.contains(&format!("{}:", option.replace('-', "_"))) {
            return Err(format!("{file} has no option --{option}"));
        }
    }
    Ok(Treatment::Looked(format!("{file} is there")))
}

/// Options of cargo without a value.
const SWITCHES: [&str; 6] = [
    "--release",
    "--workspace",
    "--locked",
    "--offline",
    "--all",
    "--all-targets",
];

/// Checks a command of cargo: its packages, targets and features must exist.
fn cargo(root: &Path, words: &[String]) -> Result<Treatment, String> {
    let command = words.first().map_or("", String::as_str);
    match command {
        "xtask" => return xtask(root, &words[1..]),
        "build" | "test" | "run" | "bench" | "clippy" | "doc" | "fmt" => {}
        _ => return Err(format!("cargo {command} is not known to this test")),
    }
    let own = words[1..].split(|w| w == "--").next().unwrap_or_default();
    // The workspace's default member.
    let mut folder = "crates/cli".to_owned();
    let (mut targets, mut features) = (Vec::new(), Vec::new());
    let mut rest = own.iter();
    while let Some(word) = rest.next() {
        if SWITCHES.contains(&word.as_str()) {
            continue;
        }
        let value = rest
            .next()
            .ok_or_else(|| format!("cargo {command} {word} is not known to this test"))?;
        match word.as_str() {
            "-p" | "--package" => folder = package(root, value)?,
            "--example" => targets.push(("examples", "example", value)),
            "--bench" => targets.push(("benches", "bench", value)),
            "--test" => targets.push(("tests", "test", value)),
            "--bin" => targets.push(("src/bin", "bin", value)),
            "--features" => features.extend(value.split(',')),
            _ => return Err(format!("cargo {command} {word} is not known to this test")),
        }
    }
    let manifest = read_manifest(&root.join(&folder))?;
    for (place, kind, name) in targets {
        let at = root.join(&folder).join(place);
        let is_named = manifest
            .get(kind)
            .and_then(toml::Value::as_array)
            .is_some_and(|all| {
                all.iter()
                    .any(|t| t.get("name").and_then(|n| n.as_str()) == Some(name))
            });
        let files = [at.join(format!("{name}.rs")), at.join(name).join("main.rs")];
        if !is_named && !files.iter().any(|f| f.is_file()) {
            return Err(format!("{folder} has no {kind} {name}"));
        }
    }
    for feature in features {
        if manifest
            .get("features")
            .and_then(|f| f.get(feature))
            .is_none()
        {
            return Err(format!("{folder} has no feature {feature}"));
        }
    }
    Ok(Treatment::Looked("what it names is there".to_owned()))
}

/// Checks a command of the gate. `xtask/src/main.rs` must match it by its name.
fn xtask(root: &Path, words: &[String]) -> Result<Treatment, String> {
    let source = fs::read_to_string(root.join("xtask/src/main.rs")).map_err(|e| e.to_string())?;
    let aliases = fs::read_to_string(root.join(".cargo/config.toml")).map_err(|e| e.to_string())?;
    match words {
        [name] if source.contains(&format!("{name:?} => ")) && aliases.contains("xtask = ") => {
            Ok(Treatment::Looked("xtask has the command".to_owned()))
        }
        _ => Err(format!("cargo xtask has no command {}", words.join(" "))),
    }
}

/// The folder of the workspace's package `name`.
fn package(root: &Path, name: &str) -> Result<String, String> {
    let crates = fs::read_dir(root.join("crates")).map_err(|e| e.to_string())?;
    let crates = crates
        .flatten()
        .map(|e| format!("crates/{}", e.file_name().display()));
    crates
        .chain(["benches".to_owned(), "xtask".to_owned()])
        .find(|folder| {
            read_manifest(&root.join(folder)).is_ok_and(|m| {
                m.get("package")
                    .and_then(|p| p.get("name"))
                    .and_then(|n| n.as_str())
                    == Some(name)
            })
        })
        .ok_or_else(|| format!("the workspace has no package {name}"))
}

fn read_manifest(folder: &Path) -> Result<Table, String> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.parse().map_err(|e| format!("{}: {e}", path.display()))
}

#[test]
fn commands_that_name_what_is_not_there_are_refused() {
    let root = super::workspace();
    let treat = |text: &str| treatment(&root, &super::blocks::words(text));
    for good in [
        "cargo test --workspace --release --locked",
        "cargo build --release --features wgpu",
        "cargo run --release -p multirnet-infer --example timings -- a b",
        "cargo bench -p multirnet-kernels --bench conv",
        "cargo xtask check",
        "target/release/scan x --rounds 3",
    ] {
        assert!(matches!(treat(good), Ok(Treatment::Looked(_))), "{good}");
    }
    for bad in [
        "cargo build --release --features gpu",
        "cargo run --release -p multirnet-inference --example timings",
        "cargo run --release -p multirnet-infer --example timing",
        "cargo bench -p multirnet-kernels --bench convolution",
        "cargo xtask everything",
        "cargo publish",
        "target/release/scans x",
        "target/release/scan x --turns 3",
        "curl https://example.org",
    ] {
        assert!(treat(bad).is_err(), "{bad}");
    }
    assert_eq!(treat("multirnet info"), Ok(Treatment::Run(0)));
    assert_eq!(
        treat("/usr/bin/time -v multirnet info"),
        Ok(Treatment::Run(2))
    );
}
