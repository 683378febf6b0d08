//! Ctrl-C and sudden ends: the program's messages are true, and leftovers are removed.

use crate::common::{both, expect, names};
use crate::lab::{Lab, PARTIAL, Problems, STUDY, TINY};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Waits until `ready` returns true, for a minute at most.
fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "waited in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

fn start(lab: &Lab, line: &str) -> Child {
    let mut command = lab.command(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Runs a command, interrupts it as soon as it is `ready`, and returns its output. The command must
/// say that it was stopped, and leave nothing unfinished.
fn interrupt(lab: &Lab, line: &str, what: &str, ready: impl Fn() -> bool) -> Output {
    let output = interrupted(lab, line, what, ready);
    expect(&output, STOPPED);
    assert_eq!(lab.unfinished(), Vec::<std::path::PathBuf>::new(), "{line}");
    output
}

/// Exit code of a program that Ctrl-C stopped.
const STOPPED: i32 = 130;

/// Like [`interrupt`], without checks of the output. A command that has not ended after ten seconds
/// hangs. It is killed and then has no exit code.
fn interrupted(lab: &Lab, line: &str, what: &str, ready: impl Fn() -> bool) -> Output {
    let mut child = start(lab, line);
    wait_until(what, ready);
    assert!(
        child.try_wait().unwrap().is_none(),
        "{line} ended before it was stopped"
    );
    signal(&child, "-INT");
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    eprintln!(
        "{:5.2} s from Ctrl-C to the end of {line}",
        begin.elapsed().as_secs_f64()
    );
    child.wait_with_output().unwrap()
}

/// The remedy of a command that can be continued.
const AGAIN: &str = "start the same command again to go on";

/// The texts that the output lacks.
fn unsaid(output: &Output, said: &[&str]) -> Vec<String> {
    let text = both(output);
    let missing = said.iter().filter(|part| !text.contains(**part));
    missing
        .map(|part| format!("{part:?} is not said"))
        .collect()
}

/// Number of files in a folder whose names end in `ending`.
fn count(folder: &Path, ending: &str) -> usize {
    names(folder).iter().filter(|n| n.ends_with(ending)).count()
}

/// Number of lines of a file; 0 if the file does not exist.
fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |t| t.lines().count())
}

#[test]
fn a_stopped_preparation_says_how_many_scans_are_kept() {
    let lab = Lab::new();
    // The same scan occurs many times, each time with another intercept and so another key.
    let mut rows = String::from("scan,mask,class,patient,slope,intercept\n");
    for i in 0..300 {
        fs::hard_link(
            lab.path("normal0.nii.gz"),
            lab.path(&format!("n{i}.nii.gz")),
        )
        .unwrap();
        rows += &format!("n{i}.nii.gz,,normal,p{i},1,{}\n", f64::from(i) / 1000.0);
    }
    lab.write("many.csv", &rows);
    let cache = lab.path("many-cache");
    let entries = || count(&cache, ".case");
    let mut problems = Problems::default();
    for line in [
        "prepare many.csv --config tiny.toml --cache many-cache",
        "train many.csv --config tiny.toml --cache many-cache -o many-run",
    ] {
        let before = entries();
        let output = interrupt(&lab, line, "two prepared scans", || entries() > before + 1);
        let kept = format!("({} of 300 are done and kept)", entries());
        problems.note(
            line,
            &unsaid(
                &output,
                &["stopped while scans were prepared", &kept, AGAIN],
            ),
            &output,
        );
    }
    problems.expect_none();
}

#[test]
fn a_stop_while_files_are_read_for_their_digest_is_a_stop() {
    let lab = Lab::new();
    // A sparse file of zeros takes no space on the disk. Reading it takes many seconds.
    for name in ["big.nii.gz", "series/1.dcm"] {
        fs::create_dir_all(lab.path(name).parent().unwrap()).unwrap();
        let file = fs::File::create(lab.path(name)).unwrap();
        if let Err(reason) = file.set_len(200 << 30) {
            eprintln!("skipped: no file of 200 GiB without content here: {reason}");
            return;
        }
    }
    let head = "scan,mask,class,patient\n";
    lab.write(
        "big.csv",
        &format!("{head}big.nii.gz,,normal,a\nseries,,normal,b\n"),
    );
    let mut problems = Problems::default();
    for line in [
        "prepare big.csv --config tiny.toml --cache cache",
        "train big.csv --config tiny.toml --cache cache -o new",
    ] {
        let start = Instant::now();
        let output = interrupt(&lab, line, "a second", || {
            start.elapsed() > Duration::from_secs(1)
        });
        let said = ["stopped while scans were", AGAIN];
        problems.note(line, &unsaid(&output, &said), &output);
        assert_eq!(count(&lab.path("cache"), ".case"), 0);
    }
    problems.expect_none();
}

#[test]
fn a_stopped_training_goes_on_as_it_says() {
    let lab = Lab::new();
    lab.write_changed("long.toml", TINY, "epochs = 1", "epochs = 5000");
    let log = lab.path("long/log.csv");
    let line = "train cohort.csv --config long.toml --cache cache -o long";
    let output = interrupt(&lab, line, "an epoch", || lines(&log) > 2);
    let said = both(&output);
    assert!(said.contains("go on with --resume -o long"), "{said}");
    for file in ["checkpoints/last.state", "model.safetensors"] {
        assert!(lab.path("long").join(file).is_file(), "{file} is missing");
    }
    let before = lines(&log);
    let line = "train cohort.csv --cache cache --resume -o long";
    interrupt(&lab, line, "another epoch", || lines(&log) > before + 2);
}

#[test]
fn a_stopped_study_goes_on_as_it_says() {
    let lab = Lab::new();
    lab.write_changed("long.toml", STUDY, "epochs = 1", "epochs = 5000");
    let log = lab.path("st/runs/tiny/split/log.csv");
    for _ in 0..2 {
        let before = lines(&log);
        let line = "compare long.toml -o st";
        let output = interrupt(&lab, line, "an epoch", || lines(&log) > before + 2);
        let said = both(&output);
        for part in [
            "stopped; everything done so far is kept",
            "start the same command again",
        ] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        assert!(
            lab.path("st/runs/tiny/split/checkpoints/last.state")
                .is_file()
        );
    }
}

#[test]
fn a_stop_while_figures_are_drawn_is_a_stop() {
    let lab = Lab::new();
    let line = "compare study.toml -o drawn";
    let figures = lab.path("drawn/figures");
    let output = interrupted(&lab, line, "a figure", || !names(&figures).is_empty());
    let mut wrong = unsaid(&output, &["stopped; everything done so far is kept"]);
    if output.status.code() != Some(STOPPED) {
        wrong.push(output.status.to_string());
    }
    let mut problems = Problems::default();
    problems.note(line, &wrong, &output);
    problems.expect_none();
}

#[test]
fn stopped_phantoms_are_kept() {
    let lab = Lab::new();
    let folder = lab.path("phantoms");
    let line = "phantom cohort --per-class 200 --matrix 96 -o phantoms";
    let output = interrupt(&lab, line, "a phantom", || {
        count(&folder, "-phantom.json") > 0
    });
    let said = both(&output);
    assert!(said.contains("everything done so far is kept"), "{said}");
    let made = count(&folder, "-phantom.json");
    // Each phantom with a description also has a scan.
    assert!(made > 0 && count(&folder, "-ct.nii.gz") >= made);
}

#[test]
fn a_stopped_analysis_leaves_nothing() {
    let lab = Lab::new();
    let before = names(lab.root());
    // A high overlap gives many windows, so the analysis is slow.
    let slow = "--pipeline windows --overlap 0.9";
    for line in [
        format!("predict scan.nii.gz {slow} -o out"),
        format!("predict scan.nii.gz normal0.nii.gz {slow} --jobs 2 -o out"),
        format!("explain scan.nii.gz {slow} -o out"),
        format!("evaluate cohort.csv {slow} --pictures -o out"),
        "evaluate --phantoms 50 --matrix 96 -o out".to_owned(),
        "demo --matrix 512 -o out".to_owned(),
    ] {
        let start = Instant::now();
        let output = interrupt(&lab, &line, "a second", || {
            start.elapsed() > Duration::from_secs(1)
        });
        let said = both(&output);
        assert!(
            said.contains("stopped; nothing half written is left"),
            "{line}: {said}"
        );
        assert_eq!(names(lab.root()), before, "{line}");
    }
}

#[test]
fn what_a_killed_program_left_goes_with_the_next_run() {
    let lab = Lab::new();
    lab.train();
    let line = "predict scan.nii.gz --model run/model.safetensors --pipeline global -o results/out";
    let results = lab.path("results");
    // A folder whose lock is not there yet may be one that another program just makes. It stays for a
    // minute.
    let is_left = |n: &String| n.starts_with(PARTIAL) && results.join(n).join(".lock").exists();
    let left = || names(&results).iter().any(is_left);
    // Writing takes only some hundredths of a second, so the test tries several times.
    for _ in 0..20 {
        let mut child = start(&lab, line);
        while !left() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if left() {
            break;
        }
        fs::remove_dir_all(&results).unwrap();
    }
    assert!(left(), "the program was never killed while it wrote");
    assert!(!results.join("out").exists());
    expect(&lab.run(line), 0);
    assert_eq!(names(&results), ["out"]);
    assert_eq!(lab.unfinished(), Vec::<std::path::PathBuf>::new());
}
