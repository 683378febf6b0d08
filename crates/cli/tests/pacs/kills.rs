//! The listener is killed while it receives, analyses and sends.

use crate::support::*;
use multirnet_base::random::Random;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How often the listener is killed; `MULTIRNET_KILLS` changes it.
const KILLS: u8 = 6;

/// Most milliseconds after which it is killed.
const LONGEST_MS: u64 = 8000;

#[test]
fn a_killed_listener_analyses_and_delivers_every_study_once() {
    let kills = std::env::var("MULTIRNET_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    with_archive(folder, |archive, _| {
        let config = configure(folder, archive, 3);
        let mut random = Random::new(11, 0);
        for number in 1..=kills {
            let files = study(folder, number);
            let killed = Running::start(&config);
            let wait = random.below(LONGEST_MS as usize) as u64;
            std::thread::scope(|scope| {
                scope.spawn(|| killed.send(&files));
                std::thread::sleep(Duration::from_millis(wait));
                kill(&killed);
            });
            drop(killed);
            // A scanner sends again what was not acknowledged. It does so before the study is quiet.
            let listener = Running::start(&config);
            assert_eq!(listener.send(&files), files.len());
        }
        let _last = Running::start(&config);
        // Most studies wait in the queue by now.
        let patience = Duration::from_secs(120 + 10 * u64::from(kills));
        for number in 1..=kills {
            let has_all = || results(folder, number).len() == 4;
            wait_within(patience, "four results", has_all);
        }
        wait_until("deliveries noted", || {
            delivered(folder).len() == 4 * usize::from(kills)
        });
    });
    // One job each: no study was taken for complete too early, none was analysed again.
    for number in 1..=kills {
        let jobs = folder
            .join("store/studies")
            .join(study_uid(number))
            .join("jobs");
        assert_eq!(crate::common::names(&jobs), ["1"], "study {number}");
        assert_eq!(results(folder, number).len(), 4, "study {number}");
    }
    println!("killed {kills} times within {LONGEST_MS} ms, then once more each");
}

fn kill(listener: &Running) {
    let process = listener.process().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-9", &process])
        .status();
    assert!(killed.unwrap().success());
}

/// The objects that the log calls delivered.
fn delivered(folder: &Path) -> BTreeSet<String> {
    let events = audited(folder, "delivered");
    events.iter().map(|e| e["object"].to_string()).collect()
}
