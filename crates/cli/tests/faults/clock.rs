//! The computer's clock jumps by days while the program runs, and between two runs: nothing is removed
//! early, nothing waits for a day, nothing is given up.

use crate::common::{expect, multirnet};
use crate::injected::Faults;
use crate::lab::{LIMIT, Lab, output};
use crate::pacs::*;
use crate::serve::{self, SCAN, Served, text};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DAY: i64 = 86_400;

/// Sets the clock ahead and back again and again while `work` runs.
fn while_it_jumps<T>(faults: &Faults, work: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for days in [1, -1, 0, 400, -3].into_iter().cycle() {
                if is_done.load(Ordering::SeqCst) {
                    break;
                }
                faults.set_clock(days * DAY);
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        let done = Raised(&is_done);
        let result = work();
        drop(done);
        faults.set_clock(0);
        result
    })
}

/// Ends the jumps also when a test fails.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn server(faults: &Faults, folder: &Path) -> Served {
    let config = folder.join("server.toml");
    let limits = "[limits]\nupload_hours = 1\nkeep_days = 1\nfree_disk_mib = 1\n";
    fs::write(&config, limits).unwrap();
    let data = folder.join("data");
    fs::create_dir_all(&data).unwrap();
    let mut command = multirnet();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--config",
        text(&config),
    ]);
    command.arg("--data").arg(&data);
    faults.meet(&mut command, &data);
    Served::begin(command)
}

#[test]
fn a_server_keeps_what_a_clock_that_is_ahead_makes_old() {
    let Some(faults) = Faults::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let running = server(&faults, dir.path());
    let begin = json!({ "name": "late.nii.gz", "size": SCAN.len() });
    let begin = serde_json::to_vec(&begin).unwrap();
    let (_, upload) = running
        .ask("POST", "/api/v1/uploads", "none", begin)
        .unwrap();
    let path = format!("/api/v1/uploads/{}", upload["id"].as_str().unwrap());
    let half = SCAN.len() / 2;
    let header = ("upload-offset", "0");
    let sent = running.ask_with("PATCH", &path, header, SCAN[..half].to_vec());
    assert_eq!(sent.unwrap().0, 200);
    while_it_jumps(&faults, || {
        running.upload("scan").unwrap();
        running.wait_until_done(1, serve::PATIENCE);
    });
    assert_eq!(running.end(), Some(130));
    // The next server begins with a clock that is two days ahead, which is then set right.
    faults.set_clock(2 * DAY);
    let running = server(&faults, dir.path());
    let offset = running.get(&path)["offset"].as_u64();
    assert_eq!(offset, Some(half as u64));
    faults.set_clock(0);
    let header = ("upload-offset", &*half.to_string());
    let sent = running.ask_with("PATCH", &path, header, SCAN[half..].to_vec());
    assert_eq!(sent.unwrap().1["offset"], SCAN.len());
    let job = running.get("/api/v1/jobs")["jobs"][0].clone();
    assert_eq!(job["state"], "done");
    assert!(job["seconds"].as_f64().unwrap() >= 0.0, "{job}");
}

fn listener(faults: &Faults, own: &Path, archive: std::net::SocketAddr) -> Running {
    let config = configure(own, archive, 2);
    let mut command = multirnet();
    command.arg("listen").arg(config);
    faults.meet(&mut command, own);
    Running::begin(command)
}

#[test]
fn a_listener_neither_waits_for_a_day_nor_gives_up_when_the_clock_jumps() {
    let Some(faults) = Faults::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let own = folder.join("own");
    fs::create_dir(&own).unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = nobody.local_addr().unwrap();
    // The clock is a day ahead while the archive is down.
    faults.set_clock(DAY);
    let mut ahead = listener(&faults, &own, nobody);
    let files = study(folder, 1);
    assert_eq!(ahead.send(&files), files.len());
    ahead.wait_for("it will be sent again");
    assert_eq!(ahead.end(), Some(130));
    // It is then a month ahead, which is longer than a delivery is tried. The archive is still down.
    faults.set_clock(30 * DAY);
    let mut later = listener(&faults, &own, nobody);
    later.wait_for("it will be sent again");
    assert_eq!(later.end(), Some(130));
    // At last it is right, and the archive is there.
    faults.set_clock(0);
    with_archive(folder, |archive, _| {
        let right = listener(&faults, &own, archive);
        wait_until("four results", || results(folder, 1).len() == 4);
        // Another study, while the clock jumps.
        let files = study(folder, 2);
        while_it_jumps(&faults, || {
            assert_eq!(right.send(&files), files.len());
            wait_until("four results", || results(folder, 2).len() == 4);
        });
        wait_until("deliveries noted", || audited(&own, "delivered").len() == 8);
    });
    assert_eq!(audited(&own, "job_analysed").len(), 2);
}

#[test]
fn commands_do_not_mind_a_clock_that_jumps() {
    let Some(faults) = Faults::new() else { return };
    let lab = Lab::new();
    let run = |line: &str| {
        let mut command = lab.command(line);
        command.stdout(Stdio::piped());
        faults.meet(&mut command, lab.root());
        expect(&output(command, LIMIT), 0);
    };
    let train = "train cohort.csv --config tiny.toml --cache cache -o";
    run(&format!("{train} sound/run"));
    while_it_jumps(&faults, || {
        run(&format!("{train} jumping/run"));
        run("predict scan.nii.gz --model jumping/run/model.safetensors --pipeline global -o out");
        run("compare study.toml --no-figures -o compared");
    });
    // A model is called as its folder.
    let model = |run: &str| fs::read(lab.path(run).join("run/model.safetensors")).unwrap();
    assert_eq!(model("sound"), model("jumping"));
}
