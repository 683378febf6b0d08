//! Places in the store's work that tests can watch and break.

use std::fmt;
use std::io;
use std::sync::Arc;

/// A step that changes what is on the disk or at a destination. The work that follows a step has not
/// begun when the probe is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// An object begins to arrive.
    ReceiveObject,
    /// An object is complete and gets its place.
    KeepObject,
    /// An object is in its place and will be acknowledged.
    AcknowledgeObject,
    /// The list of a new job's objects is written.
    WriteInputs,
    /// The record of a job is written.
    WriteJob,
    /// An analysis begins.
    Analyse,
    /// An analysis has ended, and its results are written to the disk.
    SyncResults,
    /// An object is sent to a destination.
    Deliver,
    /// A destination has taken an object, and that will be recorded.
    RecordDelivery,
    /// An object is removed by the retention rule.
    RemoveObject,
}

type Ask = dyn Fn(Step) -> io::Result<()> + Send + Sync;

/// Is asked before each [`Step`]; an error counts as the disk's.
#[derive(Clone)]
pub struct Probe(Arc<Ask>);

impl Probe {
    /// A probe that asks `ask`.
    pub fn new(ask: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn ask(&self, step: Step) -> io::Result<()> {
        (self.0)(step)
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new(|_| Ok(()))
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}
