//! Preparation, the cache on disk, and the windows drawn from it.

mod common;

use common::{WINDOW, cohort, prepare_config, read, write_case};
use multirnet_anatomy::PrepareConfig;
use multirnet_cohort::Cache;
use multirnet_cohort::ErrorKind;
use multirnet_train::Sampler;
use multirnet_train::augment::AugmentConfig;
use multirnet_train::config::SamplingConfig;
use multirnet_train::sampler::fixed_windows;
use multirnet_train::window::ViewKind;
use multirnet_volume::{Diagnosis, Volume};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A stop flag that is never raised.
static GO: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[test]
fn entries_are_made_once_and_again_only_when_something_changed_or_broke() {
    let folder = tempfile::tempdir().unwrap();
    let case = write_case(folder.path(), "a", Diagnosis::Covid19, 1);
    let reads = AtomicUsize::new(0);
    let counted = |p: &Path| -> multirnet_cohort::Result<Volume<f32>> {
        reads.fetch_add(1, Ordering::SeqCst);
        read(p)
    };
    let dir = folder.path().join("cache");
    let open = |config: &PrepareConfig| Cache::new(&dir, config, 64, &counted);
    let config = prepare_config();
    let entry = open(&config).ensure(&case, &GO).unwrap();
    assert_eq!(open(&config).ensure(&case, &GO).unwrap(), entry);
    assert_eq!(
        reads.load(Ordering::SeqCst),
        1,
        "the second time comes from disk"
    );
    let first = open(&config).get(&case, &entry.key).unwrap();

    let file = dir.join(format!("{}.case", entry.key));
    let good = fs::read(&file).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [
        &flipped[..],
        &good[..good.len() / 2],
        b"",
        b"something else",
    ] {
        fs::write(&file, bad).unwrap();
        let before = reads.load(Ordering::SeqCst);
        let again = open(&config).get(&case, &entry.key).unwrap();
        assert_eq!(*again, *first);
        assert_eq!(reads.load(Ordering::SeqCst), before + 1);
        assert_eq!(fs::read(&file).unwrap(), good, "the entry is mended");
    }

    let other = PrepareConfig {
        margin_mm: 9.0,
        ..config.clone()
    };
    assert_ne!(open(&other).key(&case, &GO).unwrap(), entry.key);
    let mut renamed = case.clone();
    renamed.patient = "someone else".into();
    assert_eq!(open(&config).key(&renamed, &GO).unwrap(), entry.key);
    write_case(folder.path(), "a", Diagnosis::Covid19, 2);
    assert_ne!(
        open(&config).key(&case, &GO).unwrap(),
        entry.key,
        "the file changed"
    );
}

#[test]
fn one_failing_scan_does_not_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut cohort = cohort(folder.path(), 1);
    fs::write(&cohort.cases[1].scan, b"no volume").unwrap();
    // A normal scan with lesions contradicts itself.
    cohort.cases[2].class = Some(Diagnosis::Normal);
    let dir = folder.path().join("cache");
    let cache = Cache::new(&dir, &prepare_config(), 64, &read);
    let mut seen = 0;
    let results = cache
        .ensure_all(&cohort, 2, &mut |_, _| seen += 1, &AtomicBool::new(false))
        .unwrap();
    assert_eq!(seen, 3);
    assert!(results[0].is_ok());
    let errors: Vec<_> = results[1..]
        .iter()
        .map(|r| r.as_ref().unwrap_err())
        .collect();
    assert!(errors.iter().all(|e| e.kind() == ErrorKind::Scan));
    assert!(errors[0].to_string().contains("cap0"), "{}", errors[0]);
    assert!(
        errors[1].to_string().contains("covid190_mask"),
        "{}",
        errors[1]
    );
    assert_eq!(
        fs::read_dir(&dir).unwrap().count(),
        1,
        "no half-written entry is left"
    );
}

#[test]
fn memory_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path(), 8);
    let dir = folder.path().join("cache");
    let cache = Cache::new(&dir, &prepare_config(), 1, &read);
    for _ in 0..2 {
        for case in &cohort.cases {
            let entry = cache.ensure(case, &GO).unwrap();
            let prepared = cache.get(case, &entry.key).unwrap();
            assert!(prepared.bytes() > 100_000);
            assert!(cache.memory_bytes() <= 1 << 20);
        }
    }
}

#[test]
fn windows_follow_the_rules_of_sampling() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path(), 1);
    let dir = folder.path().join("cache");
    let config = prepare_config();
    let cache = Cache::new(&dir, &config, 64, &read);
    let prepared: Vec<_> = cohort
        .cases
        .iter()
        .map(|c| cache.get(c, &cache.ensure(c, &GO).unwrap().key).unwrap())
        .collect();
    let lesions = |k: usize| prepared[k].parts[0].local.lesion_voxels.len();
    assert_eq!(lesions(0), 0);
    assert!(lesions(2) > lesions(1));
    let sampling = SamplingConfig {
        patch_size: [16, 16, 16],
        ..SamplingConfig::default()
    };
    let sampler = Sampler::new(&cohort, &[0, 1, 2], &sampling, &AugmentConfig::none(), 3).unwrap();
    let (mut global, mut centred, mut local) = (0, 0, 0);
    let mut drawn = [0; 3];
    for item in 0..300 {
        let case = sampler.scan_of(item);
        drawn[case] += 1;
        let scan = &cohort.cases[case];
        let class = scan.class.unwrap();
        let window = sampler.window(item, case, scan, &prepared[case]);
        assert_eq!(window, sampler.window(item, case, scan, &prepared[case]));
        let lesion = window.labels.iter().any(|l| *l != 0);
        match window.kind {
            ViewKind::Global => {
                global += 1;
                assert_eq!(window.class, class.index());
            }
            ViewKind::Local => {
                let expected = if lesion { class } else { Diagnosis::Normal };
                assert_eq!(window.class, expected.index());
                if class != Diagnosis::Normal {
                    local += 1;
                    // A window of even sides has its centre voxel just past the middle.
                    let middle: [usize; 3] = [8, 8, 8];
                    let at = (middle[0] * 16 + middle[1]) * 16 + middle[2];
                    let near = [at, at - 1, at - 16, at - 256, at - 273];
                    centred += usize::from(near.iter().any(|&i| window.labels[i] != 0));
                }
            }
        }
    }
    assert_eq!(drawn, [100; 3], "each scan comes equally often");
    assert!((120..=180).contains(&global), "{global} of 300 are global");
    let share = f64::from(centred as u32) / f64::from(local as u32);
    assert!(
        (0.6..0.85).contains(&share),
        "{share} of the local windows are on lesions"
    );
}

#[test]
fn augmented_windows_differ_but_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path(), 1);
    let dir = folder.path().join("cache");
    let cache = Cache::new(&dir, &prepare_config(), 64, &read);
    let case = &cohort.cases[2];
    let prepared = cache
        .get(case, &cache.ensure(case, &GO).unwrap().key)
        .unwrap();
    let sampling = SamplingConfig {
        patch_size: WINDOW,
        ..SamplingConfig::default()
    };
    let draw = |augment: &AugmentConfig, item| {
        let sampler = Sampler::new(&cohort, &[2], &sampling, augment, 0).unwrap();
        sampler.window(item, 2, case, &prepared)
    };
    let (on, off) = (AugmentConfig::default(), AugmentConfig::none());
    let mut differ = 0;
    for item in 0..20 {
        assert_eq!(draw(&on, item), draw(&on, item));
        differ += usize::from(draw(&on, item).image != draw(&off, item).image);
        assert!(
            draw(&on, item)
                .image
                .iter()
                .all(|v| (0.0..=1.0).contains(v))
        );
    }
    assert!(differ > 10, "{differ}");
}

#[test]
fn validation_windows_are_fixed_and_thinned_evenly() {
    let windows = fixed_windows(&[4, 7], 2, 100);
    let show: Vec<_> = windows
        .iter()
        .map(|w| (w.case, w.kind == ViewKind::Global, w.number))
        .collect();
    assert_eq!(
        show,
        [
            (4, true, 0),
            (4, false, 1),
            (4, false, 2),
            (7, true, 0),
            (7, false, 1),
            (7, false, 2)
        ]
    );
    let thin = fixed_windows(&(0..10).collect::<Vec<_>>(), 3, 8);
    assert_eq!(thin.len(), 8);
    assert!(thin.iter().any(|w| w.case == 0) && thin.iter().any(|w| w.case >= 8));
    assert!(fixed_windows(&[], 3, 8).is_empty());
}
