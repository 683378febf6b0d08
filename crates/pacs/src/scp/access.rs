//! Who may open an association.

use crate::config::AllowedPeer;
use dicom_ul::association::server::{AccessControl, Negotiation};
use dicom_ul::pdu::{AssociationRJServiceUserReason, UserIdentity};
use std::net::IpAddr;

/// The entries of the allow-list that a peer's address matches.
#[derive(Debug, Clone)]
pub(super) struct Access(Vec<AllowedPeer>);

impl Access {
    pub fn new(allow: &[AllowedPeer], address: IpAddr) -> Self {
        Self(
            allow
                .iter()
                .filter(|p| p.has_address(address))
                .cloned()
                .collect(),
        )
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl AccessControl for Access {
    fn check_access(
        &self,
        this_ae_title: &str,
        calling_ae_title: &str,
        called_ae_title: &str,
        _user_identity: Option<&UserIdentity>,
    ) -> Result<(), AssociationRJServiceUserReason> {
        if called_ae_title != this_ae_title {
            return Err(AssociationRJServiceUserReason::CalledAETitleNotRecognized);
        }
        if !self.0.iter().any(|p| p.has_title(calling_ae_title)) {
            return Err(AssociationRJServiceUserReason::CallingAETitleNotRecognized);
        }
        Ok(())
    }
}

/// Nothing is negotiated beyond presentation contexts.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoRoles;

impl Negotiation for NoRoles {}
