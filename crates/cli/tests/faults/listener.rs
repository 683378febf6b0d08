//! The listener meets a disk that refuses at each step from the first object to the last delivery. What
//! it acknowledged is analysed and delivered, once, and it goes on without a restart.

use crate::common::{multirnet, names};
use crate::injected::{FULL, Faults, READ_ONLY, spread};
use crate::pacs::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the disk stays full after it has refused work that no sender waits for.
const FULL_FOR: Duration = Duration::from_millis(300);

/// A listener whose folder can refuse.
struct Node<'a> {
    listener: Running,
    faults: Faults,
    /// The listener's own folder, with its store and its log.
    own: PathBuf,
    /// The folder with the archive.
    folder: &'a Path,
}

impl<'a> Node<'a> {
    fn start(folder: &'a Path, name: &str, archive: std::net::SocketAddr) -> Option<Self> {
        let faults = Faults::new()?;
        let own = folder.join(name);
        fs::create_dir(&own).unwrap();
        let config = configure(&own, archive, 2);
        let mut command = multirnet();
        command.arg("listen").arg(config);
        faults.meet(&mut command, &own);
        Some(Self {
            listener: Running::begin(command),
            faults,
            own,
            folder,
        })
    }

    /// A study comes in, is analysed and delivered. Gives its results by their names.
    fn round(&self, number: u8) -> BTreeMap<String, Vec<u8>> {
        let files = study(&self.own.join("../sent"), number);
        let mut rounds = 0;
        while self.listener.send(&files) < files.len() {
            // A scanner sends again what was not acknowledged.
            assert!(self.faults.failed() > 0, "refused by a sound disk");
            self.faults.heal();
            rounds += 1;
            assert!(
                rounds < 5,
                "the listener still refuses: {}",
                self.listener.said()
            );
        }
        let has_all = || {
            if self.faults.failed() > 0 {
                std::thread::sleep(FULL_FOR);
                self.faults.heal();
            }
            let open = self.own.join("store/studies").join(study_uid(number));
            results(self.folder, number).len() == 4 && is_finished(&open.join("jobs/1/job.json"))
        };
        wait_until("four results", has_all);
        self.faults.heal();
        let jobs = self
            .own
            .join("store/studies")
            .join(study_uid(number))
            .join("jobs");
        assert_eq!(names(&jobs), ["1"], "study {number}");
        let found = results(self.folder, number);
        let read = |p: &PathBuf| {
            let class = multirnet_dicom::FileIdentity::read(p)
                .unwrap()
                .object
                .sop_class_uid;
            (class, fs::read(p).unwrap())
        };
        found.iter().map(read).collect()
    }

    fn end(self) {
        let said = self.listener.said();
        assert!(!said.contains("panicked"), "{said}");
        // Each line of the log is whole.
        let log = fs::read_to_string(self.own.join("audit.jsonl")).unwrap();
        for line in log.lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(event["event"].is_string(), "{line}");
        }
        assert!(files_below(&self.own.join("store/incoming")).is_empty());
        assert_eq!(self.listener.end(), Some(130));
    }
}

/// Whether a job's record says that nothing is left to do.
fn is_finished(record: &Path) -> bool {
    let text = fs::read_to_string(record).unwrap_or_default();
    text.contains("\"analysed\"") && !text.contains("\"pending\"")
}

/// Lets the disk refuse at up to `most` steps of a study, on `listeners` listeners at a time. `told` are
/// the words that an administrator reads.
fn sweep(most: i64, listeners: i64, code: i64, names_only: bool, told: &str) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    with_archive(folder, |archive, _| {
        let Some(node) = Node::start(folder, "first", archive) else {
            return;
        };
        let first = node.round(250);
        assert_eq!(first.len(), 4);
        let before = node.faults.steps();
        node.round(251);
        let steps = node.faults.steps() - before;
        node.end();
        println!("{steps} steps from the first object to the last delivery");
        assert!(steps > 100, "{steps}");
        // Studies have numbers of one byte.
        let all = spread(steps, most.min(240));
        std::thread::scope(|scope| {
            for listener in 0..listeners {
                let (all, name) = (&all, listener.to_string());
                scope.spawn(move || {
                    let node = Node::start(folder, &name, archive).unwrap();
                    let mut has_told = false;
                    for (step, number) in all.iter().zip(1_u8..) {
                        if i64::from(number) % listeners == listener {
                            node.faults.refuse(*step, code, names_only);
                            assert_eq!(node.round(number).len(), 4, "step {step}");
                            has_told |= node.listener.said().contains(told);
                        }
                    }
                    assert!(
                        has_told,
                        "{told:?} was never said: {}",
                        node.listener.said()
                    );
                    node.end();
                });
            }
        });
        println!("{} studies", all.len());
    });
}

#[test]
fn a_listener_goes_on_after_a_full_disk() {
    sweep(5, 1, FULL, false, "No space left on device");
}

#[test]
#[ignore = "takes minutes: every step of the listener"]
fn a_listener_goes_on_after_a_full_disk_at_any_step() {
    sweep(i64::MAX, 4, FULL, false, "No space left on device");
}

#[test]
fn a_listener_goes_on_after_a_lost_permission() {
    sweep(3, 1, READ_ONLY, true, "Read-only file system");
}

#[test]
#[ignore = "takes minutes: every step of the listener"]
fn a_listener_goes_on_after_a_lost_permission_at_any_step() {
    sweep(i64::MAX, 4, READ_ONLY, true, "Read-only file system");
}
