//! Every command meets a disk that refuses at each of its steps.

use crate::common::{both, expect};
use crate::injected::{FULL, Faults, READ_ONLY};
use crate::lab::{LIMIT, Lab, PARTIAL, Problems, WRITING, faults, output};
use multirnet_base::random::Random;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// Files that tell times, which differ from run to run. Of these only their end is compared.
const CHANGING: [&str; 11] = [
    "finding.json",
    "overview.png",
    "record.json",
    "report.html",
    "cases.csv",
    "scores.json",
    "summary.txt",
    "summary.json",
    "log.csv",
    "steps.csv",
    "last.state",
];

/// Files by their paths, with their bytes.
type Tree = BTreeMap<String, Vec<u8>>;

/// A command that meets a disk that refuses.
struct Trial<'a> {
    lab: &'a Lab,
    faults: &'a Faults,
    line: String,
}

/// Where the commands write.
const PLACES: [&str; 2] = ["out", "new"];

impl Trial<'_> {
    fn run(&self) -> Output {
        // A training that has begun is continued.
        let is_begun = PLACES
            .iter()
            .any(|p| self.lab.path(p).join("checkpoints/last.state").exists());
        let line = match is_begun && self.line.starts_with("train") {
            true => self.line.replace("--config tiny.toml", "--resume"),
            false => self.line.clone(),
        };
        let mut command = self.lab.command(&line);
        command.stdout(Stdio::piped());
        self.faults.meet(&mut command, self.lab.root());
        output(command, LIMIT)
    }

    fn clean(&self) {
        for place in PLACES {
            let path = self.lab.path(place);
            match path.is_dir() {
                true => fs::remove_dir_all(path).unwrap(),
                false => drop(fs::remove_file(path)),
            }
        }
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        for place in PLACES {
            collect(self.lab.root(), &self.lab.path(place), &mut tree);
        }
        tree
    }

    /// What the command writes on a sound disk, and the number of its steps.
    fn reference(&self) -> (Tree, i64) {
        self.clean();
        let before = self.faults.steps();
        expect(&self.run(), 0);
        (self.tree(), self.faults.steps() - before)
    }

    /// Lets the disk refuse from one step on, and then takes the refusal back. Gives what is wrong.
    fn refuse(&self, step: i64, fault: &Fault, whole: &Tree) -> (Vec<String>, Output) {
        self.clean();
        self.faults.refuse(step, fault.code, fault.names_only);
        let broken = self.run();
        let failures = self.faults.failed();
        self.faults.heal();
        // Of several scans, those before the refusal have their results.
        let is_partial = self.line.contains("--jobs") && broken.status.code() == Some(4);
        let mut wrong = match (failures, is_partial) {
            (0, _) if broken.status.code() == Some(0) => Vec::new(),
            (0, _) => vec!["nothing was refused, but the command failed".to_owned()],
            (_, true) => faults(&broken, 4, &[fault.remedy]),
            (_, false) => faults(&broken, 5, &[fault.remedy]),
        };
        // What may not be removed is left to the next run.
        let left = self.lab.unfinished();
        if !left.is_empty() && fault.code == FULL {
            wrong.push(format!("it left {left:?}"));
        }
        for (name, bytes) in self.tree() {
            if is_unfinished(&name) || is_claim(&name) && fault.code != FULL {
                continue;
            }
            match whole.get(&name) {
                None => wrong.push(format!("it left {name}")),
                Some(good) if !is_same(&name, good, &bytes) => {
                    wrong.push(format!("{name} is not whole"));
                }
                Some(_) => {}
            }
        }
        let again = self.run();
        if again.status.code() != Some(0) {
            wrong.push(format!("the same command then fails: {}", both(&again)));
            return (wrong, broken);
        }
        // A folder without its lock may be one that another program just makes. It stays for a minute.
        let is_stale = |p: &PathBuf| !p.is_dir() || p.join(".lock").exists();
        let left: Vec<PathBuf> = self.lab.unfinished().into_iter().filter(is_stale).collect();
        if !left.is_empty() {
            wrong.push(format!("the next run leaves {left:?}"));
        }
        let mut found = self.tree();
        found.retain(|name, _| !is_unfinished(name));
        for name in whole.keys().filter(|n| !found.contains_key(*n)) {
            wrong.push(format!("{name} is missing then"));
        }
        for (name, bytes) in &found {
            if !whole.get(name).is_some_and(|w| is_same(name, w, bytes)) {
                wrong.push(format!("{name} is another one then"));
            }
        }
        (wrong, broken)
    }
}

fn is_unfinished(name: &str) -> bool {
    name.contains(PARTIAL)
}

/// Whether a file is the claim of a scan. What may not be removed is left to the next run.
fn is_claim(name: &str) -> bool {
    name.contains("/claims/")
}

/// Whether two files are the same, or end alike if they tell times.
fn is_same(name: &str, one: &[u8], other: &[u8]) -> bool {
    let is_changing = CHANGING.iter().any(|c| name.ends_with(c));
    let end = |bytes: &[u8]| bytes[bytes.len().saturating_sub(1)..].to_vec();
    match is_changing && !name.ends_with(".state") {
        true => end(one) == end(other),
        // A state ends with the digest of its content, which is checked when it is read.
        false => is_changing || one == other,
    }
}

fn collect(root: &Path, path: &Path, tree: &mut Tree) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(root, &entry.unwrap().path(), tree);
        }
    } else if path.is_file() {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        tree.insert(name, fs::read(path).unwrap());
    }
}

/// How the disk refuses.
struct Fault {
    code: i64,
    /// Whether files that are open are still written.
    names_only: bool,
    /// The remedy that the message has.
    remedy: &'static str,
}

const FULL_DISK: Fault = Fault {
    code: FULL,
    names_only: false,
    remedy: "free some space",
};
const LOST_PERMISSION: Fault = Fault {
    code: READ_ONLY,
    names_only: true,
    remedy: "choose a folder that you may write to",
};

/// Lets the disk refuse at steps of each command that `chosen` gives, from its number and its steps.
fn sweep(fault: &Fault, chosen: impl Fn(u64, i64) -> Vec<i64>) {
    let Some(injected) = Faults::new() else {
        return;
    };
    let lab = Lab::new();
    lab.train();
    let mut problems = Problems::default();
    let mut refused = 0;
    for (line, number) in WRITING.iter().zip(0..) {
        let trial = Trial {
            lab: &lab,
            faults: &injected,
            line: line.replace("OUT", "out"),
        };
        let (whole, steps) = trial.reference();
        for step in chosen(number, steps) {
            let (wrong, output) = trial.refuse(step, fault, &whole);
            problems.note(&format!("{line}\nstep {step} of {steps}"), &wrong, &output);
            refused += 1;
        }
        println!("{steps} steps: multirnet {line}");
    }
    println!("{refused} refusals");
    problems.expect_none();
}

/// One of a command's steps.
fn one(seed: u64) -> impl Fn(u64, i64) -> Vec<i64> {
    move |number, steps| {
        let step = Random::new(seed, number).below(steps as usize);
        vec![1 + step as i64]
    }
}

/// All steps of a command.
fn all(_: u64, steps: i64) -> Vec<i64> {
    (1..=steps).collect()
}

#[test]
fn a_disk_that_fills_up_at_some_step_is_told_and_with_room_the_command_succeeds() {
    sweep(&FULL_DISK, one(1));
}

#[test]
#[ignore = "takes minutes: every step of every command"]
fn a_disk_that_fills_up_at_any_step_is_told_and_with_room_the_command_succeeds() {
    sweep(&FULL_DISK, all);
}

#[test]
fn a_permission_that_is_lost_at_some_step_is_told_and_with_it_the_command_succeeds() {
    sweep(&LOST_PERMISSION, one(2));
}

#[test]
#[ignore = "takes minutes: every step of every command"]
fn a_permission_that_is_lost_at_any_step_is_told_and_with_it_the_command_succeeds() {
    sweep(&LOST_PERMISSION, all);
}
