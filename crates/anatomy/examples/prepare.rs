//! Prepares a scan as for the network and prints what the gate found, the views and the time.
//!
//! `prepare SCAN`

use multirnet_anatomy::{PrepareConfig, prepare};
use multirnet_volume::io;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: prepare SCAN")?;
    let scan = io::read(Path::new(&path))?;
    let start = Instant::now();
    let prepared = prepare(&scan, None, &PrepareConfig::default())?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{path}: {seconds:.2} s, local {:?}, {:#?}",
        prepared.local.shape(),
        prepared.report
    );
    Ok(())
}
