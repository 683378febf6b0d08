//! A folder with sound and unsound inputs, in which the program runs.

use crate::common::{self, both};
use multirnet_volume::{Diagnosis, Geometry, Volume};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A training of a second, on a net of few channels.
pub const TINY: &str = "\
[model]
channels = [4, 4, 6, 6, 8]
class_channels = [4, 4, 4, 6, 6, 8]
iterations = 0
[prepare]
global_shape = [16, 32, 32]
spacing_mm = [10.0, 8.0, 8.0]
[split]
test_fraction = 0.0
validation_fraction = 0.0
[sampling]
patch_size = [16, 32, 32]
batch = 2
steps_per_epoch = 1
[optimiser]
warmup_steps = 0
[run]
epochs = 1
";

/// A comparison of one system on the scans of `cohort.csv`.
pub const STUDY: &str = "\
title = \"One system\"
[cohort]
manifest = \"cohort.csv\"
[split]
test_fraction = 0.4
validation_fraction = 0.0
[train.prepare]
global_shape = [16, 32, 32]
spacing_mm = [10.0, 8.0, 8.0]
[train.sampling]
patch_size = [16, 32, 32]
batch = 2
steps_per_epoch = 1
[train.optimiser]
warmup_steps = 0
[train.run]
epochs = 1
[predict]
window_shape = [16, 32, 32]
[[system]]
id = \"tiny\"
set.model = { system = \"multirnet\", channels = [4, 4, 6, 6, 8], class_channels = [4, 4, 4, 6, 6, 8], iterations = 0 }
";

/// An ablation of two variants on the same scans.
pub fn ablation() -> String {
    let (study, _) = STUDY.split_once("[[system]]").unwrap();
    format!(
        "{study}\
[train.model]
channels = [4, 4, 6, 6, 8]
class_channels = [4, 4, 4, 6, 6, 8]
iterations = 0
[[axis]]
name = \"Seed\"
[[axis.variant]]
name = \"0\"
[[axis.variant]]
name = \"1\"
set.run.seed = 1
"
    )
}

/// Every command that writes. `OUT` stands for the place of its results.
pub const WRITING: [&str; 19] = [
    "predict scan.nii.gz --model run/model.safetensors --pipeline global -o OUT",
    "predict scan.nii.gz normal0.nii.gz --model run/model.safetensors --pipeline global --jobs 2 -o OUT",
    "predict --manifest cohort.csv --model run/model.safetensors --pipeline global -o OUT",
    "explain scan.nii.gz --model run/model.safetensors --pipeline global -o OUT",
    "evaluate cohort.csv --model run/model.safetensors --pipeline global --pictures -o OUT",
    "demo --model run/model.safetensors --matrix 128 -o OUT",
    "phantom one --class cap --matrix 96 -o OUT",
    "phantom cohort --per-class 1 --matrix 96 -o OUT",
    "phantom implant scan.nii.gz --variants 1 --config implant.toml -o OUT",
    "prepare cohort.csv -o OUT/new.csv",
    "prepare cohort.csv --config tiny.toml --cache OUT",
    "train cohort.csv --config tiny.toml --cache cache -o OUT",
    "train cohort.csv --config tiny.toml --cache OUT -o new",
    "package run/model.safetensors --name a --card card.toml -o OUT",
    "export run/model.safetensors -o OUT/model.onnx",
    "export run/model.safetensors --bundle -o OUT",
    "compare study.toml --no-figures -o OUT",
    "ablate ablation.toml --no-figures -o OUT",
    "compare study.toml -o OUT",
];

/// A card for `multirnet package`.
pub const CARD: &str = "licence = \"CC0-1.0\"\nattribution = [\"Phantoms.\"]\n";

/// A folder of inputs in which the program runs.
pub struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// Makes the sound inputs: `scan.nii.gz`, `cohort.csv` with four scans, `tiny.toml`, `study.toml`,
    /// `ablation.toml`, `implant.toml` and `card.toml`.
    pub fn new() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut rows = String::from("scan,mask,class,patient,mask_values\n");
        // Seeds that give few and thick slices.
        for (class, seed) in [(Diagnosis::Normal, 1), (Diagnosis::Cap, 3)] {
            let made = common::phantom(class, seed);
            let name = class.name();
            for k in 0..2 {
                // Two scans of the same content would be one scan on two sides of a split.
                let mut ct = made.ct.map(|hu| hu.round() as i16);
                ct.data_mut()[0] += k;
                common::save(lab.root(), &format!("{name}{k}.nii.gz"), &ct);
                common::save(lab.root(), &format!("{name}{k}-mask.nii.gz"), &made.lesions);
                rows += &format!("{name}{k}.nii.gz,{name}{k}-mask.nii.gz,{name},{name}{k},1;2\n");
            }
        }
        fs::copy(lab.path("cap0.nii.gz"), lab.path("scan.nii.gz")).unwrap();
        lab.write("cohort.csv", &rows);
        lab.write("tiny.toml", TINY);
        lab.write("study.toml", STUDY);
        lab.write("ablation.toml", &ablation());
        lab.write(
            "implant.toml",
            "[background]\npixel_mm = [3.0, 4.0]\nslice_mm = [5.0, 8.0]\n",
        );
        lab.write("card.toml", CARD);
        lab
    }

    /// Trains on the cohort, into `run`.
    pub fn train(&self) {
        let output = self.run("train cohort.csv --config tiny.toml --cache cache -o run");
        common::expect(&output, 0);
    }

    /// Adds scans, masks and manifests that cannot be used.
    pub fn add_unusable(&self) {
        self.write("bad.nii.gz", "Dear colleague,");
        self.write("file", "mine");
        fs::create_dir(self.path("empty")).unwrap();
        common::save(
            self.root(),
            "blank.nii.gz",
            &common::block([40, 128, 128], 0.0),
        );
        let grid = Geometry::axial([10, 20, 20], [5.0; 3]).unwrap();
        common::save(self.root(), "grid.nii.gz", &Volume::filled(1u8, grid));
        let manifest = |name: &str, rows: &str| {
            self.write(name, &format!("scan,mask,class,patient\n{rows}"));
        };
        manifest("bad.csv", "bad.nii.gz,,normal,a\n");
        manifest(
            "some.csv",
            "bad.nii.gz,,normal,a\nnormal0.nii.gz,,normal,b\n",
        );
        manifest("grid.csv", "scan.nii.gz,grid.nii.gz,cap,a\n");
        // A study needs a scan of the class on each side of its split.
        manifest(
            "some-grid.csv",
            "scan.nii.gz,grid.nii.gz,cap,a\nnormal0.nii.gz,unknown,cap,b\n",
        );
        manifest("ct-as-mask.csv", "scan.nii.gz,normal0.nii.gz,cap,a\n");
        manifest("no-mask.csv", "scan.nii.gz,absent.nii.gz,cap,a\n");
        manifest("class.csv", "scan.nii.gz,,flu,a\n");
        manifest(
            "twice.csv",
            "scan.nii.gz,,normal,a\nscan.nii.gz,,normal,b\n",
        );
        self.write("columns.csv", "scan,mask,class\nscan.nii.gz,,normal\n");
        self.write(
            "colour.csv",
            "scan,mask,class,patient,colour\nscan.nii.gz,,normal,a,red\n",
        );
        self.write("nothing.csv", "");
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a text file.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes a text file that differs from `text` in that `from` is `to`.
    pub fn write_changed(&self, name: &str, text: &str, from: &str, to: &str) {
        assert!(text.contains(from), "{from} is not in the text");
        self.write(name, &text.replace(from, to));
    }

    /// The program with the arguments that `line` holds, to be run in the folder.
    pub fn command(&self, line: &str) -> Command {
        let mut command = common::multirnet();
        command.args(line.split_whitespace());
        command.current_dir(self.root());
        command
            .env_remove("MULTIRNET_MODELS")
            .env_remove("RUST_LOG");
        command
    }

    /// Runs the program with the arguments that `line` holds.
    pub fn run(&self, line: &str) -> Output {
        let mut command = self.command(line);
        command.stdout(Stdio::piped());
        output(command, LIMIT)
    }

    /// Unfinished files and folders in the folder and the folders below it.
    pub fn unfinished(&self) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.root().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap_or_default();
                if name.to_string_lossy().starts_with(PARTIAL) {
                    found.push(path);
                } else if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }
}

/// Time limit of a command that normally takes seconds.
pub const LIMIT: Duration = Duration::from_secs(100);

/// The output of a program. A program that has not ended after `limit` hangs. It is killed and then
/// has no exit code.
pub fn output(mut command: Command, limit: Duration) -> Output {
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id().to_string();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = receiver.recv_timeout(limit).unwrap_or_else(|_| {
        let killed = Command::new("kill").args(["-KILL", &id]).status();
        assert!(killed.unwrap().success());
        receiver.recv().unwrap()
    });
    output.unwrap()
}

/// Prefix of the names of unfinished files and folders.
pub const PARTIAL: &str = ".multirnet-partial-";

/// The problems of commands.
#[derive(Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Notes the problems of a command, if it has any.
    pub fn note(&mut self, line: &str, wrong: &[String], output: &Output) {
        if !wrong.is_empty() {
            let wrong = wrong.join("; ");
            self.0
                .push(format!("multirnet {line}\n{wrong}\n{}", both(output)));
        }
    }

    /// Panics if anything was noted.
    pub fn expect_none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0.join("\n"));
    }
}

/// Runs the commands of a table and reports all that do not fail as they should. A row is
/// `exit code | arguments | text | text …`. The message must hold every text: the file, the reason
/// and the remedy.
pub fn check(lab: &Lab, table: &str) {
    let mut problems = Problems::default();
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [code, line, said @ ..] = cells.as_slice() else {
            panic!("{row:?} is not a row");
        };
        let output = lab.run(line);
        let mut wrong = faults(&output, code.parse().unwrap(), said);
        let left = lab.unfinished();
        if !left.is_empty() {
            wrong.push(format!("it left {left:?}"));
        }
        problems.note(line, &wrong, &output);
    }
    problems.expect_none();
}

/// The problems of the way in which a command failed.
pub fn faults(output: &Output, code: i32, said: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    if output.status.code() != Some(code) {
        wrong.push(format!("{} in place of {code}", output.status));
    }
    let text = both(output);
    for part in said {
        if !text.contains(part) {
            wrong.push(format!("{part:?} is not said"));
        }
    }
    if text.contains("panicked") {
        wrong.push("it panicked".to_owned());
    }
    // The argument parser reports a wrong command line. Its messages have their own form.
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if code != 2 && !errors.lines().any(|l| l.starts_with("multirnet: ")) {
        wrong.push("no line of standard error begins with \"multirnet: \"".to_owned());
    }
    wrong
}
