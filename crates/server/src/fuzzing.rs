//! Entry points for the fuzz targets of the workspace's folder `fuzz`. They are not part of the library:
//! they may change at any time.

use crate::access::Access;
use crate::config::ServerConfig;
use crate::database::JobQuery;
use crate::http::{App, router};
use crate::queue::{NewScan, Queue};
use crate::server::own_studies;
use crate::{Analyser, Error, ErrorKind, JobState, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use multirnet_base::StopToken;
use multirnet_pacs::{Listener, ListenerOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tower_service::Service as _;

/// More of an answer is not read.
const LONGEST_ANSWER: usize = 32 << 20;
const NO_LIMIT: usize = 1 << 40;
const KEPT_BYTES: u64 = 1 << 20;

/// The HTTP interface without a network and without workers: what is queued stays so.
pub struct Interface {
    router: Router,
    runtime: Runtime,
    queue: Queue,
    bearer: String,
    /// An upload that stays.
    pub upload: String,
    _listener: Listener,
}

fn config(data: &Path) -> ServerConfig {
    let mut config = ServerConfig {
        data: data.to_owned(),
        ..ServerConfig::default()
    };
    config.limits.free_disk_mib = 0;
    config.limits.uploads = NO_LIMIT;
    config.limits.jobs = NO_LIMIT;
    config.limits.waiting_jobs = NO_LIMIT;
    config
}

/// Analyses the scan `bytes`, a NIfTI file, on the data folder `data`. Gives the job's name.
///
/// # Errors
/// Those of the queue, and if the job fails.
pub fn analysed(data: &Path, analyser: Analyser, bytes: &[u8]) -> Result<String> {
    let stop = StopToken::new();
    let queue = Queue::open(config(data), analyser, stop.clone())?;
    let upload = queue.begin_upload("scan.nii.gz", bytes.len() as u64)?;
    let path: PathBuf = queue.data.upload(&upload.id);
    std::fs::write(&path, bytes).map_err(|e| Error::write(&path, "write the file", e))?;
    let job = queue.submit_upload(&upload.id, NewScan::default())?;
    let job = std::thread::scope(|scope| {
        scope.spawn(|| queue.work());
        let done = queue.wait_for(&job.id, &stop);
        stop.raise();
        done
    })?;
    match job {
        Some(job) if job.state == JobState::Done => Ok(job.id),
        job => Err(Error::new(
            ErrorKind::Scan,
            format!("the scan was not analysed: {:?}", job.and_then(|j| j.error)),
        )),
    }
}

impl Interface {
    /// Opens the data folder `data`.
    ///
    /// # Errors
    /// Those of [`crate::Server::bind`].
    pub fn open(data: &Path, analyser: Analyser) -> Result<Self> {
        let queue = Queue::open(config(data), analyser, StopToken::new())?;
        let upload = queue.begin_upload("kept.nii", KEPT_BYTES)?.id;
        let token = queue.data.token();
        let access = Access::new(&queue.config.access, &token)?;
        let bearer = format!("Bearer {}", access.own_token.clone().unwrap_or_default());
        let studies = own_studies(&queue)?;
        let listener = Listener::without_port(&studies, ListenerOptions::default())?;
        let app = App {
            queue: queue.clone(),
            access: Arc::new(access),
            studies: listener.store().clone(),
            streams: Arc::new(Semaphore::new(queue.config.limits.event_streams)),
            listener: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Network, e.to_string()))?;
        Ok(Self {
            router: router(app),
            runtime,
            queue,
            bearer,
            upload,
            _listener: listener,
        })
    }

    /// Answers a request of somebody who has the token. `None` for what is not a request, the status
    /// otherwise. What the request made is removed again.
    pub fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Option<u16> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            request = request.header(header::CONTENT_LENGTH, body.len());
        }
        let mut request = request.body(Body::from(body)).ok()?;
        // A wrong token would only cost the time of its answer.
        let bearer = self.bearer.parse().ok()?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let mut router = self.router.clone();
        let status = self.runtime.block_on(async {
            let Ok(response) = router.call(request).await;
            let status = response.status().as_u16();
            let kind = response.headers().get(header::CONTENT_TYPE).cloned();
            let is_stream = kind.is_some_and(|k| k.as_bytes().starts_with(b"text/event-stream"));
            if !is_stream {
                // An answer that breaks off is not a finding: its status was sent before.
                let body = to_bytes(response.into_body(), LONGEST_ANSWER);
                let _ = tokio::time::timeout(Duration::from_secs(5), body).await;
            }
            status
        });
        if status == 201 {
            self.forget();
        }
        Some(status)
    }

    /// Removes waiting jobs, and uploads other than the one that stays.
    fn forget(&self) {
        let queued = JobQuery {
            state: Some(JobState::Queued),
            ..JobQuery::default()
        };
        let (_, jobs) = self.queue.list(&queued).expect("a list");
        for job in jobs {
            self.queue.delete(&job.id).expect("a waiting job");
        }
        let uploads = self.queue.database.upload_ids().expect("a list");
        for id in uploads.iter().filter(|id| **id != self.upload) {
            self.queue.discard_upload(id).expect("an upload");
        }
    }
}
