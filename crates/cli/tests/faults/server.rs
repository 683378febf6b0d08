//! The server meets a disk that refuses at each step from the upload to the deletion. It tells its
//! client, and goes on without a restart once the disk takes files again.

use crate::common::{expect, multirnet, names};
use crate::injected::{FULL, Faults, READ_ONLY, spread};
use crate::pacs;
use crate::serve::{PATIENCE, SCAN, Served, text};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long the disk stays full after it has refused work that no client waits for.
const FULL_FOR: Duration = Duration::from_millis(300);

/// A server whose data folder can refuse.
struct World {
    server: Served,
    faults: Faults,
    data: PathBuf,
    said: PathBuf,
}

impl World {
    fn start(folder: &Path) -> Option<Self> {
        let faults = Faults::new()?;
        let (data, said) = (folder.join("data"), folder.join("said"));
        fs::create_dir_all(&data).unwrap();
        let program = multirnet();
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 2>> \"$0\""]).arg(&said);
        command.arg(program.get_program());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(&data).arg("--config").arg(config(folder));
        faults.meet(&mut command, &data);
        Some(Self {
            server: Served::begin(command),
            faults,
            data,
            said,
        })
    }

    /// Asks until the server does what it is asked. When the disk refuses, the server says so and what to
    /// do; the disk then takes files again.
    fn insist(&self, method: &str, path: &str, header: (&str, &str), body: &[u8]) -> (u16, Value) {
        for _ in 0..5 {
            let answer = self.server.ask_with(method, path, header, body.to_vec());
            let (status, value) = answer.expect("the server answers");
            if status < 500 {
                return (status, value);
            }
            let error = &value["error"];
            assert!(
                self.faults.failed() > 0,
                "{method} {path}: {status} {value}"
            );
            assert_eq!((status, &error["kind"]), (507, &json!("disk")), "{value}");
            for part in ["reason", "hint"] {
                let said = error[part].as_str().unwrap_or_default();
                assert!(!said.is_empty(), "{part} of {method} {path}: {value}");
                assert!(!said.contains(text(&self.data)), "{value}");
            }
            self.faults.heal();
        }
        panic!("{method} {path} fails on a sound disk");
    }

    fn post(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let bytes = serde_json::to_vec(body).unwrap();
        self.insist("POST", path, ("idempotency-key", key), &bytes)
    }

    /// Uploads a file in two pieces, and goes on where the server has it.
    fn upload(&self, name: &str, bytes: &[u8]) -> String {
        let begin = json!({ "name": name, "size": bytes.len() });
        let (status, upload) = self.post("/api/v1/uploads", "none", &begin);
        assert_eq!(status, 201, "{upload}");
        let id = upload["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/uploads/{id}");
        loop {
            let offset = self.server.get(&path)["offset"].as_u64().unwrap() as usize;
            if offset == bytes.len() {
                return id;
            }
            let end = bytes.len().min(offset + bytes.len() / 2 + 1);
            let header = ("upload-offset", &*offset.to_string());
            let (status, value) = self.insist("PATCH", &path, header, &bytes[offset..end]);
            // After a refusal the server may have a part of the piece.
            assert!([200, 409].contains(&status), "{value}");
        }
    }

    /// Waits until a job is done. If the disk refuses meanwhile, it takes files again soon.
    fn wait(&self, id: &str) -> Value {
        let begin = Instant::now();
        loop {
            let job = self.server.get(&format!("/api/v1/jobs/{id}"));
            match job["state"].as_str().unwrap() {
                "done" => return job,
                "queued" | "running" => {}
                _ => panic!("{job}"),
            }
            if self.faults.failed() > 0 {
                std::thread::sleep(FULL_FOR);
                self.faults.heal();
            }
            assert!(begin.elapsed() < PATIENCE, "{job}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A scan comes in, is analysed, corrected and deleted. Gives what was found.
    fn round(&self, number: i64) -> (Value, Vec<u8>) {
        let key = format!("round {number}");
        let upload = self.upload("scan.nii.gz", &SCAN);
        let (status, job) = self.post("/api/v1/jobs", &key, &json!({ "upload": upload }));
        assert_eq!(status, 201, "{job}");
        let id = job["id"].as_str().unwrap().to_owned();
        // A client that has no answer asks again and gets the same job.
        let (_, again) = self.post("/api/v1/jobs", &key, &json!({ "upload": upload }));
        assert_eq!(again["id"], job["id"]);
        let done = self.wait(&id);
        let own = self.data.join("jobs").join(&id);
        let lesions = fs::read(own.join("results/lesions.nii.gz")).unwrap();
        let map = self.upload("lesions.nii.gz", &lesions);
        let correction = json!({ "reviewer": "A", "verdict": "corrected", "upload": map });
        let path = format!("/api/v1/jobs/{id}/corrections");
        let (status, saved) = self.post(&path, "none", &correction);
        assert_eq!((status, &saved["version"]), (201, &json!(1)), "{saved}");
        assert_eq!(
            self.server.get(&format!("/api/v1/jobs/{id}"))["corrections"],
            1
        );
        // What the disk refused to remove goes when it takes changes again.
        pacs::wait_until("unfinished results are gone", || {
            names(&own) == ["results", "scan", "versions"]
        });
        assert_eq!(names(&own.join("versions")), ["1"]);
        let (status, _) = self.insist("DELETE", &format!("/api/v1/jobs/{id}"), ("x-n", "1"), b"");
        // A deletion whose answer was an error may have been done.
        assert!([204, 404].contains(&status), "{status}");
        self.faults.heal();
        pacs::wait_until("a deleted job is gone from the disk", || !own.exists());
        pacs::wait_until("uploads that are used up are gone", || {
            names(&self.data.join("uploads")).is_empty()
        });
        (done["share_involved"].clone(), lesions)
    }

    /// Checks what the program said, and that nothing is left.
    fn end(self) {
        let said = fs::read_to_string(&self.said).unwrap();
        assert!(!said.contains("panicked"), "{said}");
        for folder in ["jobs", "trash", "uploads"] {
            let folder = self.data.join(folder);
            pacs::wait_until("nothing is left", || names(&folder).is_empty());
        }
        assert_eq!(self.server.get("/api/v1/jobs")["total"], 0);
        assert_eq!(self.server.end(), Some(130));
    }
}

/// A configuration that lets analyses begin while little space is left.
fn config(folder: &Path) -> PathBuf {
    let path = folder.join("server.toml");
    fs::write(
        &path,
        "[limits]\nfree_disk_mib = 1\n[analysis]\nattempts = 1\n",
    )
    .unwrap();
    path
}

/// Lets the disk refuse at up to `most` steps of a round, on `servers` servers at a time.
fn sweep(most: i64, servers: i64, code: i64, names_only: bool) {
    let dir = tempfile::tempdir().unwrap();
    let Some(world) = World::start(&dir.path().join("first")) else {
        return;
    };
    let first = world.round(0);
    let before = world.faults.steps();
    assert_eq!(world.round(-1), first);
    let steps = world.faults.steps() - before;
    world.end();
    println!("{steps} steps from the upload to the deletion");
    assert!(steps > 60, "{steps}");
    let refusals = Mutex::new(0);
    std::thread::scope(|scope| {
        for server in 0..servers {
            let (dir, first, refusals) = (&dir, &first, &refusals);
            scope.spawn(move || {
                let world = World::start(&dir.path().join(server.to_string())).unwrap();
                // The first round also makes what is made once, such as the file of the database.
                world.round(0);
                let own = spread(steps, most).into_iter();
                for step in own.filter(|step| step % servers == server) {
                    world.faults.refuse(step, code, names_only);
                    assert_eq!(world.round(step), *first, "step {step}");
                    *refusals.lock().unwrap() += 1;
                }
                world.end();
            });
        }
    });
    println!("{} rounds", refusals.lock().unwrap());
}

#[test]
fn a_server_tells_of_a_full_disk_and_goes_on_when_there_is_room() {
    sweep(5, 1, FULL, false);
}

#[test]
#[ignore = "takes minutes: every step of the server"]
fn a_server_goes_on_after_a_full_disk_at_any_step() {
    sweep(i64::MAX, 4, FULL, false);
}

#[test]
fn a_server_tells_of_a_lost_permission_and_goes_on_when_it_has_it_again() {
    sweep(3, 1, READ_ONLY, true);
}

#[test]
#[ignore = "takes minutes: every step of the server"]
fn a_server_goes_on_after_a_lost_permission_at_any_step() {
    sweep(i64::MAX, 4, READ_ONLY, true);
}

#[test]
fn an_export_that_the_disk_refuses_leaves_nothing_and_succeeds_later() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Served::start(&["--data", text(&data)]);
    let id = server.upload("a").unwrap();
    server.wait_until_done(1, PATIENCE);
    let confirmed = br#"{ "reviewer": "A", "verdict": "confirmed" }"#.to_vec();
    let path = format!("/api/v1/jobs/{id}/corrections");
    assert_eq!(server.ask("POST", &path, "none", confirmed).unwrap().0, 201);
    server.end();
    let Some(faults) = Faults::new() else { return };
    let out = dir.path().join("places");
    fs::create_dir(&out).unwrap();
    let export = || {
        let mut command = multirnet();
        command.args(["cohort", "from-server", "--data", text(&data), "-o"]);
        command.arg(out.join("cohort"));
        faults.meet(&mut command, &out);
        command.output().unwrap()
    };
    let before = faults.steps();
    expect(&export(), 0);
    let steps = faults.steps() - before;
    let whole = names(&out.join("cohort"));
    for step in 1..=steps {
        fs::remove_dir_all(out.join("cohort")).unwrap();
        faults.refuse(step, FULL, false);
        let broken = export();
        if faults.failed() > 0 {
            expect(&broken, 5);
            assert!(names(&out).is_empty(), "step {step}: {:?}", names(&out));
            faults.heal();
            expect(&export(), 0);
        }
        faults.heal();
        assert_eq!(names(&out.join("cohort")), whole);
    }
}
