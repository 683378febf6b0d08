//! A training that moves between the processor and a graphics processor. A software adapter serves
//! as well; without any, the test says that it was skipped.
#![cfg(feature = "wgpu")]

mod common;

use common::{cohort, config, model, options, split, turn};
use multirnet_nn::DeviceChoice;
use multirnet_train::{Event, MeanLosses, train};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Trains `steps` more steps in `folder` on a device, and returns their losses.
fn go(
    folder: &Path,
    name: &str,
    device: DeviceChoice,
    resume: bool,
    steps: usize,
) -> Vec<MeanLosses> {
    let cohort = cohort(folder, 2);
    let mut config = config();
    // Dropout is off, because its random numbers depend on the device.
    config.model = multirnet_nn::MultiRNetConfig {
        dropout: 0.0,
        ..model()
    }
    .into();
    let (out, cache) = (folder.join(name), folder.join("cache"));
    let mut options = options(&out, &cache, resume);
    options.device = device.open().unwrap();
    let stop = AtomicBool::new(false);
    let mut losses = vec![];
    let mut observer = |event: &Event| {
        if let Event::Step { record, .. } = event {
            losses.push(record.losses);
            stop.store(losses.len() == steps, Ordering::Relaxed);
        }
    };
    train(
        &config,
        &cohort,
        &split(&cohort),
        &options,
        &mut observer,
        &stop,
    )
    .unwrap();
    losses
}

#[test]
fn a_run_resumes_on_the_other_device() {
    if let Err(reason) = DeviceChoice::Gpu.open() {
        eprintln!("SKIPPED, nothing was tested: {reason}");
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let whole = go(folder, "whole", DeviceChoice::Cpu, false, 6);
    let mut parts = go(folder, "parts", DeviceChoice::Cpu, false, 2);
    parts.extend(go(folder, "parts", DeviceChoice::Gpu, true, 2));
    parts.extend(go(folder, "parts", DeviceChoice::Cpu, true, 2));
    assert_eq!((whole.len(), parts.len()), (6, 6));
    for (step, (a, b)) in whole.iter().zip(&parts).enumerate() {
        eprintln!(
            "step {}: {} on one device, {} on both",
            step + 1,
            a.total,
            b.total
        );
        // Adam's steps follow the signs of gradients, so rounding errors grow from step to step.
        let bound = if step < 3 { 1e-3 } else { 3e-2 };
        assert!(
            (a.total - b.total).abs() <= bound * a.total,
            "step {}",
            step + 1
        );
    }
}
