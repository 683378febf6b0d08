//! The program is killed at every step: each acknowledged object is analysed and delivered, once.

use crate::archive::Archive;
use crate::support::*;
use multirnet_base::StopToken;
use multirnet_pacs::store::JobState;
use multirnet_pacs::{Probe, Step, run_job};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const OBJECTS: [Name; 5] = [
    Name(1, 1, 1),
    Name(2, 1, 1),
    Name(1, 1, 2),
    Name(1, 2, 1),
    Name(2, 1, 2),
];

/// A probe that lets `lives` steps pass and then none: the program is dead.
fn mortal(lives: usize) -> (Probe, Arc<AtomicUsize>, Arc<Mutex<Option<Step>>>) {
    let count = Arc::new(AtomicUsize::new(0));
    let last = Arc::new(Mutex::new(None));
    let (steps, died) = (count.clone(), last.clone());
    let probe = Probe::new(move |step| {
        if steps.fetch_add(1, Ordering::SeqCst) < lives {
            return Ok(());
        }
        died.lock().unwrap().get_or_insert(step);
        Err(io::Error::other("killed"))
    });
    (probe, count, last)
}

/// What outlives the program.
#[derive(Default)]
struct World {
    acknowledged: BTreeSet<Name>,
    archives: [Archive; 2],
    analyses: usize,
}

/// One life of the program: everything there is to do, until it is done or the program is dead.
/// Gives the number of steps and at which step it died.
fn live(
    dir: &Path,
    clock: &Arc<TestClock>,
    world: &mut World,
    lives: usize,
) -> (usize, Option<Step>) {
    let (probe, count, died) = mortal(lives);
    let store = open_store(&open_config(dir, DESTINATIONS), clock, probe).unwrap();
    let is_dead = || died.lock().unwrap().is_some();
    for name in OBJECTS {
        if !is_dead() && !world.acknowledged.contains(&name) && receive_ct(&store, name).is_ok() {
            world.acknowledged.insert(name);
        }
    }
    for _ in 0..20 {
        if is_dead() {
            break;
        }
        clock.pass(31);
        let _ = store.queue_ready();
        while !is_dead()
            && let Ok(Some(job)) = store.next_job()
        {
            world.analyses += 1;
            let _ = run_job(&store, &job, &analyse, &StopToken::new());
        }
        for (archive, name) in world.archives.iter_mut().zip(["a", "b"]) {
            while !is_dead() && archive.take_due(&store, name).is_ok_and(|n| n > 0) {}
        }
    }
    (count.load(Ordering::SeqCst), *died.lock().unwrap())
}

/// Lives with the given numbers of steps, then one without end; checks the world.
fn check(kills: &[usize]) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut world = World::default();
    let mut died_at = BTreeSet::new();
    for &lives in kills {
        let (_, died) = live(dir.path(), &clock, &mut world, lives);
        died_at.extend(died.map(|step| format!("{step:?}")));
    }
    live(dir.path(), &clock, &mut world, usize::MAX);
    assert_eq!(world.acknowledged.len(), OBJECTS.len(), "{kills:?}");
    assert!(world.analyses <= 2 + kills.len(), "{kills:?}");

    let store = open_store(
        &open_config(dir.path(), DESTINATIONS),
        &clock,
        Probe::default(),
    )
    .unwrap();
    assert!(store.open_jobs().is_empty(), "{kills:?}");
    let mut results = BTreeSet::new();
    for study in ["1.2.3.1", "1.2.3.2"] {
        let jobs = store.jobs_of(study).unwrap();
        assert_eq!(jobs.len(), 1, "{kills:?}");
        assert_eq!(jobs[0].state, JobState::Analysed);
        results.extend(jobs[0].results.iter().map(|r| r.sop_instance_uid.clone()));
    }
    assert_eq!(results.len(), 4);
    for archive in &world.archives {
        let has: BTreeSet<String> = archive.received.keys().cloned().collect();
        assert_eq!(has, results, "{kills:?}");
        // An object is sent again only if the program died before it could note the answer.
        let again: usize = archive.received.values().map(|n| n - 1).sum();
        assert!(again <= kills.len() * 2, "{kills:?}: {again}");
    }
    died_at
}

#[test]
fn a_kill_at_any_step_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::default();
    let (steps, _) = live(dir.path(), &TestClock::new(), &mut world, usize::MAX);
    assert!(steps > 40, "{steps}");
    assert_eq!(world.analyses, 2);
    let mut died_at = BTreeSet::new();
    for lives in 0..steps {
        died_at.extend(check(&[lives]));
    }
    // The table has every step but that of the retention rule.
    assert_eq!(died_at.len(), 9, "{died_at:?}");
}

#[test]
fn several_kills_in_a_row_lose_and_double_nothing() {
    for seed in 0_usize..30 {
        let kills: Vec<usize> = (1..=4).map(|i| seed * 7919 * i % 37).collect();
        check(&kills);
    }
}
