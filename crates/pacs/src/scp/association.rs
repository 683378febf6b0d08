//! One association, from its request to its end.

use super::access::Access;
use super::acknowledge::Acknowledger;
use super::object::ArrivingObject;
use super::{Scp, stopped};
use crate::dimse::{Assembler, Command, Piece, status};
use crate::error::with_causes;
use crate::store::IncomingObject;
use crate::{Error, ErrorKind, Event, Result};
use dicom_ul::association::{AsyncAssociation, AsyncServerAssociation, Error as UlError};
use dicom_ul::pdu::{
    AbortRQServiceProviderReason, AbortRQSource, PDataValue, PDataValueType, Pdu,
    PresentationContextResultReason,
};
use multirnet_base::StopToken;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Most C-ECHO requests of an association that the audit log tells. A flood would fill the disk otherwise.
const TOLD_ECHOES: u64 = 10;

impl Scp {
    pub(super) async fn associate(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        access: Access,
        stop: StopToken,
    ) {
        // Answers are small and the peer waits for each.
        if let Err(e) = stream.set_nodelay(true) {
            tracing::debug!("cannot set TCP_NODELAY: {e}");
        }
        let acknowledger = Acknowledger::of(&stream);
        let options = self.options(access);
        let idle = Duration::from_secs(self.config.idle_seconds);
        let result = if self.tls.is_some() {
            let established = limited(idle, options.establish_tls_async(stream));
            match or_stopped(&stop, established).await {
                Ok(association) => self.run(association, peer, acknowledger, &stop).await,
                Err(e) => Err(e),
            }
        } else {
            let established = limited(idle, options.establish_async(stream));
            match or_stopped(&stop, established).await {
                Ok(association) => self.run(association, peer, acknowledger, &stop).await,
                Err(e) => Err(e),
            }
        };
        let peer = peer.to_string();
        match result {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Stopped => {}
            Err(e) if e.kind() == ErrorKind::Refused => {
                let reason = e.to_string();
                self.audit.tell(&Event::AssociationRefused { peer, reason });
            }
            Err(e) => {
                let reason = e.to_string();
                self.audit.tell(&Event::AssociationBroken { peer, reason });
            }
        }
    }

    async fn run<S>(
        &self,
        association: AsyncServerAssociation<S>,
        peer: SocketAddr,
        acknowledger: Acknowledger,
        stop: &StopToken,
    ) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let ae_title = dicom_ul::association::Association::peer_ae_title(&association).to_owned();
        self.audit.tell(&Event::AssociationAccepted {
            peer: peer.to_string(),
            ae_title: ae_title.clone(),
        });
        let mut session = Session {
            scp: self,
            association,
            acknowledger,
            peer: peer.to_string(),
            ae_title,
            assembler: Assembler::default(),
            request: None,
            echoes: 0,
            begin: Instant::now(),
            message_begin: None,
        };
        let result = session.serve(stop).await;
        if result.is_err() {
            let abort = Pdu::AbortRQ {
                source: AbortRQSource::ServiceProvider(
                    AbortRQServiceProviderReason::ReasonNotSpecified,
                ),
            };
            // The peer may be gone.
            let _ = session.association.send(&abort).await;
        }
        result
    }
}

/// A request whose data set is coming in.
enum Request {
    Store {
        context: u8,
        message_id: u16,
        object: Box<ArrivingObject>,
    },
    /// Its data set is read and forgotten.
    Unknown {
        context: u8,
        field: u16,
        message_id: u16,
    },
}

struct Session<'a, S> {
    scp: &'a Scp,
    association: AsyncServerAssociation<S>,
    acknowledger: Acknowledger,
    peer: String,
    ae_title: String,
    assembler: Assembler,
    request: Option<Request>,
    /// Number of C-ECHO requests so far.
    echoes: u64,
    begin: Instant,
    /// When the first part of the message came that is coming in.
    message_begin: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<'_, S> {
    async fn serve(&mut self, stop: &StopToken) -> Result<()> {
        loop {
            let is_inside = self.request.is_some() || self.assembler.is_inside();
            self.message_begin = match is_inside {
                true => self.message_begin.or_else(|| Some(Instant::now())),
                false => None,
            };
            let (deadline, late) = self.deadline();
            let received = AsyncAssociation::receive(&mut self.association);
            let pdu = tokio::select! {
                pdu = self.acknowledger.during(is_inside, received) => pdu.map_err(|e| self.lost(&e))?,
                () = tokio::time::sleep_until(deadline.into()) => return Err(late),
                () = stopped(stop) => return Err(Error::stopped()),
            };
            // A peer that never stops sending keeps `receive` ready, so the time is also looked at here.
            if Instant::now() > deadline {
                return Err(late);
            }
            match pdu {
                Pdu::PData { data } => {
                    for value in data {
                        if let Some(piece) = self.assembler.push(value)? {
                            self.take(piece).await?;
                        }
                    }
                }
                Pdu::ReleaseRQ => {
                    self.send(&Pdu::ReleaseRP).await?;
                    return Ok(());
                }
                Pdu::AbortRQ { .. } if self.assembler.is_inside() => {
                    return Err(Error::new(
                        ErrorKind::Network,
                        "the peer aborted within an object",
                    ));
                }
                Pdu::AbortRQ { .. } => return Ok(()),
                _ => return Err(Error::new(ErrorKind::Protocol, "an unexpected PDU came")),
            }
        }
    }

    /// When the association must end if nothing changes, and the error then. A message that has begun may
    /// go on beyond the association's own time.
    fn deadline(&self) -> (Instant, Error) {
        let config = &self.scp.config;
        let (begin, seconds, what) = match self.message_begin {
            Some(begin) => (begin, config.message_seconds, "a message did not end"),
            None => (
                self.begin,
                config.association_seconds,
                "the association did not end",
            ),
        };
        let reason = format!("{what} within {seconds} s");
        (
            begin + Duration::from_secs(seconds),
            Error::new(ErrorKind::Protocol, reason),
        )
    }

    async fn take(&mut self, piece: Piece) -> Result<()> {
        match piece {
            Piece::Command { context, command } => self.take_command(context, command).await,
            Piece::Data { bytes, is_last } => {
                if let Some(Request::Store { object, .. }) = &mut self.request {
                    object.write(&bytes)?;
                }
                if is_last {
                    self.end_request().await
                } else {
                    Ok(())
                }
            }
        }
    }

    async fn take_command(&mut self, context: u8, command: Command) -> Result<()> {
        match command {
            Command::EchoRequest { message_id } => {
                self.echoes += 1;
                if self.echoes <= TOLD_ECHOES {
                    self.scp.audit.tell(&Event::Echo {
                        peer: self.peer.clone(),
                        ae_title: self.ae_title.clone(),
                    });
                }
                let status = status::SUCCESS;
                self.answer(context, &Command::EchoResponse { message_id, status })
                    .await
            }
            Command::StoreRequest {
                message_id,
                sop_class,
                sop_instance,
            } => {
                let transfer_syntax = self.syntax_of(context, &sop_class);
                let incoming = IncomingObject {
                    sop_class_uid: sop_class,
                    sop_instance_uid: sop_instance,
                    transfer_syntax: transfer_syntax.clone().unwrap_or_default(),
                    ae_title: self.ae_title.clone(),
                };
                let limit = self.scp.config.max_object_mib << 20;
                let object = match transfer_syntax {
                    Some(_) => ArrivingObject::begin(&self.scp.store, incoming, limit),
                    None => ArrivingObject::refused(
                        incoming,
                        status::CLASS_NOT_SUPPORTED,
                        "the presentation context is not one for this class",
                        limit,
                    ),
                };
                self.request = Some(Request::Store {
                    context,
                    message_id,
                    object: Box::new(object),
                });
                Ok(())
            }
            Command::FindRequest { message_id, .. } => {
                self.unknown(context, 0x0020, message_id, true).await
            }
            Command::MoveRequest { message_id, .. } => {
                self.unknown(context, 0x0021, message_id, true).await
            }
            Command::UnknownRequest {
                field,
                message_id,
                has_data_set,
            } => self.unknown(context, field, message_id, has_data_set).await,
            Command::CancelRequest { .. } => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Protocol,
                "a response came without a request",
            )),
        }
    }

    async fn unknown(
        &mut self,
        context: u8,
        field: u16,
        message_id: u16,
        has_data: bool,
    ) -> Result<()> {
        self.request = Some(Request::Unknown {
            context,
            field,
            message_id,
        });
        if has_data {
            Ok(())
        } else {
            self.end_request().await
        }
    }

    async fn end_request(&mut self) -> Result<()> {
        match self.request.take() {
            Some(Request::Store {
                context,
                message_id,
                object,
            }) => {
                let answer = object.finish(message_id, &self.scp.audit).await;
                self.answer(context, &answer).await
            }
            Some(Request::Unknown {
                context,
                field,
                message_id,
            }) => {
                // The answer to a find has the form of all answers without identifiers.
                let answer = Command::UnknownResponse {
                    field,
                    message_id,
                    status: status::UNRECOGNIZED_OPERATION,
                };
                self.answer(context, &answer).await
            }
            None => Ok(()),
        }
    }

    /// The transfer syntax of an accepted context for `sop_class`.
    fn syntax_of(&self, context: u8, sop_class: &str) -> Option<String> {
        let fits = self.association.presentation_contexts().iter().find(|c| {
            c.id == context
                && c.reason == PresentationContextResultReason::Acceptance
                && c.abstract_syntax == sop_class
        });
        let trimmed = |s: &str| s.trim_end_matches(['\0', ' ']).to_owned();
        fits.map(|c| trimmed(&c.transfer_syntax))
    }

    async fn answer(&mut self, context: u8, command: &Command) -> Result<()> {
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Command,
            is_last: true,
            data: command.encode()?,
        };
        self.send(&Pdu::PData { data: vec![value] }).await
    }

    async fn send(&mut self, pdu: &Pdu) -> Result<()> {
        let sent = AsyncAssociation::send(&mut self.association, pdu).await;
        sent.map_err(|e| self.lost(&e))
    }

    fn lost(&self, error: &UlError) -> Error {
        match error {
            UlError::Timeout { .. } => {
                let seconds = self.scp.config.idle_seconds;
                Error::new(
                    ErrorKind::Network,
                    format!("the peer was silent for {seconds} s"),
                )
            }
            e => Error::new(ErrorKind::Network, with_causes(e)),
        }
    }
}

/// An establishment that takes at most `wait`: a peer that connects and says nothing holds no slot.
async fn limited<T>(
    wait: Duration,
    work: impl Future<Output = std::result::Result<T, UlError>>,
) -> Result<T> {
    match tokio::time::timeout(wait, work).await {
        Ok(Ok(association)) => Ok(association),
        Ok(Err(e @ UlError::Rejected { .. })) => {
            Err(Error::new(ErrorKind::Refused, with_causes(&e)))
        }
        Ok(Err(e)) => Err(Error::new(ErrorKind::Network, with_causes(&e))),
        Err(_) => Err(Error::new(
            ErrorKind::Network,
            format!(
                "the peer did not ask for an association within {} s",
                wait.as_secs()
            ),
        )),
    }
}

async fn or_stopped<T>(stop: &StopToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        result = work => result,
        () = stopped(stop) => Err(Error::stopped()),
    }
}
