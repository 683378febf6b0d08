//! The server as a whole: queue, workers, studies from the network, and the HTTP interface.

use crate::access::Access;
use crate::analyser::Analyser;
use crate::analysis::StudyQueue;
use crate::config::ServerConfig;
use crate::http::{App, answer, router};
use crate::job::Job;
use crate::queue::{NewScan, Queue};
use crate::{Error, ErrorKind, Result};
use multirnet_base::StopToken;
use multirnet_pacs::config::Config as PacsConfig;
use multirnet_pacs::{Listener, ListenerOptions};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Seconds without an object after which a study that came by STOW-RS is complete.
const QUIET_SECONDS: u64 = 10;
/// Days that objects stay in the store. Jobs have links of their own.
const KEPT_DAYS: u64 = 7;
/// Studies that wait for their jobs at a time.
const WAITING_STUDIES: usize = 16;
/// How often the server looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);
/// Threads for work that waits, beside one for each connection.
const SPARE_THREADS: usize = 64;
/// How long answers that are on their way may take when the server ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server whose port is bound, but which does not answer yet.
pub struct Server {
    queue: Queue,
    access: Arc<Access>,
    listener: Listener,
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the data folder and binds the ports. With `pacs`, the DICOM listener that it configures
    /// hands its studies to this server, and its results are delivered.
    ///
    /// # Errors
    /// `Config`; `Network` if a port is taken; `Write`, also if another program uses the folder;
    /// `Database`.
    pub fn bind(
        config: ServerConfig,
        analyser: Analyser,
        pacs: Option<&PacsConfig>,
        options: ListenerOptions,
        stop: StopToken,
    ) -> Result<Self> {
        config.check()?;
        let socket = std::net::TcpListener::bind(config.listen).map_err(|e| {
            Error::new(
                ErrorKind::Network,
                format!("{}: cannot listen: {e}", config.listen),
            )
            .hint("does another program listen on this port? --listen chooses another")
        })?;
        let address = socket.local_addr().and_then(|address| {
            socket.set_nonblocking(true)?;
            Ok(address)
        });
        let address = address
            .map_err(|e| Error::new(ErrorKind::Network, format!("{}: {e}", config.listen)))?;
        let queue = Queue::open(config, analyser, stop)?;
        let access = Access::new(&queue.config.access, &queue.data.token())?;
        let mut studies = match pacs {
            Some(pacs) => pacs.clone(),
            None => own_studies(&queue)?,
        };
        // Every complete study becomes a job at once; the queue decides whose turn it is.
        studies.analysis.workers = WAITING_STUDIES;
        let listener = match pacs {
            Some(_) => Listener::bind(&studies, options)?,
            None => Listener::without_port(&studies, options)?,
        };
        Ok(Self {
            queue,
            access: Arc::new(access),
            listener,
            socket,
            address,
        })
    }

    /// Where the server answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Makes a job of the scan `path`, which lies below an allowed root. The same `key` gives the same
    /// job.
    ///
    /// # Errors
    /// `Forbidden` for any other path; `Full`; `Write`.
    pub fn analyse_path(&self, path: &Path, key: &str) -> Result<Job> {
        let key = Some(format!("program {key}"));
        self.queue.submit_path(
            path,
            NewScan {
                key,
                ..NewScan::default()
            },
        )
    }

    /// The link that opens the viewer. Without a token of the server's own, people sign in themselves.
    pub fn link(&self) -> String {
        match &self.access.own_token {
            Some(token) => format!("http://{}/?token={token}", self.address),
            None => format!("http://{}/", self.address),
        }
    }

    /// Title and address of the DICOM listener, if it has a port.
    pub fn listener(&self) -> Option<(String, SocketAddr)> {
        let address = self.listener.address()?;
        Some((self.listener.ae_title().to_owned(), address))
    }

    /// Answers and analyses until the stop token is raised. Jobs that are analysed then are queued
    /// again.
    ///
    /// # Errors
    /// `Network` if a port is lost.
    pub fn run(self) -> Result<()> {
        let shown = self
            .listener()
            .map(|(title, address)| (title, address.to_string()));
        let Self {
            queue,
            access,
            listener,
            socket,
            ..
        } = self;
        let app = App {
            queue: queue.clone(),
            access,
            studies: listener.store().clone(),
            streams: Arc::new(Semaphore::new(queue.config.limits.event_streams)),
            listener: shown,
        };
        let store = listener.store().clone();
        let stop = queue.stop.clone();
        std::thread::scope(|scope| {
            for _ in 0..queue.config.analysis.workers {
                scope.spawn(|| queue.work());
            }
            scope.spawn(|| queue.keep_watch(&store));
            let network = scope.spawn(|| {
                let run = listener.run(&StudyQueue(queue.clone()), &stop);
                stop.raise();
                run
            });
            let served = serve(app, socket, &stop);
            // Also ends the others if the interface could not begin.
            stop.raise();
            queue.stop_running();
            let network = network.join();
            served?;
            match network {
                Ok(run) => Ok(run?),
                Err(_) => Err(Error::new(
                    ErrorKind::Network,
                    "the store of studies panicked",
                )),
            }
        })
    }
}

/// The store of studies that come by STOW-RS alone.
pub(crate) fn own_studies(queue: &Queue) -> Result<PacsConfig> {
    let text = format!(
        "[listener]\nae_title = \"MULTIRNET\"\naddress = \"127.0.0.1:0\"\n\
         [[listener.allow]]\n\
         [store]\nfolder = \"studies\"\nquiet_seconds = {QUIET_SECONDS}\n\
         [retention]\ndays = {KEPT_DAYS}\n"
    );
    let mut config = PacsConfig::parse(&text, queue.data.root())?;
    config.store.folder = queue.data.studies();
    Ok(config)
}

fn serve(app: App, socket: std::net::TcpListener, stop: &StopToken) -> Result<()> {
    let lost =
        |e: std::io::Error| Error::new(ErrorKind::Network, format!("the HTTP interface: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // A slow client may hold a thread while its body comes or goes. Others find one all the same.
        .max_blocking_threads(app.queue.config.limits.connections + SPARE_THREADS)
        .thread_name("multirnet-http")
        .enable_all()
        .build()
        .map_err(lost)?;
    let raised = || {
        let stop = stop.clone();
        async move {
            while !stop.is_raised() {
                tokio::time::sleep(LOOK).await;
            }
        }
    };
    let served = runtime.block_on(async {
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let serving = answer(socket, router(app.clone()), app, raised());
        let hurry = async {
            raised().await;
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            () = serving => (),
            () = hurry => (),
        }
        Ok(())
    });
    // Work in other threads ends by itself; it is not waited for.
    runtime.shutdown_timeout(PATIENCE);
    served.map_err(lost)
}
