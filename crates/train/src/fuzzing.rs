//! Entry points for the fuzz targets of the workspace's folder `fuzz`. They are not part of the library:
//! they may change at any time.

use crate::TrainConfig;
use crate::checkpoint::{self, Position, Trained};
use crate::trainer::new_optimiser;
use burn::tensor::Device;
use multirnet_base::digest::sha256_bytes;
use multirnet_nn::weights::{self, Dtype};
use std::path::Path;

/// A small net and its configuration.
pub struct Tiny {
    config: TrainConfig,
    device: Device,
}

impl Tiny {
    /// The net that `config` describes.
    ///
    /// # Panics
    /// If the configuration is not valid.
    pub fn new(config: &str) -> Self {
        Self {
            config: TrainConfig::parse(config).expect("a valid configuration"),
            device: multirnet_nn::DeviceChoice::Cpu
                .open()
                .expect("a processor")
                .autodiff(),
        }
    }

    fn trained(&self) -> Trained {
        Trained {
            net: self.config.model.init(&self.device),
            optimiser: new_optimiser(&self.config),
            average: None,
        }
    }

    /// Its weights as a file.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn weights(&self) -> Vec<u8> {
        weights::to_bytes(&self.trained().evaluated(), Dtype::F16).expect("finite weights")
    }

    /// A checkpoint at its start, without the digest at the end.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn checkpoint(&self) -> Vec<u8> {
        let (position, scans) = (Position::default(), vec!["scan".to_owned()]);
        let bytes = checkpoint::encode(&position, &self.config, &scans, &self.trained());
        let mut bytes = bytes.expect("a checkpoint of a small net");
        bytes.truncate(bytes.len() - 32);
        bytes
    }

    /// Goes on from a checkpoint whose digest is right.
    pub fn resume(&self, body: &[u8]) {
        let mut bytes = body.to_vec();
        bytes.extend(sha256_bytes(body));
        let Some(state) = checkpoint::decode(&bytes, Path::new("last.state")) else {
            return;
        };
        let start = self.trained();
        let _ = state.restore(start.net, start.optimiser);
    }
}
