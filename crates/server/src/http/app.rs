//! What every request can reach.

use crate::access::Access;
use crate::queue::Queue;
use multirnet_pacs::store::Store;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What every request can reach.
#[derive(Clone)]
pub(crate) struct App {
    pub queue: Queue,
    pub access: Arc<Access>,
    /// Where objects from the network go.
    pub studies: Store,
    /// Places for streams of events.
    pub streams: Arc<Semaphore>,
    /// Title and address of the DICOM listener, if it runs.
    pub listener: Option<(String, String)>,
}
