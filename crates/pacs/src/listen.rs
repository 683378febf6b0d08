//! The listener as a whole: receiving, waiting for quiet, analysing, delivering, removing.

use crate::audit::Watch;
use crate::config::{Config, Node};
use crate::delivery::deliver_due;
use crate::scp::Scp;
use crate::store::{ReceivedStudy, RunningJob, Store, StoreSettings};
use crate::{Audit, Clock, Error, ErrorKind, Event, Probe, Result, SystemClock};
use multirnet_base::{ClockWatch, StopToken};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often each part looks for work.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often the retention rule is applied, and how long the computer's clock must run without being set
/// before anything is removed for its age.
const RETENTION_INTERVAL: Duration = Duration::from_secs(600);

/// Any error of an analysis.
pub type AnalysisError = Box<dyn std::error::Error + Send + Sync>;

/// Analyses studies.
pub trait Analyse: Sync {
    /// Analyses `study` and writes DICOM objects into the empty folder `out`. Gives the files that are
    /// to be delivered. The same study must give the same objects, UIDs included: after a kill the
    /// analysis runs again, and destinations tell objects apart by their UIDs.
    ///
    /// A scan that cannot be analysed is not an error but an object that says so. `stop` asks the
    /// analysis to end early; its result does not count then.
    ///
    /// # Errors
    /// Any; the analysis is tried again as often as the configuration says.
    fn analyse(
        &self,
        study: &ReceivedStudy,
        out: &Path,
        stop: &StopToken,
    ) -> std::result::Result<Vec<PathBuf>, AnalysisError>;

    /// Writes objects into the empty folder `out` which say that `study` was not analysed, because
    /// `reason`: the last attempt has failed. Gives the files that are to be delivered; without any, the
    /// destinations learn nothing.
    ///
    /// # Errors
    /// Any; the destinations then learn nothing.
    fn refuse(
        &self,
        study: &ReceivedStudy,
        out: &Path,
        reason: &str,
    ) -> std::result::Result<Vec<PathBuf>, AnalysisError> {
        let _ = (study, out, reason);
        Ok(Vec::new())
    }
}

impl<F> Analyse for F
where
    F: Fn(&ReceivedStudy, &Path, &StopToken) -> std::result::Result<Vec<PathBuf>, AnalysisError>
        + Sync,
{
    fn analyse(
        &self,
        study: &ReceivedStudy,
        out: &Path,
        stop: &StopToken,
    ) -> std::result::Result<Vec<PathBuf>, AnalysisError> {
        self(study, out, stop)
    }
}

/// Parts that tests replace.
#[derive(Clone)]
pub struct ListenerOptions {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Watches and breaks the store's steps.
    pub probe: Probe,
    /// Hears every event, besides the audit log.
    pub watch: Option<Watch>,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            probe: Probe::default(),
            watch: None,
        }
    }
}

/// A listener whose store is open and whose port, if it has one, is bound, but which does not answer
/// yet.
pub struct Listener {
    config: Config,
    store: Store,
    audit: Audit,
    port: Option<Port>,
}

/// The port on which the listener answers.
struct Port {
    scp: Arc<Scp>,
    socket: TcpListener,
    address: SocketAddr,
}

/// Receives, analyses and delivers until `stop` is raised: [`Listener::bind`] and [`Listener::run`].
///
/// # Errors
/// As those.
pub fn listen(config: &Config, analyse: &dyn Analyse, stop: &StopToken) -> Result<()> {
    Listener::bind(config, ListenerOptions::default())?.run(analyse, stop)
}

impl Listener {
    /// Opens the store and binds the port.
    ///
    /// # Errors
    /// `Network` if the port is taken; `Config` or `Read` for the files of TLS; those of
    /// [`Store::open`].
    pub fn bind(config: &Config, options: ListenerOptions) -> Result<Self> {
        let mut listener = Self::without_port(config, options)?;
        let (store, audit) = (listener.store.clone(), listener.audit.clone());
        let scp = Arc::new(Scp::new(&config.listener, store, audit)?);
        let place = config.listener.address.to_string();
        let bound = TcpListener::bind(config.listener.address);
        let socket = bound.map_err(|e| {
            Error::network(&place, "listen", e).hint("does another program listen on this port?")
        })?;
        let address = socket
            .local_addr()
            .map_err(|e| Error::network(&place, "listen", e))?;
        listener.port = Some(Port {
            scp,
            socket,
            address,
        });
        Ok(listener)
    }

    /// Opens the store alone, for a program that gives it objects itself ([`Store::receive`]).
    ///
    /// # Errors
    /// Those of [`Store::open`]; `Config` for an unknown destination.
    pub fn without_port(config: &Config, options: ListenerOptions) -> Result<Self> {
        for name in &config.delivery.to {
            config.node(name)?;
        }
        let audit = Audit::new(config.audit_file.as_deref(), options.clock.clone())?;
        let audit = audit.watched_by(options.watch);
        let settings = StoreSettings::new(config);
        let store = Store::open(settings, options.clock, audit.clone(), options.probe)?;
        Ok(Self {
            config: config.clone(),
            store,
            audit,
            port: None,
        })
    }

    /// Where the listener answers, if it has a port.
    pub fn address(&self) -> Option<SocketAddr> {
        self.port.as_ref().map(|p| p.address)
    }

    /// The title that peers call.
    pub fn ae_title(&self) -> &str {
        &self.config.listener.ae_title
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The memory that receiving and delivering take at most, in bytes, without the analysis.
    pub fn memory_plan_bytes(&self) -> u64 {
        // A delivery holds a few PDUs; an object that is rewritten is counted by the analysis.
        let deliveries = self.config.delivery.to.len() as u64 * (1 << 20);
        Scp::memory_plan_bytes(&self.config.listener) + deliveries
    }

    /// Receives, analyses and delivers until `stop` is raised. Raises it itself if the port is lost.
    ///
    /// # Errors
    /// `Network` if the port is lost. Failures of single objects, analyses and deliveries go to the
    /// audit log and are tried again.
    pub fn run(self, analyse: &dyn Analyse, stop: &StopToken) -> Result<()> {
        let Self {
            config,
            store,
            audit,
            port,
        } = self;
        let parts = Parts {
            store,
            audit: audit.clone(),
            stop,
        };
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            if let Some(Port {
                scp,
                socket,
                address,
            }) = port
            {
                audit.tell(&Event::Listening {
                    address: address.to_string(),
                });
                scope.spawn(|| {
                    if let Err(e) = serve(scp, socket, stop) {
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                    }
                    // Also ends the other parts if the network part could not begin.
                    stop.raise();
                });
            }
            scope.spawn(|| parts.keep_watch());
            for _ in 0..config.analysis.workers {
                scope.spawn(|| parts.work(analyse));
            }
            for name in &config.delivery.to {
                if let Some(node) = config.nodes.get(name) {
                    let parts = &parts;
                    scope.spawn(move || parts.deliver(name, node));
                }
            }
        });
        audit.tell(&Event::Stopped);
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)
    }
}

fn serve(scp: Arc<Scp>, socket: TcpListener, stop: &StopToken) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("multirnet-scp")
        .enable_all()
        .build()
        .map_err(|e| Error::network("the listener", "start", e))?;
    runtime
        .block_on(async { tokio::spawn(scp.serve(socket, stop.clone())).await })
        .unwrap_or_else(|e| Err(Error::network("the listener", "go on", e)))
}

struct Parts<'a> {
    store: Store,
    audit: Audit,
    stop: &'a StopToken,
}

impl Parts<'_> {
    /// Waits for a while.
    fn pause(&self) {
        std::thread::sleep(INTERVAL);
    }

    fn note<T>(&self, result: Result<T>) -> Option<T> {
        result
            .map_err(|e| {
                self.audit.tell(&Event::Failure {
                    reason: e.to_string(),
                })
            })
            .ok()
    }

    /// Makes jobs of quiet studies and applies the retention rule. The rule on the age waits until the
    /// clock has run for a while: a computer may start with a wrong clock and have it set later.
    fn keep_watch(&self) {
        let mut last = Instant::now();
        let mut clock = ClockWatch::new();
        self.note(self.store.retain_by_size());
        while !self.stop.is_raised() {
            self.note(self.store.queue_ready());
            if last.elapsed() >= RETENTION_INTERVAL {
                last = Instant::now();
                let set = clock.seconds_set();
                self.note(match set {
                    0 => self.store.retain(),
                    _ => self.store.retain_by_size(),
                });
                if set != 0 {
                    self.audit.tell(&Event::Failure {
                        reason: format!(
                            "the computer's clock was set by {set} s; nothing is removed for its age \
                             until it has run on for {} min",
                            RETENTION_INTERVAL.as_secs() / 60
                        ),
                    });
                }
            }
            self.pause();
        }
    }

    fn work(&self, analyse: &dyn Analyse) {
        while !self.stop.is_raised() {
            match self.note(self.store.next_job()).flatten() {
                Some(job) => {
                    self.note(run_job(&self.store, &job, analyse, self.stop));
                }
                None => self.pause(),
            }
        }
    }

    fn deliver(&self, name: &str, node: &Node) {
        while !self.stop.is_raised() {
            let sent = self.note(deliver_due(&self.store, name, node, self.stop));
            if sent.unwrap_or(0) == 0 {
                self.pause();
            }
        }
    }
}

/// Runs a job's analysis and notes its results or its failure.
///
/// # Errors
/// `Write` if the disk refuses the record.
pub fn run_job(
    store: &Store,
    job: &RunningJob,
    analyse: &dyn Analyse,
    stop: &StopToken,
) -> Result<()> {
    let id = &job.study.job;
    let begin = Instant::now();
    let work = || analyse.analyse(&job.study, &job.out, stop);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    if stop.is_raised() {
        store.interrupt_job(id);
        return Ok(());
    }
    let paths = match result {
        Ok(Ok(paths)) => paths,
        Ok(Err(e)) if is_of_the_disk(e.as_ref()) => {
            store.defer_job(id);
            return Err(Error::new(ErrorKind::Write, format!("{id}: {e}")));
        }
        Ok(Err(e)) => return failed(store, job, analyse, &e.to_string()),
        Err(_) => return failed(store, job, analyse, "the analysis panicked"),
    };
    match store.finish_job(id, &paths, begin.elapsed().as_secs_f64(), None) {
        Err(e) if e.kind() != ErrorKind::Write => failed(store, job, analyse, &e.to_string()),
        finished => finished,
    }
}

/// Whether the disk refused what an analysis wrote. That is not a failure of the study: once the disk
/// takes files again, the analysis gives its results.
fn is_of_the_disk(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let disk = [
        StorageFull,
        QuotaExceeded,
        ReadOnlyFilesystem,
        PermissionDenied,
    ];
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && disk.contains(&io.kind())
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Notes that an analysis failed. After the last attempt, the destinations are told.
fn failed(store: &Store, job: &RunningJob, analyse: &dyn Analyse, reason: &str) -> Result<()> {
    let id = &job.study.job;
    if !store.is_last_attempt(id) {
        return store.fail_job(id, reason);
    }
    store.discard_results(id)?;
    let refuse = || analyse.refuse(&job.study, &job.out, reason);
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(refuse));
    match refused {
        Ok(Err(e)) if is_of_the_disk(e.as_ref()) => {
            store.defer_job(id);
            Err(Error::new(ErrorKind::Write, format!("{id}: {e}")))
        }
        Ok(Ok(paths)) if !paths.is_empty() => {
            match store.finish_job(id, &paths, 0.0, Some(reason)) {
                Err(e) if e.kind() != ErrorKind::Write => store.fail_job(id, reason),
                finished => finished,
            }
        }
        _ => store.fail_job(id, reason),
    }
}
