//! Reads a DICOM path and prints the result: `read PATH [SERIES] [--allow-irregular]`.

use multirnet_dicom::{ReadOptions, list, read};
use std::path::Path;

fn main() {
    let mut options = ReadOptions::default();
    let mut path = None;
    for argument in std::env::args().skip(1) {
        if argument == "--allow-irregular" {
            options.allow_irregular = true;
        } else if path.is_none() {
            path = Some(argument);
        } else {
            options.series = Some(argument);
        }
    }
    let Some(path) = path else {
        eprintln!("usage: read PATH [SERIES] [--allow-irregular]");
        std::process::exit(2);
    };
    let path = Path::new(&path);
    match list(path) {
        Ok(series) => series.iter().for_each(|s| println!("{s:?}")),
        Err(e) => eprintln!("{e}"),
    }
    let start = std::time::Instant::now();
    match read(path, &options) {
        Ok(scan) => {
            println!("read in {:.2} s", start.elapsed().as_secs_f64());
            println!("{:?}", scan.volume.geometry());
            for w in &scan.warnings {
                println!("warning: {w}");
            }
            for n in &scan.notes {
                println!("note: {n}");
            }
            if let Ok(raw) = std::env::var("DUMP") {
                let bytes: Vec<u8> = scan
                    .volume
                    .data()
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect();
                if let Err(e) = std::fs::write(raw, bytes) {
                    eprintln!("{e}");
                }
            }
        }
        Err(e) => {
            eprintln!("error: {e}");
            std::process::exit(1);
        }
    }
}
