//! A listener with everything: a study comes in, its results arrive at an archive.

use crate::network::{node, outcomes};
use crate::support::*;
use multirnet_pacs::Probe;
use multirnet_pacs::store::Outcome;
use std::fs;
use std::time::{Duration, Instant};

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "waited in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn results_reach_the_archive_and_the_log_names_no_patient() {
    let dir = tempfile::tempdir().unwrap();
    let archive_dir = dir.path().join("archive");
    fs::create_dir(&archive_dir).unwrap();
    let admit = "[[listener.allow]]\n";
    let archive_config = config(&archive_dir, admit, "");
    while_listening(&archive_config, Probe::default(), |archive, _| {
        let rest = format!(
            "[audit]\nfile = \"audit.jsonl\"\n[delivery]\nto = [\"archive\"]\n\
             [[node]]\nname = \"archive\"\nprotocol = \"dimse\"\nae_title = \"NODE\"\n\
             address = \"{archive}\"\n"
        );
        let mut node_config = config(dir.path(), admit, &rest);
        node_config.store.quiet_seconds = 1;
        let files: Vec<_> = [Name(1, 1, 1), Name(2, 1, 1), Name(1, 1, 2), Name(2, 2, 1)]
            .map(|name| write_ct(dir.path(), name))
            .into();
        while_listening(&node_config, Probe::default(), |address, store| {
            assert_eq!(
                outcomes(&node(address), &files),
                vec![Outcome::Delivered; 4]
            );
            let studies = archive_dir.join("store/studies");
            wait_until("results in the archive", || {
                files_below(&studies).len() == 4
            });
            wait_until("no open job", || store.open_jobs().is_empty());
        });
        let log = fs::read_to_string(dir.path().join("audit.jsonl")).unwrap();
        for line in log.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(
                event["time"].is_string() && event["event"].is_string(),
                "{line}"
            );
        }
        assert!(!log.contains("Secret") && !log.contains("\"P1\""), "{log}");
        for (event, count) in [
            ("object_stored", 4),
            ("job_queued", 2),
            ("job_analysed", 2),
            ("delivered", 4),
        ] {
            let name = format!("\"event\":\"{event}\"");
            assert_eq!(
                log.lines().filter(|l| l.contains(&name)).count(),
                count,
                "{event}"
            );
        }
    });
}

#[test]
fn an_analysis_that_is_asked_to_end_runs_again_later() {
    use multirnet_base::StopToken;
    use multirnet_pacs::store::ReceivedStudy;
    use multirnet_pacs::{AnalysisError, Listener, ListenerOptions};
    use std::path::{Path, PathBuf};
    let dir = tempfile::tempdir().unwrap();
    let mut config = open_config(dir.path(), "");
    config.store.quiet_seconds = 0;
    let stop = StopToken::new();
    let endless =
        |_: &ReceivedStudy, _: &Path, stop: &StopToken| -> Result<Vec<PathBuf>, AnalysisError> {
            // The test raises the token through this one.
            stop.raise();
            Err("stopped".into())
        };
    let listener = Listener::bind(&config, ListenerOptions::default()).unwrap();
    receive_ct(listener.store(), Name(1, 1, 1)).unwrap();
    listener.run(&endless, &stop).unwrap();
    while_listening(&config, Probe::default(), |_, store| {
        wait_until("results", || {
            store.open_jobs().is_empty() && store.jobs_of("1.2.3.1").unwrap().len() == 1
        });
        let job = &store.jobs_of("1.2.3.1").unwrap()[0];
        assert_eq!((job.failures, job.results.len()), (0, 2));
        assert!(job.starts >= 2);
    });
}

#[test]
fn the_memory_plan_follows_the_limits() {
    use multirnet_pacs::{Listener, ListenerOptions};
    let dir = tempfile::tempdir().unwrap();
    let bind = |config: &_| {
        Listener::bind(config, ListenerOptions::default())
            .unwrap()
            .memory_plan_bytes()
    };
    let mut config = open_config(dir.path(), "");
    let small = bind(&config);
    config.listener.max_associations *= 4;
    assert!(small < 64 << 20 && bind(&config) > small);
}
