//! Runs the documents' commands: every command in a block of shell code of README.md,
//! CONTRIBUTING.md and docs/ runs as it is written there, on phantoms and with small trainings.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod blocks;
mod checks;
mod inputs;
mod shims;
mod small;

use blocks::Shown;
use checks::Treatment;
use inputs::Scans;
use multirnet_phantom::Phantom;
use multirnet_phantom::implant::{AvoidList, ImplantConfig};
use multirnet_study::{AblationConfig, StudyConfig};
use multirnet_train::TrainConfig;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

/// Words in capitals that stand for the reader's own files, and their replacements in this test.
const STANDS_FOR: [(&str, &str); 3] = [
    ("DATA", "data"),
    ("DICOM-FOLDER", "study"),
    ("MODEL", "tiny/model.safetensors"),
];

/// An option for a device that a machine may lack, and the start of the program's message then. The
/// exit code is that of a wrong command line.
const MAY_LACK: (&str, &str) = ("--device gpu", "multirnet: --device gpu: ");

/// Options whose value is a place for results.
const OUTPUTS: [&str; 3] = ["-o", "--out", "--cache"];

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// The documents with commands, relative to the workspace.
fn documents(root: &Path) -> Vec<String> {
    let mut docs: Vec<String> = fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    docs.sort();
    let first = ["README.md", "CONTRIBUTING.md"].map(str::to_owned);
    first.into_iter().chain(docs).collect()
}

#[test]
fn the_commands_of_the_documents_run_as_written() {
    let root = workspace();
    let phantoms = inputs::draw_phantoms();
    let documents = documents(&root);
    let (next, run) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let problems = Mutex::new(Vec::new());
    // Two documents run at a time, because many commands keep only one core busy.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(document) = documents.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (found, count) = run_document(&root, document, &phantoms);
                    problems.lock().unwrap().extend(found);
                    run.fetch_add(count, Ordering::Relaxed);
                }
            });
        }
    });
    let (problems, run) = (problems.into_inner().unwrap(), run.into_inner());
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n\n"));
    assert!(run > 20, "only {run} commands were found in the documents");
}

/// Runs the commands of a document up to the first that fails. Returns the problems and the number of
/// commands that were run.
fn run_document(root: &Path, document: &str, phantoms: &[Phantom; 3]) -> (Vec<String>, usize) {
    let text = fs::read_to_string(root.join(document)).unwrap();
    let commands = blocks::commands(document, &text);
    let (mut problems, mut run) = (Vec::new(), 0);
    let mut place = None;
    for command in &commands {
        match checks::treatment(root, &blocks::words(&command.text)) {
            Err(problem) => problems.push(format!("{command}: {problem}")),
            Ok(Treatment::Looked(what)) => eprintln!("         {command}: {what}"),
            Ok(Treatment::Run(words)) => {
                let place = place.get_or_insert_with(|| Place::new(root, &Scans::new(phantoms)));
                run += 1;
                let start = Instant::now();
                let result = place.run(command, words);
                eprintln!("{:6.1} s {command}", start.elapsed().as_secs_f64());
                if let Err(problem) = result {
                    problems.push(format!("{command}: {problem}"));
                    // Later commands may need the files that this command did not make.
                    break;
                }
            }
        }
    }
    (problems, run)
}

/// The folder in which a document's commands run.
struct Place {
    folder: tempfile::TempDir,
}

/// Files by path, with length and time of the last change.
type Snapshot = BTreeMap<PathBuf, (u64, SystemTime)>;

impl Place {
    /// Prepares inputs, small configurations and shims.
    fn new(root: &Path, scans: &Scans<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        shims::write(&place.bin());
        fs::create_dir(place.small()).unwrap();
        fs::write(place.small().join("train.toml"), small::TRAINING).unwrap();
        fs::write(place.small().join("implant.toml"), small::IMPLANTS).unwrap();
        let work = place.work();
        fs::create_dir_all(work.join("target/release")).unwrap();
        symlink(
            place.bin().join("multirnet"),
            work.join("target/release/multirnet"),
        )
        .unwrap();
        scans.write(&work);
        for path in inputs::files(&root.join("configs")) {
            let relative = path.strip_prefix(root).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let kind = path
                .parent()
                .and_then(Path::file_name)
                .unwrap()
                .to_string_lossy();
            let is_toml = path.extension().is_some_and(|e| e == "toml");
            let text = match (&*kind, is_toml) {
                (kind, true) => small::configuration(kind, &text),
                (kind, false) => {
                    let mut manifest = small::Manifest::read(&text);
                    if kind == "data" {
                        scans.write_data(&mut manifest, &work.join("data"));
                    }
                    manifest.text()
                }
            };
            let copy = work.join(relative);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::write(copy, text).unwrap();
        }
        place
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    fn small(&self) -> PathBuf {
        self.folder.path().join("small")
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn snapshot(&self) -> Snapshot {
        let facts = |path: PathBuf| {
            let metadata = fs::symlink_metadata(&path).unwrap();
            (path, (metadata.len(), metadata.modified().unwrap()))
        };
        inputs::files(&self.work()).into_iter().map(facts).collect()
    }

    /// Runs a command without its first `left_out` words. It must succeed, write to the places that it
    /// names, and nowhere else.
    fn run(&self, command: &Shown, left_out: usize) -> Result<(), String> {
        let mut text = command.text.as_str();
        for _ in 0..left_out {
            text = text
                .split_once(' ')
                .map_or("", |(_, rest)| rest.trim_start());
        }
        let text = blocks::replace_capitals(text, &STANDS_FOR).map_err(|word| {
            format!(
                "nothing stands for {word} (add it to STANDS_FOR in {})",
                file!()
            )
        })?;
        let path = std::env::var("PATH").unwrap_or_default();
        let before = self.snapshot();
        let output = Command::new("sh")
            .args(["-ec", &text])
            .current_dir(self.work())
            .env("PATH", format!("{}:{path}", self.bin().display()))
            .env("PROGRAM", env!("CARGO_BIN_EXE_multirnet"))
            .env("SMALL", self.small())
            .env_remove("MULTIRNET_MODELS")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output()
            .map_err(|e| e.to_string())?;
        let said = common::both(&output);
        if text.contains(MAY_LACK.0)
            && output.status.code() == Some(2)
            && said.starts_with(MAY_LACK.1)
        {
            return Ok(());
        }
        if !output.status.success() {
            return Err(format!("{}\n{said}", output.status));
        }
        self.check_files(&blocks::words(&text), &before)
    }

    /// Checks that the command wrote all its outputs and nothing else.
    fn check_files(&self, words: &[String], before: &Snapshot) -> Result<(), String> {
        let work = self.work();
        let mut outputs: Vec<PathBuf> = words
            .windows(2)
            .filter(|pair| {
                let word = pair[0].as_str();
                OUTPUTS.contains(&word) || ["report", "dicom"].contains(&word)
            })
            .map(|pair| work.join(&pair[1]))
            .collect();
        if words.iter().any(|w| w == "demo") && outputs.is_empty() {
            outputs.push(work.join("out/demo"));
        }
        if let Some(missing) = outputs.iter().find(|o| !o.exists()) {
            return Err(format!("it did not write {}", missing.display()));
        }
        let after = self.snapshot();
        let changed = after
            .iter()
            .filter(|(path, facts)| before.get(*path) != Some(facts));
        let mut others = changed
            .map(|(path, _)| path)
            .chain(before.keys().filter(|path| !after.contains_key(*path)))
            .filter(|path| !outputs.iter().any(|o| path.starts_with(o)));
        if let Some(other) = others.next() {
            return Err(format!(
                "it changed {}, which is not its output",
                other.display()
            ));
        }
        let is_unfinished = |p: &&PathBuf| p.to_string_lossy().contains(".multirnet-partial-");
        match after.keys().find(is_unfinished) {
            Some(left) => Err(format!("it left {}", left.display())),
            None => Ok(()),
        }
    }
}

#[test]
fn every_committed_configuration_is_read() {
    let root = workspace();
    for path in inputs::files(&root.join("configs")) {
        let text = fs::read_to_string(&path).unwrap();
        let kind = path
            .parent()
            .and_then(Path::file_name)
            .unwrap()
            .to_string_lossy();
        let checked = match &*kind {
            _ if path.extension().is_none_or(|e| e != "toml") => continue,
            "train" => TrainConfig::read(&path)
                .map(drop)
                .map_err(|e| e.to_string()),
            // Of the folder itself.
            "configs" if path.ends_with("server.toml") => {
                multirnet_server::config::ServerConfig::read(&path)
                    .map(drop)
                    .map_err(|e| e.to_string())
            }
            "configs" => multirnet_pacs::config::Config::read(&path)
                .map(drop)
                .map_err(|e| e.to_string()),
            "compare" => StudyConfig::read(&path)
                .map(drop)
                .map_err(|e| e.to_string()),
            "ablate" => AblationConfig::read(&path)
                .map(drop)
                .map_err(|e| e.to_string()),
            "implant" if text.contains("[[scan]]") => toml::from_str::<AvoidList>(&text)
                .map(drop)
                .map_err(|e| e.to_string()),
            "implant" => toml::from_str::<ImplantConfig>(&text)
                .map_err(|e| e.to_string())
                .and_then(|c| c.validate().map_err(|e| e.to_string())),
            // These are cards. The test of `multirnet package` reads them.
            "models" => continue,
            other => panic!("configs/{other} is a folder that this test does not know"),
        };
        assert_eq!(checked, Ok(()), "{}", path.display());
    }
}
