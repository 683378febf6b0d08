//! What holds for the listener's settings.

use super::{ListenerConfig, check_ae_title, config_error};
use crate::Result;
use multirnet_base::Ranges;

impl ListenerConfig {
    /// Most associations of one address at a time.
    pub fn associations_per_address(&self) -> usize {
        let most = self.max_associations;
        self.max_associations_per_address.unwrap_or(most - most / 4)
    }

    pub(super) fn check(&self) -> Result<()> {
        check_ae_title("listener.ae_title", &self.ae_title)?;
        for peer in &self.allow {
            if let Some(title) = &peer.ae_title {
                check_ae_title("listener.allow.ae_title", title)?;
            }
        }
        Ranges::of_table("listener")
            .within("max_associations", self.max_associations, 1..=1024)
            .within("max_pdu_bytes", self.max_pdu_bytes, 16_384..=1_048_576)
            .within("max_object_mib", self.max_object_mib, 1..=65_536)
            .within("idle_seconds", self.idle_seconds, 1..=86_400)
            .within("message_seconds", self.message_seconds, 1..=86_400)
            .within("association_seconds", self.association_seconds, 1..=604_800)
            .within(
                "max_associations_per_address",
                self.associations_per_address(),
                1..=self.max_associations,
            )
            .check()?;
        if self.allow.is_empty() {
            return Err(config_error("listener.allow is empty, so nobody could send").hint(
                "add a table [[listener.allow]] with ae_title and addresses; an empty one admits all",
            ));
        }
        Ok(())
    }
}
