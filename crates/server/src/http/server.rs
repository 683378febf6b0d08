//! The server itself: what it is, its models, whether it is well, and what it counts.

use super::app::App;
use super::guard::person;
use super::problem::{Problem, blocking};
use axum::Json;
use axum::extract::State;
use axum::http::{Extensions, header};
use axum::response::IntoResponse;
use multirnet::NOTICE;
use multirnet_infer::{CatalogueEntry, ModelCard, ModelSource};
use serde::Serialize;
use utoipa::ToSchema;

/// What the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct About {
    /// Version of the program.
    version: &'static str,
    /// What every page says.
    notice: &'static str,
    /// Name of the person who asks, if the server knows it.
    user: Option<String>,
    /// The model that analyses.
    model: ActiveModel,
    /// The queue.
    queue: QueueState,
    /// What is refused.
    limits: Limits,
    /// The DICOM listener, if it runs.
    listener: Option<ListenerState>,
    /// Folders whose scans may be analysed where they lie.
    allowed_roots: Vec<String>,
}

/// The model that analyses.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActiveModel {
    /// Its name.
    name: String,
    /// What it was trained on, in a sentence.
    trained_on: String,
    /// What is not validated on patients; absent if all is.
    validation_notice: Option<&'static str>,
}

/// The queue.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueueState {
    /// Jobs that wait.
    queued: u64,
    /// Jobs that are analysed.
    running: u64,
    /// Jobs that can be analysed at a time.
    workers: usize,
    /// Planned bytes of running analyses.
    memory_planned_bytes: u64,
    /// Bytes that analyses may take.
    memory_budget_bytes: u64,
}

/// What is refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct Limits {
    /// Largest upload.
    max_upload_bytes: u64,
    /// Most jobs.
    max_jobs: usize,
    /// Most jobs that wait.
    max_waiting_jobs: usize,
    /// Days after which jobs without corrections are deleted.
    keep_days: Option<u64>,
}

/// The DICOM listener.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListenerState {
    /// Its title.
    ae_title: String,
    /// Its address and port.
    address: String,
}

/// Whether the server is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

/// Models.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    /// The models with their cards.
    models: Vec<ListedModel>,
}

/// A model that the server knows.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedModel {
    /// Its name.
    name: String,
    /// Whether it is the one in the program.
    is_default: bool,
    /// Whether it analyses.
    is_active: bool,
    /// Its file; absent for a model in the program.
    path: Option<String>,
    /// SHA-256 of the file, hexadecimal.
    sha256: Option<String>,
    /// Size of the file.
    bytes: Option<usize>,
    /// The model card.
    #[schema(value_type = Option<Object>)]
    card: Option<ModelCard>,
    /// Why its file cannot be read.
    error: Option<String>,
}

/// What the server is.
#[utoipa::path(get, operation_id = "server_about", path = "/api/v1/server", tag = "server",
    responses((status = 200, body = About)))]
pub(super) async fn about(
    State(app): State<App>,
    extensions: Extensions,
) -> Result<Json<About>, Problem> {
    let user = person(&extensions).name;
    blocking(move || {
        let queue = &app.queue;
        let counts = queue.database.counts()?;
        let card = queue.analyser.model.card();
        let config = &queue.config;
        Ok(Json(About {
            version: env!("CARGO_PKG_VERSION"),
            notice: NOTICE,
            user,
            model: ActiveModel {
                name: card.name.clone(),
                trained_on: card.trained_on.clone(),
                validation_notice: card.validated_on.notice(),
            },
            queue: QueueState {
                queued: counts.queued,
                running: counts.running,
                workers: config.analysis.workers,
                memory_planned_bytes: queue.memory.used(),
                memory_budget_bytes: queue.memory.budget(),
            },
            limits: Limits {
                max_upload_bytes: config.limits.upload_mib << 20,
                max_jobs: config.limits.jobs,
                max_waiting_jobs: config.limits.waiting_jobs,
                keep_days: config.limits.keep_days,
            },
            listener: app
                .listener
                .map(|(ae_title, address)| ListenerState { ae_title, address }),
            allowed_roots: config
                .allow_roots
                .iter()
                .map(|r| r.display().to_string())
                .collect(),
        }))
    })
    .await
}

/// Models with their cards.
#[utoipa::path(get, operation_id = "server_models", path = "/api/v1/models", tag = "server",
    responses((status = 200, body = Models)))]
pub(super) async fn models(State(app): State<App>) -> Result<Json<Models>, Problem> {
    blocking(move || {
        let active = app.queue.analyser.model.model_digest();
        let catalogue = crate::models(app.queue.config.models.as_deref());
        let list = catalogue.list();
        let shown = list.iter().filter(|e| !e.hidden).map(|e| entry(e, active));
        Ok(Json(Models {
            models: shown.collect(),
        }))
    })
    .await
}

fn entry(entry: &CatalogueEntry, active: &str) -> ListedModel {
    let path = match &entry.source {
        ModelSource::File(path) => Some(path.display().to_string()),
        _ => None,
    };
    let facts = entry.facts.as_ref();
    ListedModel {
        name: entry.name.clone(),
        is_default: entry.name == multirnet::DEFAULT_MODEL.name,
        is_active: facts.is_ok_and(|f| f.sha256 == active),
        path,
        sha256: facts.ok().map(|f| f.sha256.clone()),
        bytes: facts.ok().map(|f| f.bytes),
        card: facts.ok().map(|f| f.card.clone()),
        error: facts.err().map(ToString::to_string),
    }
}

/// What the server counts, for Prometheus.
#[utoipa::path(get, operation_id = "server_metrics", path = "/api/v1/metrics", tag = "server",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let text = blocking(move || {
        let queue = &app.queue;
        let counts = queue.database.counts()?;
        Ok(queue
            .metrics
            .text(&counts, queue.memory.used(), queue.memory.budget()))
    })
    .await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text))
}

/// Whether the server runs. It needs no token.
#[utoipa::path(get, operation_id = "server_health", path = "/api/v1/health", tag = "server", security(()),
    responses((status = 200, body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the server takes jobs in: its database answers, and its disk has room. It needs no token.
#[utoipa::path(get, operation_id = "server_ready", path = "/api/v1/health/ready", tag = "server", security(()),
    responses((status = 200, body = Health)))]
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    blocking(move || {
        app.queue.database.check()?;
        app.queue.check_disk()?;
        Ok(Json(Health { status: "ok" }))
    })
    .await
}
