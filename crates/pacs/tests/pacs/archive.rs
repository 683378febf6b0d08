//! An archive that takes what it is sent and remembers it, without a network.

use multirnet_pacs::client::SendReport;
use multirnet_pacs::store::{Outcome, Store};
use multirnet_pacs::{Error, ErrorKind, Result, deliver_with};
use std::collections::BTreeMap;

/// An archive in memory.
#[derive(Default)]
pub struct Archive {
    /// How often each object came.
    pub received: BTreeMap<String, usize>,
    /// Whether connections fail.
    pub is_down: bool,
    /// Connections that were tried.
    pub attempts: usize,
    /// A part of the names of objects that are refused.
    pub refuses: Option<String>,
}

impl Archive {
    /// Delivers what is due for `destination` to this archive.
    pub fn take_due(&mut self, store: &Store, destination: &str) -> Result<usize> {
        deliver_with(store, destination, &mut |files, told| {
            self.attempts += 1;
            if self.is_down {
                return Err(Error::new(ErrorKind::Network, "connection refused"));
            }
            for (index, file) in files.iter().enumerate() {
                assert!(file.exists(), "{}", file.display());
                let name = file.file_stem().unwrap().to_string_lossy().into_owned();
                if self
                    .refuses
                    .as_ref()
                    .is_some_and(|part| name.contains(part))
                {
                    told(index, &Outcome::Refused("no such class".into()));
                    continue;
                }
                *self.received.entry(name).or_default() += 1;
                told(index, &Outcome::Delivered);
            }
            Ok(SendReport::default())
        })
    }
}
