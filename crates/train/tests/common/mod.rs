//! Small synthetic cohorts and a tiny network: quick to prepare and to train.
#![allow(dead_code)]

use multirnet_anatomy::{Intensity, PrepareConfig};
use multirnet_cohort::{Case, Cohort, Side, Split};
use multirnet_nn::MultiRNetConfig;
use multirnet_train::config::{
    OptimiserConfig, RunConfig, SamplingConfig, Schedule, ValidationConfig,
};
use multirnet_train::{Event, Options, Summary, TrainConfig, train};
use multirnet_volume::{Diagnosis, Geometry, Volume, io};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub const WINDOW: [usize; 3] = [16, 32, 32];

/// burn has one random state for the process, so trainings in parallel tests take turns.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two lungs in a box; CAP has one ball of lesion on the right, COVID-19 one on each side.
pub fn write_case(folder: &Path, name: &str, class: Diagnosis, seed: u64) -> Case {
    let grid = Geometry::axial([20, 40, 48], [4.0, 3.0, 3.0]).unwrap();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let dy = noise() * 4.0 - 2.0;
    let balls: &[f32] = match class {
        Diagnosis::Normal => &[],
        Diagnosis::Cap => &[14.0],
        Diagnosis::Covid19 => &[14.0, 34.0],
    };
    let side = |x: f32| if x < 24.0 { 14.0 } else { 34.0 };
    let distance = |z: f32, y: f32, x: f32, c: f32, r: [f32; 3]| {
        ((z - 10.0) / r[0]).powi(2) + ((y - 20.0 - dy) / r[1]).powi(2) + ((x - c) / r[2]).powi(2)
    };
    let lung = |[z, y, x]: [usize; 3]| {
        let [z, y, x] = [z, y, x].map(|v| v as f32);
        distance(z, y, x, side(x), [8.0, 14.0, 8.0]) < 1.0
    };
    let lesion = |[z, y, x]: [usize; 3]| {
        let [z, y, x] = [z, y, x].map(|v| v as f32);
        balls
            .iter()
            .any(|&c| distance(z, y, x, c, [4.0, 5.0, 5.0]) < 1.0)
    };
    let scan = Volume::from_fn(grid, |i| {
        let base = if lesion(i) {
            140.0
        } else if lung(i) {
            30.0
        } else {
            200.0
        };
        (base + noise() * 20.0).round()
    });
    let write = |ending: &str, volume: &Volume<u8>| {
        let path = folder.join(format!("{name}{ending}.nii.gz"));
        io::write_nifti(&path, volume).unwrap();
        path
    };
    let mut case = Case::new(
        write("", &scan.map(|v| v as u8)),
        Some(write(
            "_mask",
            &Volume::from_fn(grid, |i| u8::from(lesion(i))),
        )),
        class,
        name,
    );
    case.lungs = Some(write(
        "_lungs",
        &Volume::from_fn(grid, |i| u8::from(lung(i))),
    ));
    case.intensity = Intensity::Unit;
    case
}

/// `n` cases of each class.
pub fn cohort(folder: &Path, n: usize) -> Cohort {
    let cases = (0..n)
        .flat_map(|k| Diagnosis::ALL.map(|c| (k, c)))
        .map(|(k, c)| {
            write_case(
                folder,
                &format!("{}{k}", c.name()),
                c,
                (3 * k + c.index()) as u64,
            )
        })
        .collect();
    Cohort::new(cases).unwrap()
}

pub fn prepare_config() -> PrepareConfig {
    PrepareConfig {
        spacing_mm: [4.0, 3.0, 3.0],
        margin_mm: 6.0,
        global_shape: WINDOW,
        ..PrepareConfig::default()
    }
}

pub fn model() -> MultiRNetConfig {
    MultiRNetConfig {
        channels: [4; 5],
        class_channels: [4; 6],
        iterations: 1,
        ..MultiRNetConfig::small()
    }
}

pub fn config() -> TrainConfig {
    TrainConfig {
        model: model().into(),
        prepare: prepare_config(),
        sampling: SamplingConfig {
            patch_size: WINDOW,
            batch: 2,
            steps_per_epoch: Some(4),
            ..SamplingConfig::default()
        },
        optimiser: OptimiserConfig {
            learning_rate: 3e-3,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            ..OptimiserConfig::default()
        },
        validation: ValidationConfig {
            local_windows: 1,
            ..ValidationConfig::default()
        },
        run: RunConfig {
            epochs: 2,
            workers: 1,
            ..RunConfig::default()
        },
        ..TrainConfig::default()
    }
}

/// The last scan of each class is for validation.
pub fn split(cohort: &Cohort) -> Split {
    let n = cohort.cases.len();
    let side = |i| {
        if i + 3 >= n && n > 3 {
            Side::Validation
        } else {
            Side::Train
        }
    };
    Split {
        sides: (0..n).map(side).collect(),
    }
}

pub fn read(path: &Path) -> multirnet_cohort::Result<Volume<f32>> {
    multirnet_cohort::read_volume(path)
}

pub fn options<'a>(out: &'a Path, cache: &'a Path, resume: bool) -> Options<'a> {
    Options {
        out,
        cache,
        read: &read,
        device: burn::tensor::Device::flex(),
        resume,
        prepare_jobs: 2,
    }
}

/// Trains, and raises the stop flag after `stop_after` steps of this part of the run.
pub fn run(
    config: &TrainConfig,
    cohort: &Cohort,
    folder: &Path,
    name: &str,
    resume: bool,
    stop_after: Option<usize>,
) -> multirnet_train::Result<Summary> {
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut steps = 0;
    let mut observer = |event: &Event| {
        if let Event::Step { .. } = event {
            steps += 1;
            if Some(steps) == stop_after {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
    };
    let (out, cache) = (folder.join(name), folder.join("cache"));
    let options = options(&out, &cache, resume);
    train(
        config,
        cohort,
        &split(cohort),
        &options,
        &mut observer,
        &stop,
    )
}
