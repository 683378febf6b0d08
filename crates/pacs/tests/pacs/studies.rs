//! From received objects to jobs and deliveries, with a clock that tests set.

use crate::archive::Archive;
use crate::support::*;
use dicom_dictionary_std::uids;
use multirnet_base::StopToken;
use multirnet_pacs::store::{DeliveryState, JobState, Received, Store};
use multirnet_pacs::{Probe, run_job};
use std::path::Path;
use std::sync::Arc;

const MR: &str = uids::MR_IMAGE_STORAGE;

/// Analyses all jobs that may begin, and gives their number.
fn work(store: &Store) -> usize {
    let mut count = 0;
    while let Some(job) = store.next_job().unwrap() {
        run_job(store, &job, &analyse, &StopToken::new()).unwrap();
        count += 1;
    }
    count
}

#[test]
fn quiet_is_counted_from_the_last_object_of_any_series_of_each_study() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    clock.pass(20);
    receive_ct(&store, Name(2, 1, 1)).unwrap();
    receive_ct(&store, Name(1, 2, 1)).unwrap();
    clock.pass(20);
    assert_eq!(store.queue_ready().unwrap(), 0);
    receive_ct(&store, Name(2, 1, 2)).unwrap();
    clock.pass(10);
    assert_eq!(store.queue_ready().unwrap(), 1);
    assert_eq!(store.open_jobs()[0].id.study_uid, Name(1, 0, 0).study());
    clock.pass(20);
    assert_eq!(store.queue_ready().unwrap(), 1);
    assert_eq!(work(&store), 2);
    assert_eq!(store.queue_ready().unwrap(), 0);
}

#[test]
fn a_study_that_is_sent_again_unchanged_is_not_analysed_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    for round in 0..3 {
        // Each round is a program of its own.
        let store = store_with(dir.path(), &clock, "");
        for number in 1..=3 {
            let received = receive_ct(&store, Name(1, 1, number)).unwrap();
            let expected = if round == 0 {
                Received::Stored
            } else {
                Received::Known
            };
            assert_eq!(received, expected);
        }
        clock.pass(31);
        assert_eq!(store.queue_ready().unwrap(), usize::from(round == 0));
        work(&store);
    }
}

#[test]
fn a_series_that_grew_or_changed_gives_a_job_that_names_the_earlier_one() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut store = store_with(dir.path(), &clock, "");
    for (round, name, value) in [
        (1, Name(1, 1, 1), 1),
        (2, Name(1, 1, 2), 1),
        (3, Name(1, 1, 2), 9),
    ] {
        receive(&store, name, uids::CT_IMAGE_STORAGE, value).unwrap();
        if round == 3 {
            drop(store);
            store = store_with(dir.path(), &clock, "");
        }
        clock.pass(31);
        assert_eq!(store.queue_ready().unwrap(), 1, "round {round}");
        let job = store.next_job().unwrap().unwrap();
        assert_eq!(job.study.job.number, round);
        assert_eq!(job.study.objects.len(), round.min(2) as usize);
        let previous = job.study.previous.clone();
        assert_eq!(
            previous.as_ref().map(|p| p.number),
            round.checked_sub(1).filter(|n| *n > 0)
        );
        assert!(previous.is_none_or(|p| p.results.len() == 2));
        assert!(job.study.has_ct());
        run_job(&store, &job, &analyse, &StopToken::new()).unwrap();
    }
    let jobs = store.jobs_of(&Name(1, 0, 0).study()).unwrap();
    assert_eq!(
        jobs.iter().map(|j| j.previous).collect::<Vec<_>>(),
        [None, Some(1), Some(2)]
    );
    assert_eq!(
        files_below(&dir.path().join("store/studies/1.2.3.1/objects")).len(),
        2
    );
}

#[test]
fn objects_that_come_during_an_analysis_do_not_change_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    let job = next_job(&store, &clock);
    receive_ct(&store, Name(1, 1, 2)).unwrap();
    receive(&store, Name(1, 1, 1), uids::CT_IMAGE_STORAGE, 9).unwrap();
    assert_eq!(files_below(&job.study.folder).len(), 1);
    run_job(&store, &job, &analyse, &StopToken::new()).unwrap();
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 1);
    assert_eq!(store.next_job().unwrap().unwrap().study.objects.len(), 2);
}

#[test]
fn an_object_that_is_replaced_before_the_analysis_gives_way_to_a_later_job() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    clock.pass(31);
    store.queue_ready().unwrap();
    receive(&store, Name(1, 1, 1), uids::CT_IMAGE_STORAGE, 9).unwrap();
    assert!(store.next_job().unwrap().is_none());
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 1);
    assert_eq!(work(&store), 1);
    let jobs = store.jobs_of(&Name(1, 0, 0).study()).unwrap();
    assert_eq!(
        jobs.iter().map(|j| j.state).collect::<Vec<_>>(),
        [JobState::Superseded, JobState::Analysed]
    );
}

#[test]
fn studies_without_ct_are_kept_and_not_analysed() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    receive(&store, Name(1, 1, 1), MR, 1).unwrap();
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 0);
    drop(store);
    let store = store_with(dir.path(), &clock, "");
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 0);
    // With CT beside it, the analysis sees both; more of the other kind changes nothing.
    receive_ct(&store, Name(1, 2, 1)).unwrap();
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 1);
    let job = store.next_job().unwrap().unwrap();
    assert_eq!(job.study.objects.len(), 2);
    run_job(&store, &job, &analyse, &StopToken::new()).unwrap();
    receive(&store, Name(1, 1, 2), MR, 1).unwrap();
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 0);
}

#[test]
fn own_results_that_come_back_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut store = store_with(dir.path(), &clock, "");
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    clock.pass(31);
    store.queue_ready().unwrap();
    work(&store);
    let result = store.jobs_of("1.2.3.1").unwrap()[0].results[0].clone();
    let parts: Vec<u32> = result
        .sop_instance_uid
        .split('.')
        .skip(3)
        .map(|p| p.parse().unwrap())
        .collect();
    for _ in 0..2 {
        let name = Name(parts[0], parts[1], parts[2]);
        let received = receive(&store, name, &result.sop_class_uid, 5).unwrap();
        assert_eq!(received, Received::Known);
        drop(store);
        store = store_with(dir.path(), &clock, "");
    }
}

/// A store with one analysed study and two destinations.
fn analysed(dir: &Path, clock: &Arc<TestClock>, rest: &str) -> Store {
    let store = store_with(dir, clock, rest);
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    clock.pass(31);
    store.queue_ready().unwrap();
    work(&store);
    store
}

#[test]
fn an_archive_that_is_down_for_an_hour_gets_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut store = analysed(dir.path(), &clock, DESTINATIONS);
    let (mut up, mut down) = (Archive::default(), Archive::default());
    down.is_down = true;
    for second in 0..5400 {
        down.is_down = second < 3600;
        up.take_due(&store, "a").unwrap();
        down.take_due(&store, "b").unwrap();
        clock.pass(1);
        if second % 1000 == 999 {
            drop(store);
            store = store_with(dir.path(), &clock, DESTINATIONS);
        }
    }
    assert_eq!(up.attempts, 1);
    for archive in [&up, &down] {
        assert_eq!(
            archive.received.values().copied().collect::<Vec<_>>(),
            [1, 1]
        );
    }
    // 10, 20, 40 … 640, 900, 900 … seconds apart.
    assert!((8..=12).contains(&down.attempts), "{}", down.attempts);
    assert!(store.open_jobs().is_empty());
}

#[test]
fn one_refused_object_does_not_sink_the_others_and_is_not_sent_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = analysed(dir.path(), &clock, DESTINATIONS);
    let refused = store.open_jobs()[0].results[0].sop_instance_uid.clone();
    let mut archive = Archive {
        refuses: Some(refused.clone()),
        ..Archive::default()
    };
    for _ in 0..10 {
        archive.take_due(&store, "a").unwrap();
        clock.pass(1000);
    }
    assert_eq!((archive.attempts, archive.received.len()), (3, 1));
    let job = store.open_jobs()[0].clone();
    let delivery = &job.results[0].deliveries["a"];
    assert_eq!(delivery.state, DeliveryState::Refused);
    assert_eq!(delivery.reason.as_deref(), Some("no such class"));
    // The administrator has the class enabled and asks again.
    archive.refuses = None;
    assert_eq!(store.retry_refused("1.2.3.1").unwrap(), 1);
    archive.take_due(&store, "a").unwrap();
    assert_eq!(archive.received[&refused], 1);
}

#[test]
fn a_destination_is_given_up_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let rest = DESTINATIONS.replace("retry_seconds", "give_up_hours = 2\nretry_seconds");
    let store = analysed(dir.path(), &clock, &rest);
    let mut archive = Archive {
        is_down: true,
        ..Archive::default()
    };
    for _ in 0..10 {
        archive.take_due(&store, "a").unwrap();
        archive.take_due(&store, "b").unwrap();
        clock.pass(1800);
    }
    assert!(store.open_jobs().is_empty());
    let job = &store.jobs_of("1.2.3.1").unwrap()[0];
    assert!(job.deliveries().all(|d| d.state == DeliveryState::Refused));
}

#[test]
fn a_destination_that_is_not_configured_any_more_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = analysed(dir.path(), &clock, DESTINATIONS);
    drop(store);
    let rest = DESTINATIONS.replace("to = [\"a\", \"b\"]", "to = [\"a\"]");
    let store = store_with(dir.path(), &clock, &rest);
    let mut archive = Archive::default();
    archive.take_due(&store, "a").unwrap();
    assert_eq!(archive.received.len(), 2);
    assert!(store.open_jobs().is_empty());
}

#[test]
fn failing_analyses_are_tried_again_and_do_not_hold_others_up() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    receive_ct(&store, Name(2, 1, 1)).unwrap();
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 2);
    let bad =
        |study: &multirnet_pacs::store::ReceivedStudy, out: &Path, stop: &StopToken| match study
            .job
            .study_uid
            .as_str()
        {
            "1.2.3.1" => panic!("a bug"),
            _ => analyse(study, out, stop),
        };
    let mut runs = 0;
    for _ in 0..2000 {
        while let Some(job) = store.next_job().unwrap() {
            run_job(&store, &job, &bad, &StopToken::new()).unwrap();
            runs += 1;
        }
        clock.pass(1);
    }
    assert_eq!(runs, 4);
    assert_eq!(
        store.jobs_of("1.2.3.2").unwrap()[0].state,
        JobState::Analysed
    );
    let failed = &store.jobs_of("1.2.3.1").unwrap()[0];
    assert_eq!((failed.state, failed.failures), (JobState::Failed, 3));
}

#[test]
fn results_outside_their_folder_or_twice_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    let job = next_job(&store, &clock);
    let good = write_ct(&job.out, Name(1, 900, 1));
    let outside = write_ct(dir.path(), Name(1, 900, 2));
    let climbing = job.out.join("../results").join(good.file_name().unwrap());
    let text = job.out.join("text");
    std::fs::write(&text, "no object").unwrap();
    let id = &job.study.job;
    for paths in [
        vec![outside],
        vec![climbing],
        vec![text],
        vec![good.clone(), good.clone()],
    ] {
        assert!(
            store.finish_job(id, &paths, 0.0, None).is_err(),
            "{paths:?}"
        );
    }
    store.finish_job(id, &[good], 0.0, None).unwrap();
}

#[test]
fn retention_removes_delivered_studies_by_age_and_never_open_ones() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let rest = format!("{DESTINATIONS}[retention]\ndays = 7\n");
    let store = analysed(dir.path(), &clock, &rest);
    let objects = dir.path().join("store/studies/1.2.3.1/objects");
    clock.pass(8 * 86_400);
    assert_eq!(store.retain().unwrap(), 0, "results are not delivered");
    let mut archive = Archive::default();
    archive.take_due(&store, "a").unwrap();
    archive.take_due(&store, "b").unwrap();
    assert_eq!(store.retain().unwrap(), 1);
    assert!(files_below(&objects).is_empty());
    // Sent again, it is stored and not analysed again, also by a new program.
    assert_eq!(receive_ct(&store, Name(1, 1, 1)).unwrap(), Received::Stored);
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 0);
    drop(store);
    let store = store_with(dir.path(), &clock, &rest);
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 0);
}

#[test]
fn retention_by_size_removes_the_oldest_delivered_studies() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    // Nothing may stay, so every study that is delivered goes.
    let rest = format!("{DESTINATIONS}[retention]\ngib = 0\n");
    let store = analysed(dir.path(), &clock, &rest);
    let mut archive = Archive::default();
    archive.take_due(&store, "a").unwrap();
    archive.take_due(&store, "b").unwrap();
    // This one still waits for its analysis.
    receive_ct(&store, Name(2, 1, 1)).unwrap();
    assert_eq!(store.retain().unwrap(), 1);
    let objects = |study: &str| {
        let folder = dir.path().join("store/studies").join(study);
        files_below(&folder.join("objects")).len()
    };
    assert_eq!([objects("1.2.3.1"), objects("1.2.3.2")], [0, 1]);
    assert_eq!(store.jobs_of("1.2.3.1").unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn a_new_store_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &str| {
        let metadata = std::fs::metadata(dir.path().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    let clock = TestClock::new();
    drop(store_with(dir.path(), &clock, ""));
    assert_eq!(mode("store"), 0o700);
    // An administrator may open it.
    let opened = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(dir.path().join("store"), opened).unwrap();
    drop(store_with(dir.path(), &clock, ""));
    assert_eq!(mode("store"), 0o750);
    let audit = dir.path().join("log/audit.jsonl");
    multirnet_pacs::Audit::new(Some(&audit), clock).unwrap();
    assert_eq!(mode("log/audit.jsonl"), 0o600);
}

#[test]
fn a_store_has_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let _store = store_with(dir.path(), &clock, "");
    let error = open_store(&open_config(dir.path(), ""), &clock, Probe::default());
    assert!(error.err().unwrap().to_string().contains("another program"));
}
