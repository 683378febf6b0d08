//! A healthy phantom instead of a real scan, prepared for lesions.
#![allow(dead_code, reason = "each test file uses its own part")]

use multirnet_phantom::implant::{Ground, ImplantConfig, Implanted, Region};
use multirnet_phantom::{Phantom, PhantomConfig};
use multirnet_volume::Diagnosis;
use std::sync::OnceLock;

/// A phantom without pneumonia and without other findings.
pub fn healthy() -> &'static Phantom {
    static PHANTOM: OnceLock<Phantom> = OnceLock::new();
    PHANTOM.get_or_init(|| {
        let mut config = PhantomConfig::sample(21, Diagnosis::Normal, 112);
        config.confounders = Default::default();
        config.effusions.clear();
        config.with_slices(60).unwrap().generate().unwrap()
    })
}

pub fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| prepared(&[]))
}

pub fn prepared(avoid: &[Region]) -> Ground {
    let phantom = healthy();
    Ground::new(&phantom.ct, &phantom.lungs, avoid, &still()).unwrap()
}

/// A configuration that does not vary the scan itself.
pub fn still() -> ImplantConfig {
    let mut config = ImplantConfig::default();
    config.background.vary = false;
    config
}

/// A configuration that varies the scan on coarse grids, which are quick to fill.
pub fn varied() -> ImplantConfig {
    let mut config = ImplantConfig::default();
    config.background.pixel_mm = [2.5, 3.5];
    config.background.slice_mm = [4.0, 6.0];
    config
}

pub fn sick() -> impl Iterator<Item = (Diagnosis, u64)> {
    [Diagnosis::Covid19, Diagnosis::Cap]
        .into_iter()
        .flat_map(|class| (0..6).map(move |seed| (class, seed)))
}

pub fn labelled(made: &Implanted) -> usize {
    made.lesions.data().iter().filter(|&&l| l > 0).count()
}
