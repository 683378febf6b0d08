//! What this node asks of others: echo, store, find and move by DIMSE, and QIDO-RS, WADO-RS and
//! STOW-RS by DICOMweb.

mod connection;
mod convert;
mod echo;
mod files;
mod json;
mod query;
mod retrieve;
mod send;
mod web;

pub(crate) use connection::Connection;
pub use echo::echo;
pub use files::dicom_files;
pub(crate) use json::read_json;
pub use query::{StudyMatch, StudyQuery, find_series, find_studies};
pub use retrieve::retrieve;
pub use send::{SendReport, send};
pub use web::WebClient;

use crate::Result;
use crate::config::Node;
use multirnet_base::StopToken;
use std::path::PathBuf;

/// Sends files to any node, by C-STORE or STOW-RS. `told` gets the number of a file and what became
/// of it as soon as that is known; a file that a node refuses does not keep the others from it.
///
/// # Errors
/// `Network` or `Refused` if an association cannot be opened; the files that were not told of are not
/// sent.
pub fn send_to(
    node: &Node,
    files: &[PathBuf],
    stop: &StopToken,
    told: &mut dyn FnMut(usize, &crate::store::Outcome),
) -> Result<SendReport> {
    match node {
        Node::Dimse(node) => send(node, files, stop, told),
        Node::Dicomweb(node) => WebClient::new(node)?.store(files, stop, told),
    }
}

/// Asks any node whether it answers, by C-ECHO or by a query for one study.
///
/// # Errors
/// `Network`, `Refused` or `Protocol`.
pub fn echo_any(node: &Node) -> Result<()> {
    match node {
        Node::Dimse(node) => echo(node),
        Node::Dicomweb(node) => WebClient::new(node)?.check_query(),
    }
}

/// The studies of any node that match, by C-FIND or QIDO-RS.
///
/// # Errors
/// `Network`, `Refused` or `Protocol`.
pub fn search(node: &Node, query: &StudyQuery) -> Result<Vec<StudyMatch>> {
    match node {
        Node::Dimse(node) => find_studies(node, query),
        Node::Dicomweb(node) => WebClient::new(node)?.find_studies(query),
    }
}
