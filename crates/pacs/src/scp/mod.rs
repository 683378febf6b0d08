//! The listener's network side: C-ECHO and C-STORE as a provider.

mod access;
mod acknowledge;
mod association;
mod limits;
mod object;

use crate::config::{ListenerConfig, OtherObjects};
use crate::store::Store;
use crate::{Audit, Error, Event, Result, sop};
use access::Access;
use dicom_dictionary_std::uids;
use dicom_ul::association::read_pdu_from_wire_async;
use dicom_ul::association::server::ServerAssociationOptions;
use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceProviderPresentationReason,
    AssociationRJSource, Pdu, write_pdu,
};
use limits::{ByAddress, Refusals};
use multirnet_base::StopToken;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How often waiting tasks look whether they are asked to end.
const STOP_INTERVAL: Duration = Duration::from_millis(50);
/// Most peers at a time that are told to come again.
const MAX_SENT_AWAY: usize = 16;
/// Buffers of an association besides its PDUs: the file's, and a command set's.
const ASSOCIATION_BYTES: u64 = 1 << 18;

/// Serves associations.
pub(crate) struct Scp {
    config: ListenerConfig,
    store: Store,
    audit: Audit,
    tls: Option<Arc<ServerConfig>>,
    slots: Arc<Semaphore>,
    sent_away: Arc<Semaphore>,
    by_address: ByAddress,
    refusals: Refusals,
}

impl Scp {
    /// A provider that stores into `store`.
    pub fn new(config: &ListenerConfig, store: Store, audit: Audit) -> Result<Self> {
        Ok(Self {
            tls: config.tls.as_ref().map(|tls| tls.server()).transpose()?,
            slots: Arc::new(Semaphore::new(config.max_associations)),
            sent_away: Arc::new(Semaphore::new(MAX_SENT_AWAY)),
            by_address: ByAddress::default(),
            refusals: Refusals::default(),
            config: config.clone(),
            store,
            audit,
        })
    }

    /// Serves peers until `stop` is raised.
    pub async fn serve(
        self: Arc<Self>,
        socket: std::net::TcpListener,
        stop: StopToken,
    ) -> Result<()> {
        let failed = |e| Error::network("the listener", "listen", e);
        socket.set_nonblocking(true).map_err(failed)?;
        let socket = TcpListener::from_std(socket).map_err(failed)?;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = stopped(&stop) => return Ok(()),
            };
            match accepted {
                Ok((stream, peer)) => self.clone().admit(stream, peer, stop.clone()),
                // Too many open files, or a peer that is gone already: others may still come.
                Err(e) => {
                    self.audit.tell(&Event::Failure {
                        reason: format!("cannot accept a connection: {e}"),
                    });
                    tokio::time::sleep(STOP_INTERVAL).await;
                }
            }
        }
    }

    fn admit(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, stop: StopToken) {
        let address = peer.ip().to_canonical();
        let access = Access::new(&self.config.allow, address);
        if access.is_empty() {
            // A connection that is closed at once gives a stranger nothing to work on.
            self.refuse(peer, "no entry of the allow-list has this address");
            return;
        }
        // One address does not get all places, so that others are served while it floods this node.
        let most = self.config.associations_per_address();
        let place = self.by_address.take(address, most);
        let slot =
            place.and_then(|place| Some((place, self.slots.clone().try_acquire_owned().ok()?)));
        if let Some(slot) = slot {
            tokio::spawn(async move {
                self.associate(stream, peer, access, stop).await;
                drop(slot);
            });
        } else if let Ok(slot) = self.sent_away.clone().try_acquire_owned() {
            self.refuse(peer, "too many associations");
            tokio::spawn(async move {
                let wait = Duration::from_secs(self.config.idle_seconds.min(5));
                // Whoever does not wait for the answer needs none.
                let _ = tokio::time::timeout(wait, self.send_away(stream)).await;
                drop(slot);
            });
        } else {
            self.refuse(peer, "too many connections");
        }
    }

    /// Reads the request and answers that this node is busy.
    async fn send_away(&self, mut stream: TcpStream) -> std::io::Result<()> {
        if self.tls.is_some() {
            return Ok(());
        }
        let mut buffer = Default::default();
        let length = self.config.max_pdu_bytes;
        let request = read_pdu_from_wire_async(&mut stream, &mut buffer, length, true).await;
        if !matches!(request, Ok(Pdu::AssociationRQ(_))) {
            return Ok(());
        }
        let busy = AssociationRJServiceProviderPresentationReason::LocalLimitExceeded;
        let answer = Pdu::AssociationRJ(AssociationRJ {
            result: AssociationRJResult::Transient,
            source: AssociationRJSource::ServiceProviderPresentation(busy),
        });
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, &answer).map_err(std::io::Error::other)?;
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    }

    fn refuse(&self, peer: SocketAddr, reason: &str) {
        let telling = self.refusals.count(Instant::now());
        if telling.untold > 0 {
            self.audit.tell(&Event::AssociationRefused {
                peer: "several".to_owned(),
                reason: format!("{} further peers, which have no line", telling.untold),
            });
        }
        if !telling.this {
            return;
        }
        self.audit.tell(&Event::AssociationRefused {
            peer: peer.to_string(),
            reason: reason.to_owned(),
        });
    }

    fn options(
        &self,
        access: Access,
    ) -> ServerAssociationOptions<'static, Access, access::NoRoles> {
        let idle = Duration::from_secs(self.config.idle_seconds);
        let mut options = ServerAssociationOptions::new()
            .ae_access_control(access)
            .with_negotiation(access::NoRoles)
            .ae_title(self.config.ae_title.clone())
            .max_pdu_length(self.config.max_pdu_bytes)
            .strict(true)
            .read_timeout(idle)
            .write_timeout(idle)
            .with_abstract_syntax(uids::VERIFICATION);
        let others = match self.config.other_objects {
            OtherObjects::Store => &sop::OTHER_CLASSES[..],
            OtherObjects::Refuse => &[],
        };
        for class in sop::CT_CLASSES.iter().chain(others) {
            options = options.with_abstract_syntax(*class);
        }
        for syntax in sop::TRANSFER_SYNTAXES {
            options = options.with_transfer_syntax(syntax);
        }
        match &self.tls {
            Some(tls) => options.tls_config(tls.clone()),
            None => options,
        }
    }

    /// The memory that receiving takes at most, in bytes: each association holds the bytes that came,
    /// a PDU, its values and an answer, and the buffer of a file.
    pub fn memory_plan_bytes(config: &ListenerConfig) -> u64 {
        let association = 4 * u64::from(config.max_pdu_bytes) + ASSOCIATION_BYTES;
        (config.max_associations + MAX_SENT_AWAY) as u64 * association
    }
}

/// Waits until `stop` is raised.
async fn stopped(stop: &StopToken) {
    while !stop.is_raised() {
        tokio::time::sleep(STOP_INTERVAL).await;
    }
}
