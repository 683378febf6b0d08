//! Inputs that are refused, limits of memory, and stops.

mod common;

use common::{case, grid, options, predict, predictor, seeing};
use multirnet_base::StopToken;
use multirnet_finding::Probabilities;
use multirnet_finding::ScanSource;
use multirnet_infer::{ErrorKind, Pipeline, PredictOptions, Stage, Tile, WindowOutput};
use multirnet_volume::{Orientation, Volume};

fn with(pipeline: Pipeline) -> PredictOptions {
    PredictOptions {
        pipeline,
        ..options()
    }
}

fn sick() -> common::Case {
    case(grid(Orientation::CANONICAL), true)
}

#[test]
fn a_network_that_gives_no_numbers_is_refused() {
    for bad in [f32::NAN, f32::INFINITY, -0.5, 1.5] {
        for pipeline in Pipeline::ALL {
            let predictor = predictor(1, move |window, _| {
                let mut lesion = vec![0.5; window.len()];
                lesion[7] = bad;
                WindowOutput {
                    lesion,
                    probabilities: Probabilities::from_array([1.0, 0.0, 0.0]),
                    cams: None,
                }
            });
            let case = sick();
            let error = predictor
                .analyse(
                    &case.scan,
                    Some(&case.lungs),
                    ScanSource::default(),
                    &with(pipeline),
                    &StopToken::new(),
                    &mut |_| {},
                )
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model);
            assert!(error.to_string().contains("another model"), "{error}");
        }
    }
}

#[test]
fn memory_is_planned_told_and_limited() {
    let predictor = seeing();
    let geometry = grid(Orientation::CANONICAL);
    let plan = predictor.plan(&geometry, false, &options());
    let voxels = geometry.len() as u64;
    // The plan holds at least the scan, its lung mask and the lesion mask.
    assert!(plan.peak() > voxels * (4 + 1 + 1));
    let phase = |options: &PredictOptions, name: &str| {
        let plan = predictor.plan(&geometry, false, options);
        let phase = plan.phases.iter().find(|p| p.name == name);
        phase.unwrap().clone()
    };
    let without = PredictOptions {
        explain: false,
        ..options()
    };
    assert_eq!(phase(&options(), "restore"), phase(&without, "restore"));
    let network = |batch| {
        let options = PredictOptions {
            batch,
            ..with(Pipeline::Windows)
        };
        phase(&options, "network").bytes()
    };
    assert_eq!(network(3) - network(2), 16 * 32 * 32 * 4);
    // A limit reduces the batch before it refuses a scan.
    let batches = |limit| PredictOptions {
        batch: 8,
        memory_limit_mib: limit,
        ..with(Pipeline::Windows)
    };
    let one = network(1).div_ceil(1 << 20);
    let peak = |options: &PredictOptions| phase(options, "network").bytes();
    assert_eq!(peak(&batches(None)), network(8));
    assert!((network(1)..=one << 20).contains(&peak(&batches(Some(one)))));
    // Under a limit tiles get the memory that the rest of the phase leaves.
    let tiled = |tile, memory_limit_mib| PredictOptions {
        tile,
        memory_limit_mib,
        ..without.clone()
    };
    let most = |options: &PredictOptions| phase(options, "network").parts.pop().unwrap().1;
    let rest = phase(&without, "network").bytes() - most(&without);
    let limit = rest.div_ceil(1 << 20) + 1;
    let (free, bound) = (tiled(Tile::Auto, None), tiled(Tile::Auto, Some(limit)));
    assert!(
        most(&free) > most(&bound),
        "{} {}",
        most(&free),
        most(&bound)
    );
    assert!(most(&bound) <= (limit << 20) - rest);
    assert_eq!(
        most(&tiled(Tile::Shape([32, 64, 96]), None)),
        32 * 64 * 96 * 4
    );
    assert!(plan.to_string().contains("restore"), "{plan}");

    let tight = PredictOptions {
        memory_limit_mib: Some(1),
        ..options()
    };
    let case = sick();
    let mut told = Vec::new();
    let error = predictor
        .analyse(
            &case.scan,
            None,
            ScanSource::default(),
            &tight,
            &StopToken::new(),
            &mut |s| told.push(s),
        )
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Memory);
    assert!(error.to_string().contains("limit is 1 MiB"), "{error}");
    assert!(told.is_empty());
    let wide = PredictOptions {
        memory_limit_mib: Some(4096),
        ..options()
    };
    predict(&predictor, &case, &wide);
}

#[test]
fn what_cannot_be_analysed_is_refused() {
    let predictor = seeing();
    let case = sick();
    let kind = |lungs: Option<&Volume<u8>>, options: &PredictOptions| {
        predictor
            .analyse(
                &case.scan,
                lungs,
                ScanSource::default(),
                options,
                &StopToken::new(),
                &mut |_| {},
            )
            .unwrap_err()
            .kind()
    };
    let other = common::case(grid(Orientation::all()[5]), true);
    assert_eq!(kind(Some(&other.lungs), &options()), ErrorKind::Scan);
    assert_eq!(
        kind(Some(&case.lungs.map(|_| 0)), &options()),
        ErrorKind::Scan
    );
    assert_eq!(
        kind(None, &options()),
        ErrorKind::Scan,
        "grey values without lung mask"
    );
    let bad = PredictOptions {
        overlap: 2.0,
        ..options()
    };
    assert_eq!(kind(Some(&case.lungs), &bad), ErrorKind::Options);
}

#[test]
fn a_stop_ends_the_analysis_at_every_stage() {
    let model = seeing();
    let case = sick();
    let options = with(Pipeline::Windows);
    let run = |stop: &StopToken, progress: &mut dyn FnMut(multirnet_infer::Progress)| {
        let source = ScanSource::default();
        let lungs = Some(&case.lungs);
        model.analyse(&case.scan, lungs, source, &options, stop, progress)
    };
    let mut stages: Vec<Stage> = Vec::new();
    run(&StopToken::new(), &mut |p| stages.push(p.stage)).unwrap();
    assert!(stages.len() > 5, "{stages:?}");
    for wanted in stages {
        let stop = StopToken::new();
        let mut after = 0;
        let error = run(&stop, &mut |p| {
            after += usize::from(stop.is_raised());
            if p.stage == wanted {
                stop.raise();
            }
        })
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{wanted:?}");
        assert_eq!(after, 0, "no stage begins after a stop in {wanted:?}");
    }
}
