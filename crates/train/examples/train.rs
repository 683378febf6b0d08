//! Trains from the command line and prints where the time goes.
//!
//! ```text
//! cargo run --release -p multirnet-train --example train -- CONFIG MANIFEST OUT [--resume] [--fold N]
//! ```
//!
//! Scans are volume files (no DICOM). Prepared scans go to `OUT/../cache`. A file `OUT/stop` ends
//! the training after the current step, with a checkpoint. Set `MIMALLOC_PURGE_DELAY=-1`, because
//! returning memory to the system and taking it again costs a good part of a step.

use multirnet_cohort::{Cohort, Split};
use multirnet_train::{Event, Options, TrainConfig, train};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

#[global_allocator]
static ALLOCATOR: multirnet_kernels::allocator::Allocator = multirnet_kernels::allocator::Allocator;

fn main() {
    if let Err(message) = run() {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut take = |name: &str, values: usize| {
        let at = args.iter().position(|a| a == name)?;
        let end = (at + 1 + values).min(args.len());
        args.drain(at..end).next_back()
    };
    let resume = take("--resume", 0).is_some();
    let fold = take("--fold", 1);
    let [config, manifest, out] = &args[..] else {
        return Err("usage: train CONFIG MANIFEST OUT [--resume] [--fold N]".into());
    };
    let text = |e: multirnet_train::Error| e.to_string();
    let cohort_text = |e: multirnet_cohort::Error| e.to_string();
    let config = TrainConfig::read(Path::new(config)).map_err(text)?;
    let cohort = Cohort::read(Path::new(manifest)).map_err(cohort_text)?;
    let split = match fold {
        None => Split::stratified(&cohort, &config.split),
        Some(n) => {
            let n = n
                .parse()
                .map_err(|_| format!("--fold {n} is not a number"))?;
            Split::cross_validation(&cohort, &config.split, n)
        }
    }
    .map_err(cohort_text)?;
    let out = Path::new(out);
    let stop = AtomicBool::new(false);
    let flag = out.join("stop");
    let mut observer = |event: &Event| {
        if flag.exists() {
            stop.store(true, Ordering::Relaxed);
        }
        show(event);
    };
    let options = Options {
        out,
        cache: &out.join("../cache"),
        read: &|path| multirnet_cohort::read_volume(path),
        device: burn::tensor::Device::flex(),
        resume,
        prepare_jobs: 2,
    };
    train(&config, &cohort, &split, &options, &mut observer, &stop).map_err(text)?;
    Ok(())
}

fn show(event: &Event) {
    match event {
        Event::Prepared {
            done,
            total,
            name,
            error,
            ..
        } => match error {
            Some(error) => println!("{done}/{total} {name}: {error}"),
            None if done.is_multiple_of(20) || done == total => println!("{done}/{total} prepared"),
            None => {}
        },
        Event::Step {
            record,
            epoch,
            seconds_left,
        } if record.step.is_multiple_of(20) || record.step <= 3 => println!(
            "epoch {epoch} step {} loss {:.4} (seg {:.4}, cls {:.4}) wait {:.0} ms, compute {:.0} ms, {:.0} min left",
            record.step,
            record.losses.total,
            record.losses.segmentation,
            record.losses.classification,
            record.wait_seconds * 1e3,
            record.compute_seconds * 1e3,
            seconds_left / 60.0
        ),
        Event::Epoch(r) => println!("{r:?}"),
        Event::Finished(summary) => println!("{summary:#?}"),
        Event::Started { .. } => println!("{event:?}"),
        _ => {}
    }
}
