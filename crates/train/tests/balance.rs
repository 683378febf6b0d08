//! Sources and classes come equally often.

mod common;

use common::{config, options, split};
use multirnet_cohort::{Case, Cohort};
use multirnet_train::augment::AugmentConfig;
use multirnet_train::config::SamplingConfig;
use multirnet_train::{Event, Sampler, TrainConfig, train};
use multirnet_volume::Diagnosis;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// A cohort of files that are never read.
fn listed(scans: &[(&str, Option<Diagnosis>, usize)]) -> Cohort {
    let mut cases = vec![];
    for &(source, class, n) in scans {
        for _ in 0..n {
            let name = format!("{}", cases.len());
            let mut case = Case::new(name.clone(), Some("m".into()), class, name);
            case.source = source.into();
            cases.push(case);
        }
    }
    Cohort { cases }
}

fn sampler(cohort: &Cohort, sampling: &SamplingConfig) -> multirnet_train::Result<Sampler> {
    let all: Vec<usize> = (0..cohort.cases.len()).collect();
    Sampler::new(cohort, &all, sampling, &AugmentConfig::none(), 9)
}

#[test]
fn sources_and_their_classes_come_equally_often_and_so_do_the_scans_of_each() {
    let cohort = listed(&[
        ("east", Some(Diagnosis::Normal), 5),
        ("east", Some(Diagnosis::Covid19), 3),
        ("west", None, 2),
    ]);
    let mut sampling = SamplingConfig::default();
    let draw = |sampling: &SamplingConfig, items: u64| {
        let sampler = sampler(&cohort, sampling).unwrap();
        let mut counts = [0usize; 10];
        for item in 0..items {
            let scan = sampler.scan_of(item);
            assert_eq!(scan, sampler.scan_of(item));
            counts[scan] += 1;
        }
        counts
    };
    // Each source gives half of the items, each class half of the east's, and each scan of a class
    // equally many.
    let counts = draw(&sampling, 1200);
    assert_eq!(counts, [60, 60, 60, 60, 60, 100, 100, 100, 300, 300]);

    sampling.source_weights = BTreeMap::from([("east".into(), 3.0)]);
    let counts = draw(&sampling, 1200);
    assert_eq!(counts[8] + counts[9], 300, "one to three: {counts:?}");
    sampling.source_weights = BTreeMap::from([("east".into(), 0.0)]);
    assert_eq!(draw(&sampling, 100)[8..], [50, 50]);

    sampling.source_weights = BTreeMap::new();
    sampling.balance_sources = false;
    let counts = draw(&sampling, 1500);
    let of = |range: std::ops::Range<usize>| counts[range].iter().sum::<usize>();
    assert_eq!([of(0..5), of(5..8), of(8..10)], [500; 3], "classes alone");
    sampling.balance_classes = false;
    assert_eq!(draw(&sampling, 1000), [100; 10]);
}

#[test]
fn source_weights_must_name_sources_and_mean_something() {
    let cohort = listed(&[("east", Some(Diagnosis::Cap), 2)]);
    let weights = |name: &str, weight| SamplingConfig {
        source_weights: BTreeMap::from([(name.to_owned(), weight)]),
        ..SamplingConfig::default()
    };
    let error = sampler(&cohort, &weights("est", 2.0)).unwrap_err();
    assert_eq!(error.kind(), multirnet_train::ErrorKind::Config);
    let text = error.to_string();
    assert!(
        text.contains("\"est\"") && text.contains("\"east\""),
        "{text}"
    );
    let error = sampler(&cohort, &weights("east", 0.0)).unwrap_err();
    assert!(error.to_string().contains("no source"), "{error}");

    let text = "[sampling.source_weights]\neast = 2.5\n";
    let read = TrainConfig::parse(text).unwrap();
    assert_eq!(read.sampling.source_weights["east"], 2.5);
    assert_eq!(TrainConfig::parse(&read.to_toml().unwrap()).unwrap(), read);
    for bad in [
        "[sampling.source_weights]\neast = -1.0\n",
        "[sampling]\nbalance_sources = false\nsource_weights = { east = 2.0 }\n",
    ] {
        let error = TrainConfig::parse(bad).unwrap_err();
        assert!(error.to_string().contains("source_weights"), "{error}");
    }
}

#[test]
fn a_source_that_tells_the_class_is_warned_of_where_classes_are_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let mut cohort = common::cohort(folder.path(), 1);
    let warnings = |cohort: &Cohort, config: &TrainConfig, name: &str| {
        let mut found = vec![];
        let (out, cache) = (folder.path().join(name), folder.path().join("cache"));
        let options = options(&out, &cache, false);
        // The warning comes before any scan is prepared, so the training may stop then.
        let stop = AtomicBool::new(true);
        let mut observer = |event: &Event| {
            if let Event::Warning(text) = event {
                found.push(text.clone());
            }
        };
        let split = split(cohort);
        assert!(train(config, cohort, &split, &options, &mut observer, &stop).is_err());
        found
    };
    let config = config();
    assert!(warnings(&cohort, &config, "one source").is_empty());
    cohort.cases[2].source = "clinic".into();
    let found = warnings(&cohort, &config, "two sources");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("\"clinic\"") && found[0].contains("COVID-19"),
        "{found:?}"
    );
    let mut segmenting = config.clone();
    segmenting.model = multirnet_nn::MultiRNetConfig {
        classification: false,
        ..common::model()
    }
    .into();
    assert!(warnings(&cohort, &segmenting, "no classes").is_empty());
    cohort.cases[2].class = None;
    assert!(warnings(&cohort, &config, "class unknown").is_empty());
}
