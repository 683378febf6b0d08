//! A disk that refuses, and records that are damaged.

use crate::archive::Archive;
use crate::support::*;
use multirnet_base::StopToken;
use multirnet_pacs::{ErrorKind, Probe, Step, run_job};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A probe that refuses `step` while the flag is up.
fn refusing(step: Step) -> (Probe, Arc<AtomicBool>) {
    let is_full = Arc::new(AtomicBool::new(true));
    let flag = is_full.clone();
    let probe = Probe::new(
        move |asked| match asked == step && flag.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        },
    );
    (probe, is_full)
}

#[test]
fn a_disk_that_is_full_for_an_hour_costs_time_and_nothing_else() {
    for step in [
        Step::WriteInputs,
        Step::WriteJob,
        Step::Analyse,
        Step::SyncResults,
        Step::RecordDelivery,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let clock = TestClock::new();
        let (probe, is_full) = refusing(step);
        let store = open_store(&open_config(dir.path(), DESTINATIONS), &clock, probe).unwrap();
        let mut archives = [Archive::default(), Archive::default()];
        receive_ct(&store, Name(1, 1, 1)).unwrap();
        let mut errors = 0;
        for second in 0..3700 {
            is_full.store(second < 3600, Ordering::SeqCst);
            errors += usize::from(store.queue_ready().is_err());
            match store.next_job() {
                Ok(Some(job)) => {
                    errors +=
                        usize::from(run_job(&store, &job, &analyse, &StopToken::new()).is_err())
                }
                Ok(None) => {}
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::Write);
                    errors += 1;
                }
            }
            for (archive, name) in archives.iter_mut().zip(["a", "b"]) {
                errors += usize::from(archive.take_due(&store, name).is_err());
            }
            clock.pass(1);
        }
        // Once in ten seconds, not in every round.
        assert!((1..=800).contains(&errors), "{step:?}: {errors}");
        assert!(store.open_jobs().is_empty(), "{step:?}");
        assert_eq!(store.jobs_of("1.2.3.1").unwrap().len(), 1);
        for archive in &archives {
            assert_eq!(archive.received.len(), 2, "{step:?}");
        }
    }
}

#[test]
fn damaged_records_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    clock.pass(31);
    store.queue_ready().unwrap();
    drop(store);
    let record = dir.path().join("store/studies/1.2.3.1/jobs/1/job.json");
    let good = std::fs::read_to_string(&record).unwrap();
    for (text, told) in [
        ("{", "damaged"),
        (
            &good.replace("\"version\": 1", "\"version\": 99"),
            "later version",
        ),
        (&good.replace("1.2.3.1", "1.2.3.2"), "another job"),
    ] {
        std::fs::write(&record, text).unwrap();
        let error = open_store(&open_config(dir.path(), ""), &clock, Probe::default())
            .err()
            .unwrap();
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert!(error.to_string().contains("job.json"), "{error}");
    }
    std::fs::write(&record, good).unwrap();
    // What is not a study, an object or a job is left alone.
    for stray in [
        "studies/notes.txt",
        "studies/1.2.3.1/objects/x/y.txt",
        "studies/1.2.3.1/jobs/old/z",
    ] {
        let path = dir.path().join("store").join(stray);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    assert_eq!(store_with(dir.path(), &clock, "").open_jobs().len(), 1);
}

#[test]
fn data_sets_without_identifiers_or_with_others_are_refused() {
    use dicom_dictionary_std::uids;
    use multirnet_pacs::store::IncomingObject;
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    let begin = |instance: &str| {
        store.receive(IncomingObject {
            sop_class_uid: uids::CT_IMAGE_STORAGE.to_owned(),
            sop_instance_uid: instance.to_owned(),
            transfer_syntax: uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned(),
            ae_title: "T".to_owned(),
        })
    };
    let good = data_set(Name(1, 1, 1), uids::CT_IMAGE_STORAGE, 1);
    for (instance, bytes, kind) in [
        ("1.2.3.1.1.2", &good[..], ErrorKind::Refused),
        ("1.2.3.1.1.1", &good[..60], ErrorKind::Protocol),
        ("1.2.3.1.1.1", &[][..], ErrorKind::Protocol),
    ] {
        let mut incoming = begin(instance).unwrap();
        incoming.write(bytes).unwrap();
        assert_eq!(incoming.finish().unwrap_err().kind(), kind);
    }
    assert!(begin("../x").is_err());
    assert!(files_below(&dir.path().join("store/studies")).is_empty());
    assert!(files_below(&dir.path().join("store/incoming")).is_empty());
}

#[test]
fn objects_that_a_loss_of_power_damaged_are_removed_and_taken_again() {
    use multirnet_pacs::store::Received;
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, "");
    for number in 1..=3 {
        receive_ct(&store, Name(1, 1, number)).unwrap();
    }
    drop(store);
    let objects = files_below(&dir.path().join("store/studies/1.2.3.1/objects"));
    std::fs::write(&objects[0], b"").unwrap();
    let bytes = std::fs::read(&objects[1]).unwrap();
    std::fs::write(&objects[1], &bytes[..bytes.len() - 10]).unwrap();
    let store = store_with(dir.path(), &clock, "");
    assert_eq!(files_below(&dir.path().join("store/studies")).len(), 1);
    for (number, expected) in [
        (1, Received::Stored),
        (2, Received::Stored),
        (3, Received::Known),
    ] {
        assert_eq!(receive_ct(&store, Name(1, 1, number)).unwrap(), expected);
    }
    clock.pass(31);
    assert_eq!(store.queue_ready().unwrap(), 1);
    assert_eq!(store.next_job().unwrap().unwrap().study.objects.len(), 3);
}

#[test]
fn after_the_last_failed_attempt_the_destinations_are_told() {
    use multirnet_pacs::store::{JobState, ReceivedStudy};
    use multirnet_pacs::{Analyse, AnalysisError};
    use std::path::{Path, PathBuf};
    type Paths = Result<Vec<PathBuf>, AnalysisError>;
    struct Failing {
        panics: bool,
        answers: bool,
    }
    impl Analyse for Failing {
        fn analyse(&self, _: &ReceivedStudy, out: &Path, _: &StopToken) -> Paths {
            std::fs::write(out.join("half.dcm"), "x")?;
            assert!(!self.panics, "broken");
            Err("broken".into())
        }

        fn refuse(&self, study: &ReceivedStudy, out: &Path, reason: &str) -> Paths {
            assert!(files_below(out).is_empty());
            assert!(["broken", "the analysis panicked"].contains(&reason));
            match self.answers {
                true => analyse(study, out, &StopToken::new()),
                false => Err("this fails as well".into()),
            }
        }
    }
    for (panics, answers) in [(false, true), (true, true), (false, false)] {
        let dir = tempfile::tempdir().unwrap();
        let clock = TestClock::new();
        let store = store_with(dir.path(), &clock, DESTINATIONS);
        let mut archive = Archive::default();
        receive_ct(&store, Name(1, 1, 1)).unwrap();
        clock.pass(31);
        store.queue_ready().unwrap();
        let failing = Failing { panics, answers };
        for attempt in 1..=3 {
            let job = store.next_job().unwrap().unwrap();
            assert_eq!(store.is_last_attempt(&job.study.job), attempt == 3);
            run_job(&store, &job, &failing, &StopToken::new()).unwrap();
            assert!(attempt == 3 || store.next_job().unwrap().is_none());
            clock.pass(60 << attempt);
        }
        archive.take_due(&store, "a").unwrap();
        let job = store.jobs_of("1.2.3.1").unwrap().remove(0);
        assert!(job.reason.is_some());
        let expected = match answers {
            true => (JobState::Analysed, 2),
            false => (JobState::Failed, 0),
        };
        assert_eq!((job.state, archive.received.len()), expected);
    }
}

#[test]
fn a_disk_that_refuses_results_is_not_a_failure_of_the_study() {
    use multirnet_pacs::AnalysisError;
    use multirnet_pacs::store::{JobState, ReceivedStudy};
    use std::path::{Path, PathBuf};
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, DESTINATIONS);
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    clock.pass(31);
    store.queue_ready().unwrap();
    let is_full = AtomicBool::new(true);
    let refused = |study: &ReceivedStudy,
                   out: &Path,
                   stop: &StopToken|
     -> Result<Vec<PathBuf>, AnalysisError> {
        match is_full.load(Ordering::SeqCst) {
            true => Err(io::Error::from(io::ErrorKind::StorageFull).into()),
            false => analyse(study, out, stop),
        }
    };
    // Far more often than an analysis may fail.
    for _ in 0..20 {
        let job = store.next_job().unwrap().unwrap();
        let error = run_job(&store, &job, &refused, &StopToken::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Write);
        assert!(store.next_job().unwrap().is_none(), "it waits a while");
        clock.pass(11);
    }
    is_full.store(false, Ordering::SeqCst);
    let job = store.next_job().unwrap().unwrap();
    run_job(&store, &job, &refused, &StopToken::new()).unwrap();
    let job = store.jobs_of("1.2.3.1").unwrap().remove(0);
    assert_eq!((job.state, job.failures), (JobState::Analysed, 0));
}

#[test]
fn a_clock_that_was_ahead_makes_no_delivery_wait_and_none_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let ahead = TestClock::new();
    ahead.pass(40 * 86_400);
    let store = store_with(dir.path(), &ahead, DESTINATIONS);
    receive_ct(&store, Name(1, 1, 1)).unwrap();
    let job = next_job(&store, &ahead);
    run_job(&store, &job, &analyse, &StopToken::new()).unwrap();
    let mut archive = Archive {
        is_down: true,
        ..Archive::default()
    };
    archive.take_due(&store, "a").unwrap();
    drop(store);
    // Set right, and then 80 days ahead, which is longer than a delivery is tried.
    for days in [0, 80] {
        let clock = TestClock::new();
        clock.pass(days * 86_400);
        let store = store_with(dir.path(), &clock, DESTINATIONS);
        clock.pass(901);
        let before = archive.attempts;
        archive.take_due(&store, "a").unwrap();
        assert!(archive.attempts > before, "{days} days: nothing is due");
    }
    archive.is_down = false;
    let clock = TestClock::new();
    let store = store_with(dir.path(), &clock, DESTINATIONS);
    clock.pass(901);
    archive.take_due(&store, "a").unwrap();
    assert_eq!(archive.received.len(), 2);
}
