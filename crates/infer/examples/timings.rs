//! Seconds and memory of a prediction: `timings SCAN.nii.gz [PIPELINE] [MODEL|PRESET]`.
//!
//! Without a model it uses untrained weights of a preset (default `small`). Times are then real,
//! and findings mean nothing.

use multirnet_base::StopToken;
use multirnet_finding::ScanSource;
use multirnet_infer::{BurnNetwork, DeviceChoice, Model, ModelCard, Pipeline};
use multirnet_nn::MultiRNetConfig;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("give a scan")?;
    let model = arguments.get(2).map_or("small", String::as_str);
    let predictor = match MultiRNetConfig::preset(model) {
        Some(config) => {
            let device = DeviceChoice::Cpu.open()?;
            let network = BurnNetwork::new(config.init(&device), device);
            let card = ModelCard::unknown(model);
            Model::with_network(Box::new(network), card, String::new())
        }
        None => Model::load(Path::new(model), DeviceChoice::Cpu)?,
    };
    let mut options = predictor.options();
    if let Some(name) = arguments.get(1) {
        options.pipeline = name.parse::<Pipeline>()?;
    }
    let scan = multirnet_volume::io::read(Path::new(path))?;
    let source = ScanSource {
        path: path.clone(),
        ..ScanSource::default()
    };
    println!("{}", predictor.plan(scan.geometry(), false, &options));
    let prediction = predictor.analyse(
        &scan,
        None,
        source,
        &options,
        &StopToken::new(),
        &mut |_| {},
    )?;
    let finding = prediction.finding;
    let total: f64 = finding.timings.iter().map(|t| t.seconds).sum();
    for t in &finding.timings {
        println!("{:>8} {:7.2} s", t.stage, t.seconds);
    }
    println!("{:>8} {total:7.2} s", "sum");
    println!("windows {}", finding.provenance.windows);
    println!(
        "{} {:?}, lesions {:.1} of {:.0} ml, score {}",
        finding.diagnosis,
        finding.probabilities,
        finding.involvement.both.lesion_ml,
        finding.involvement.both.lung_ml,
        finding.involvement.severity_score
    );
    for warning in &finding.warnings {
        println!("warning: {warning}");
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        for line in status.lines().filter(|l| l.starts_with("VmHWM")) {
            println!("{line}");
        }
    }
    Ok(())
}
