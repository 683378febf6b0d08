//! An association that this node opens.

use crate::config::DimseNode;
use crate::dimse::{Assembler, Command, Piece};
use crate::error::with_causes;
use crate::{Error, ErrorKind, Result};
use dicom_ul::association::{
    Association, ClientAssociation, ClientAssociationOptions, CloseSocket, Error as UlError,
    SyncAssociation,
};
use dicom_ul::pdu::{
    PDV_HEADER_SIZE, PDataValue, PDataValueType, Pdu, PresentationContextNegotiated,
};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest PDU that this node sends or takes as a client.
const MAX_PDU: u32 = 131_072;
/// Most presentation contexts of an association.
pub(crate) const MAX_CONTEXTS: usize = 128;
/// Longest data set of a response, in bytes.
const MAX_RESPONSE: usize = 1 << 20;

type UlResult<T> = std::result::Result<T, UlError>;

/// A proposed presentation context: abstract syntax, transfer syntaxes.
pub(crate) type Proposal = (String, Vec<String>);

/// The part of an association that does not depend on its stream.
trait Link {
    fn send(&mut self, pdu: &Pdu) -> UlResult<()>;
    fn receive(&mut self) -> UlResult<Pdu>;
    fn contexts(&self) -> &[PresentationContextNegotiated];
    fn max_pdu(&self) -> u32;
    fn release(self: Box<Self>) -> UlResult<()>;
}

impl<S: Read + Write + CloseSocket> Link for ClientAssociation<S> {
    fn send(&mut self, pdu: &Pdu) -> UlResult<()> {
        SyncAssociation::send(self, pdu)
    }

    fn receive(&mut self) -> UlResult<Pdu> {
        SyncAssociation::receive(self)
    }

    fn contexts(&self) -> &[PresentationContextNegotiated] {
        Association::presentation_contexts(self)
    }

    fn max_pdu(&self) -> u32 {
        self.peer_max_pdu_length()
    }

    fn release(self: Box<Self>) -> UlResult<()> {
        SyncAssociation::release(*self)
    }
}

/// An open association.
pub(crate) struct Connection {
    link: Box<dyn Link>,
    assembler: Assembler,
    waiting: VecDeque<PDataValue>,
    peer: String,
    last_message: u16,
}

/// Why an association was not opened.
pub(crate) enum NoConnection {
    /// The peer accepts none of the presentation contexts.
    NothingAccepted,
    /// Anything else.
    Error(Error),
}

impl Connection {
    /// Opens an association that needs at least one of `proposals` accepted.
    pub fn open(node: &DimseNode, proposals: &[Proposal]) -> Result<Self> {
        Self::try_open(node, proposals).map_err(|no| match no {
            NoConnection::Error(e) => e,
            NoConnection::NothingAccepted => Error::new(
                ErrorKind::Refused,
                format!("{} supports nothing of what is asked", node.place()),
            ),
        })
    }

    /// As [`Connection::open`], but tells a peer that accepts nothing from one that is not there.
    pub fn try_open(
        node: &DimseNode,
        proposals: &[Proposal],
    ) -> std::result::Result<Self, NoConnection> {
        let timeout = Duration::from_secs(node.timeout_seconds);
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(node.calling_ae_title.as_str())
            .called_ae_title(node.ae_title.as_str())
            .max_pdu_length(MAX_PDU)
            .connection_timeout(timeout)
            .read_timeout(timeout)
            .write_timeout(timeout);
        for (class, syntaxes) in proposals {
            options = options.with_presentation_context(class.clone(), syntaxes.clone());
        }
        let failed = |e: UlError| match e {
            UlError::NoAcceptedPresentationContexts { .. } => NoConnection::NothingAccepted,
            e => NoConnection::Error(refused_or_lost(node, &e)),
        };
        let link: Box<dyn Link> = match &node.tls {
            None => {
                let mut link = options.establish(&node.address).map_err(failed)?;
                send_at_once(link.inner_stream());
                Box::new(link)
            }
            Some(tls) => {
                let host = node.address.rsplit_once(':').map_or("", |(host, _)| host);
                let host = host.trim_matches(['[', ']']);
                let name = tls.server_name.as_deref().unwrap_or(host);
                let config = tls.client().map_err(NoConnection::Error)?;
                let options = options.server_name(name).tls_config(config);
                let mut link = options.establish_tls(&node.address).map_err(failed)?;
                send_at_once(&link.inner_stream().sock);
                Box::new(link)
            }
        };
        Ok(Self {
            link,
            assembler: Assembler::default(),
            waiting: VecDeque::new(),
            peer: node.place(),
            last_message: 0,
        })
    }

    /// The accepted presentation contexts.
    pub fn contexts(&self) -> &[PresentationContextNegotiated] {
        self.link.contexts()
    }

    /// A new message ID.
    pub fn next_message(&mut self) -> u16 {
        self.last_message = self.last_message.wrapping_add(1);
        self.last_message
    }

    /// Sends a command.
    pub fn send_command(&mut self, context: u8, command: &Command) -> Result<()> {
        let bytes = command.encode()?;
        self.send_pieces(context, PDataValueType::Command, &mut bytes.as_slice())
    }

    /// Sends a data set.
    pub fn send_data(&mut self, context: u8, data: &mut dyn Read) -> Result<()> {
        self.send_pieces(context, PDataValueType::Data, data)
    }

    fn send_pieces(
        &mut self,
        context: u8,
        kind: PDataValueType,
        data: &mut dyn Read,
    ) -> Result<()> {
        let most = self.link.max_pdu().clamp(1024, MAX_PDU) - PDV_HEADER_SIZE;
        let mut piece = read_piece(data, most).map_err(|e| self.lost("read the object", e))?;
        loop {
            let next = read_piece(data, most).map_err(|e| self.lost("read the object", e))?;
            let is_last = next.is_empty();
            let value = PDataValue {
                presentation_context_id: context,
                value_type: kind.clone(),
                is_last,
                data: piece,
            };
            let pdu = Pdu::PData { data: vec![value] };
            let sent = self.link.send(&pdu);
            sent.map_err(|e| self.lost("send", with_causes(&e)))?;
            if is_last {
                return Ok(());
            }
            piece = next;
        }
    }

    /// Waits for the next response, with its data set.
    pub fn receive(&mut self) -> Result<(Command, Vec<u8>)> {
        let command = match self.receive_piece()? {
            Piece::Command { command, .. } => command,
            Piece::Data { .. } => return Err(self.protocol("a response without a command")),
        };
        let mut data = Vec::new();
        let mut is_inside = command.has_data_set();
        while is_inside {
            let Piece::Data { bytes, is_last } = self.receive_piece()? else {
                return Err(self.protocol("a command within a data set"));
            };
            if data.len() + bytes.len() > MAX_RESPONSE {
                return Err(self.protocol("a response that is too long"));
            }
            data.extend(bytes);
            is_inside = !is_last;
        }
        Ok((command, data))
    }

    fn receive_piece(&mut self) -> Result<Piece> {
        loop {
            while let Some(value) = self.waiting.pop_front() {
                if let Some(piece) = self.assembler.push(value)? {
                    return Ok(piece);
                }
            }
            let received = self.link.receive();
            match received.map_err(|e| self.lost("receive an answer", with_causes(&e)))? {
                Pdu::PData { data } => self.waiting.extend(data),
                Pdu::AbortRQ { .. } => {
                    return Err(self.lost("go on", "the peer aborted the association"));
                }
                Pdu::ReleaseRQ => {
                    return Err(self.lost("go on", "the peer ended the association"));
                }
                _ => return Err(self.protocol("an unexpected PDU")),
            }
        }
    }

    /// Ends the association in good order. What was answered stays answered if even this fails.
    pub fn release(self) {
        if let Err(e) = self.link.release() {
            tracing::debug!(
                "{}: cannot end the association: {}",
                self.peer,
                with_causes(&e)
            );
        }
    }

    fn lost(&self, doing: &str, cause: impl std::fmt::Display) -> Error {
        Error::network(&self.peer, doing, cause)
    }

    /// The peer sent what the protocol does not allow.
    pub fn protocol(&self, what: &str) -> Error {
        Error::new(ErrorKind::Protocol, format!("{} sent {what}", self.peer))
    }
}

/// Small PDUs go out at once. Otherwise each object waits for a delayed acknowledgement of TCP.
fn send_at_once(stream: &TcpStream) {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!("cannot set TCP_NODELAY: {e}");
    }
}

/// Reads up to `most` bytes; fewer only at the end.
fn read_piece(data: &mut dyn Read, most: u32) -> std::io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(most as usize);
    data.take(u64::from(most)).read_to_end(&mut piece)?;
    Ok(piece)
}

fn refused_or_lost(node: &DimseNode, error: &UlError) -> Error {
    let place = node.place();
    match error {
        UlError::Rejected { association_rj, .. } => {
            let reason = association_rj.source.to_string();
            let hint = if reason.contains("calling AE") {
                format!("tell the peer of the title {:?}", node.calling_ae_title)
            } else if reason.contains("called AE") {
                format!("is {:?} the title of that node?", node.ae_title)
            } else {
                "ask the peer's administrator, or try again later".to_owned()
            };
            Error::new(
                ErrorKind::Refused,
                format!("{place} rejects the association: {reason}"),
            )
            .hint(hint)
        }
        e => Error::network(&place, "open an association", with_causes(e))
            .hint("does the node run, and do the network and its firewalls let it be reached?"),
    }
}
