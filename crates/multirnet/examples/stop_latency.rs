//! Time from a raised stop token to the end of `analyse`: `stop_latency SCAN [MOMENTS]`.
//!
//! The packaged model analyses the scan once to its end, and then once for each of `MOMENTS` (default
//! 40) moments, spread evenly over the time that the whole analysis took. The token is raised at that
//! moment.

use multirnet::{ErrorKind, ReadOptions, StopToken, analyse, load_model, open_scan};
use std::path::Path;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("give a scan")?;
    let moments: u32 = arguments.get(1).map_or(Ok(40), |n| n.parse())?;
    let scan = open_scan(Path::new(path), &ReadOptions::default())?;
    let model = load_model(None)?;
    let options = model.options();
    let run = |stop: &StopToken| analyse(&model, &scan, None, &options, stop, &mut |_| {});
    let begin = Instant::now();
    run(&StopToken::new())?;
    let whole = begin.elapsed();
    let mut latencies = Vec::new();
    for moment in 0..moments {
        let wait = whole.mul_f64((f64::from(moment) + 0.5) / f64::from(moments));
        let stop = StopToken::new();
        let raised = std::thread::scope(|scope| {
            let raiser = scope.spawn(|| {
                std::thread::sleep(wait);
                stop.raise();
                Instant::now()
            });
            let result = run(&stop);
            let end = Instant::now();
            match result {
                Err(e) if e.kind() == ErrorKind::Interrupted => Ok(Some((raiser, end))),
                Err(e) => Err(e),
                // The analysis was faster than before and ended first.
                Ok(_) => Ok(None),
            }
            .map(|found| found.and_then(|(raiser, end)| Some(end - raiser.join().ok()?)))
        })?;
        latencies.extend(raised);
    }
    latencies.sort();
    let at = |share: f64| {
        let last = latencies.len().saturating_sub(1) as f64;
        latencies
            .get((share * last) as usize)
            .copied()
            .unwrap_or(Duration::ZERO)
    };
    println!(
        "whole analysis {:.2} s; {} stops: median {:.0} ms, 90 % within {:.0} ms, longest {:.0} ms",
        whole.as_secs_f64(),
        latencies.len(),
        1e3 * at(0.5).as_secs_f64(),
        1e3 * at(0.9).as_secs_f64(),
        1e3 * at(1.0).as_secs_f64()
    );
    Ok(())
}
