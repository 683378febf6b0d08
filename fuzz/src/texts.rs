//! Texts that people write: manifests and configurations.

use crate::files::in_memory;
use crate::seeds::{golden, texts};
use crate::{MIB, Target, nothing};
use multirnet::PredictOptions;
use multirnet_cohort::Cohort;
use multirnet_pacs::config::Config as PacsConfig;
use multirnet_server::config::ServerConfig;
use multirnet_study::{AblationConfig, StudyConfig};
use multirnet_train::TrainConfig;
use std::path::Path;

/// The target `manifest`.
pub static MANIFEST: Target = Target {
    name: "manifest",
    about: "manifests, as CSV and TOML",
    longest: 4096,
    fixed: MIB,
    per_byte: 1024,
    has_threads: false,
    prepare: nothing,
    parse: manifest,
    seeds: || {
        texts(&[
            "scan,mask,class,patient,fold,source,intensity,slope,intercept,spacing_mm,slices,mask_values,lungs,lungs_values,study_uid\na.nii.gz,unknown,cap,p1,0,x,hu,1,-1024,0.7;0.7;5,,1;2,,1;2,1.2.3\n",
            "scan,mask,class,patient\na,b,normal,1\nc,,covid19,2\n",
            "[[case]]\nscan = \"a.nii.gz\"\nclass = \"cap\"\npatient = \"1\"\nmask_values = [1, 2]\nspacing_mm = [1.0, 0.7, 0.7]\n",
        ])
    },
};
/// The target `configuration`.
pub static CONFIGURATION: Target = Target {
    name: "configuration",
    about: "every TOML configuration",
    longest: 4096,
    fixed: MIB,
    per_byte: 2048,
    has_threads: false,
    prepare: nothing,
    parse: configuration,
    seeds: || {
        let folders = [
            "configs",
            "configs/train",
            "configs/compare",
            "configs/ablate",
        ];
        folders
            .iter()
            .flat_map(|folder| golden(folder, ".toml"))
            .collect()
    },
};

/// A manifest that can be read can be written, and is the same then.
fn manifest(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for name in ["cohort.csv", "cohort.toml"] {
        let _ = Cohort::parse(Path::new(name), text, Path::new("root"));
    }
}

fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let _ = TrainConfig::parse(text);
    let _ = StudyConfig::parse(text);
    let _ = AblationConfig::parse(text);
    let _ = PacsConfig::parse(text, Path::new("nowhere"));
    let _ = multirnet::overlay_toml(&PredictOptions::default(), text);
    in_memory("server.toml", input, |path| {
        let _ = ServerConfig::read(path);
    });
}
