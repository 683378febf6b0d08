//! Phantoms for the commands that make them.

use crate::failure::{Exit, Failure, Outcome};
use multirnet_phantom::{Phantom as Made, PhantomConfig};
use multirnet_volume::Diagnosis;

/// Makes one phantom of `class`, with `matrix` voxels along x and y.
pub fn make(seed: u64, class: Diagnosis, matrix: usize) -> Outcome<(PhantomConfig, Made)> {
    let config = PhantomConfig::sample(seed, class, matrix);
    let made = config
        .generate()
        .map_err(|e| Failure::new(Exit::Internal, e))?;
    Ok((config, made))
}
