//! C-ECHO: does a node answer?

use crate::Result;
use crate::client::Connection;
use crate::config::DimseNode;
use crate::dimse::{Command, status};
use crate::{Error, ErrorKind};
use dicom_dictionary_std::uids;

/// Asks `node` whether it answers.
///
/// # Errors
/// `Network` if it cannot be reached, `Refused` if it does not want to speak with this node.
pub fn echo(node: &DimseNode) -> Result<()> {
    let syntaxes = vec![
        uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned(),
        uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned(),
    ];
    let mut connection = Connection::open(node, &[(uids::VERIFICATION.to_owned(), syntaxes)])?;
    let context = connection.contexts()[0].id;
    let message_id = connection.next_message();
    connection.send_command(context, &Command::EchoRequest { message_id })?;
    let answer = connection.receive()?.0;
    connection.release();
    match answer {
        Command::EchoResponse {
            status: status::SUCCESS,
            ..
        } => Ok(()),
        Command::EchoResponse { status, .. } => Err(Error::new(
            ErrorKind::Refused,
            format!("{} answers: {}", node.place(), status::describe(status)),
        )),
        _ => Err(Error::new(
            ErrorKind::Protocol,
            format!("{} answers with another command", node.place()),
        )),
    }
}
