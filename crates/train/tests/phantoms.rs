//! Phantoms in Hounsfield units go the whole way: manifest, gate, lungs, cache, training.

mod common;

use common::{WINDOW, config, model, read, run, turn};
use multirnet_anatomy::PrepareConfig;
use multirnet_cohort::{Cache, Case, Cohort};
use multirnet_phantom::PhantomConfig;
use multirnet_volume::{Diagnosis, io};

/// A stop flag that is never raised.
static GO: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[test]
fn phantoms_are_prepared_and_trained_on() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut cases = vec![];
    for class in Diagnosis::ALL {
        let phantom = PhantomConfig::sample(5, class, 128).generate().unwrap();
        let path = |what: &str| dir.join(format!("{}-{what}.nii", class.name()));
        io::write_nifti(&path("ct"), &phantom.ct).unwrap();
        io::write_nifti(&path("lesions"), &phantom.lesions).unwrap();
        let name = format!("phantom-{}", class.name());
        let mut case = Case::new(path("ct"), Some(path("lesions")), class, name);
        case.mask_values = vec![1, 2];
        cases.push(case);
    }
    let manifest = dir.join("cohort.csv");
    Cohort::new(cases).unwrap().write(&manifest).unwrap();
    let cohort = Cohort::read(&manifest).unwrap();

    let mut config = config();
    config.prepare = PrepareConfig {
        global_shape: WINDOW,
        ..PrepareConfig::default()
    };
    let cache_dir = dir.join("cache");
    let cache = Cache::new(&cache_dir, &config.prepare, 256, &read);
    for case in &cohort.cases {
        let entry = cache.ensure(case, &GO).unwrap();
        let healthy = case.class == Some(Diagnosis::Normal);
        assert_eq!(entry.lesion_voxels == 0, healthy, "{}", case.name());
        let prepared = cache.get(case, &entry.key).unwrap();
        let lungs = prepared.parts[0].local.lungs.data();
        let share = lungs.iter().filter(|l| **l != 0).count() as f64 / lungs.len() as f64;
        assert!(
            (0.15..0.8).contains(&share),
            "lungs fill {share} of their box"
        );
    }

    // A run of two steps tells both kinds of lesion apart.
    config.model = multirnet_nn::MultiRNetConfig {
        lesion_channels: 2,
        ..model()
    }
    .into();
    config.sampling.steps_per_epoch = Some(2);
    config.run.epochs = 1;
    let summary = run(&config, &cohort, dir, "run", false, None).unwrap();
    assert_eq!(summary.steps, 2);
}
