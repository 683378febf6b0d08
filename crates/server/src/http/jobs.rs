//! Jobs: taken in, listed, cancelled, tried again, deleted.

use super::app::App;
use super::description::Binary;
use super::problem::{Body, Params, Place, Problem, blocking};
use super::stream::{discard, receive_into};
use crate::Error;
use crate::database::{JobCounts, JobQuery};
use crate::job::Job;
use crate::queue::NewScan;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::{IntoParams, ToSchema};

const KEY: &str = "idempotency-key";
const LONGEST_KEY: usize = 200;

/// A page of the list of jobs.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobList {
    /// Number of jobs that the query finds.
    total: u64,
    /// Number of all jobs by state.
    counts: JobCounts,
    /// The jobs of this page.
    jobs: Vec<Job>,
}

/// Jobs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Jobs {
    /// The jobs.
    jobs: Vec<Job>,
}

/// A scan that is to be analysed: a complete upload, or a path below an allowed folder.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRequest {
    /// The upload.
    upload: Option<String>,
    /// The path on the server.
    #[schema(value_type = Option<String>)]
    path: Option<PathBuf>,
    /// The scan's name for people; the file's if left out.
    name: Option<String>,
    /// The patient, if the scan does not name one.
    patient: Option<String>,
    /// Jobs of a higher priority come first.
    #[serde(default)]
    priority: i32,
}

/// What may be said of an upload in one request.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    /// The file's name with its ending.
    #[param(
        pattern = r"\.([nN][iI][iI](\.[gG][zZ])?|[nN][rR][rR][dD]|[mM][hH][aA]|[zZ][iI][pP]|[dD][cC][mM])\W*$"
    )]
    name: String,
    /// The patient, if the scan does not name one.
    patient: Option<String>,
    /// Jobs of a higher priority come first.
    #[serde(default)]
    #[param(default = 0)]
    priority: i32,
}

/// A new priority.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Priority {
    /// Jobs of a higher priority come first.
    priority: i32,
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(KEY) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST_KEY => Ok(Some(format!("client {key}"))),
        _ => Err(Error::invalid("the idempotency key must have 1 to 200 plain characters").into()),
    }
}

/// List jobs.
#[utoipa::path(get, operation_id = "jobs_list", path = "/api/v1/jobs", tag = "jobs", params(JobQuery),
    responses((status = 200, body = JobList)))]
pub(super) async fn list(
    State(app): State<App>,
    Params(query): Params<JobQuery>,
) -> Result<Json<JobList>, Problem> {
    blocking(move || {
        let (total, jobs) = app.queue.list(&query)?;
        let counts = app.queue.database.counts()?;
        Ok(Json(JobList {
            total,
            counts,
            jobs,
        }))
    })
    .await
}

/// Make a job of a complete upload or of a path. It is acknowledged when it is on the disk.
#[utoipa::path(post, operation_id = "jobs_create", path = "/api/v1/jobs", tag = "jobs", request_body = JobRequest,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 200, pattern = "^[!-~]+$", description = "The same key gives the same job")),
    responses((status = 201, body = Job)))]
pub(super) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    Body(request): Body<JobRequest>,
) -> Result<(StatusCode, Json<Job>), Problem> {
    let scan = NewScan {
        name: request.name,
        patient: request.patient,
        priority: request.priority,
        key: key_of(&headers)?,
    };
    let job = blocking(move || match (request.upload, request.path) {
        (Some(upload), None) => app.queue.submit_upload(&upload, scan),
        (None, Some(path)) => app.queue.submit_path(&path, scan),
        _ => Err(Error::invalid("name either an upload or a path")),
    })
    .await?;
    Ok((StatusCode::CREATED, Json(job)))
}

/// Upload a scan and make a job of it, in one request.
#[utoipa::path(post, operation_id = "jobs_upload", path = "/api/v1/jobs/upload", tag = "jobs",
    params(UploadQuery,
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 200, pattern = "^[!-~]+$", description = "The same key gives the same job")),
    request_body(content = Binary, content_type = "application/octet-stream", description = "The file"),
    responses((status = 201, body = Job)))]
pub(super) async fn upload(
    State(app): State<App>,
    Params(query): Params<UploadQuery>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<(StatusCode, Json<Job>), Problem> {
    let key = key_of(&headers)?;
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok());
    let Some(size) = length.and_then(|v| v.parse::<u64>().ok()) else {
        let reason = "the request does not say how long the file is";
        discard(&headers, body).await;
        return Err(Problem::new(StatusCode::LENGTH_REQUIRED, "invalid", reason));
    };
    let queue = app.queue.clone();
    let name = query.name.clone();
    let begun = blocking(move || {
        if let Some(key) = &key
            && let Some(job) = queue.database.job_with_key(key)?
        {
            return Ok(Err(job));
        }
        let begun = queue.begin_request(&name, size);
        let upload = begun.inspect_err(|e| queue.metrics.refused(e.kind()))?;
        let opened = queue.open_upload(&upload.id, 0);
        let (_, file) = opened.inspect_err(|_| queue.forget_upload(&upload.id))?;
        Ok(Ok((upload, file, key)))
    })
    .await;
    let (upload, file, key) = match begun {
        Ok(Ok(begun)) => begun,
        Ok(Err(job)) => {
            discard(&headers, body).await;
            return Ok((StatusCode::CREATED, Json(job)));
        }
        Err(problem) => {
            discard(&headers, body).await;
            return Err(problem);
        }
    };
    let queue = app.queue.clone();
    let received = receive_into(file, body, size).await;
    let job = blocking(move || {
        let scan = NewScan {
            name: None,
            patient: query.patient,
            priority: query.priority,
            key,
        };
        let submitted = received.and_then(|bytes| {
            queue.metrics.uploaded(bytes);
            queue.submit_upload(&upload.id, scan)
        });
        if submitted.is_err() {
            // Nobody knows the name of this upload, so that nobody could go on with it.
            queue.forget_upload(&upload.id);
        }
        submitted
    })
    .await?;
    Ok((StatusCode::CREATED, Json(job)))
}

/// A job with its progress.
#[utoipa::path(get, operation_id = "jobs_get", path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = Job)))]
pub(super) async fn get(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<Json<Job>, Problem> {
    blocking(move || app.queue.job(&id)).await.map(Json)
}

/// Delete a job with its scan, results and corrections.
#[utoipa::path(delete, operation_id = "jobs_delete", path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 204)))]
pub(super) async fn delete(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<StatusCode, Problem> {
    blocking(move || {
        app.queue.delete(&id)?;
        // The job is gone. What is left of its traces goes now, or else soon.
        if let Err(e) = app.queue.clean(&app.studies) {
            tracing::error!("{e}");
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Cancel a job that waits or is analysed.
#[utoipa::path(post, operation_id = "jobs_cancel", path = "/api/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = Job)))]
pub(super) async fn cancel(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<Json<Job>, Problem> {
    blocking(move || app.queue.cancel(&id)).await.map(Json)
}

/// Put a job that failed or was cancelled into the queue again.
#[utoipa::path(post, operation_id = "jobs_retry", path = "/api/v1/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = Job)))]
pub(super) async fn retry(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<Json<Job>, Problem> {
    blocking(move || app.queue.retry(&id)).await.map(Json)
}

/// Set a job's priority.
#[utoipa::path(post, operation_id = "jobs_set_priority", path = "/api/v1/jobs/{id}/priority", tag = "jobs", params(("id" = String, Path)),
    request_body = Priority,
    responses((status = 200, body = Job)))]
pub(super) async fn set_priority(
    State(app): State<App>,
    Place(id): Place<String>,
    Body(request): Body<Priority>,
) -> Result<Json<Job>, Problem> {
    blocking(move || app.queue.set_priority(&id, request.priority))
        .await
        .map(Json)
}

/// Earlier finished scans of the same patient, newest first.
#[utoipa::path(get, operation_id = "jobs_previous", path = "/api/v1/jobs/{id}/previous", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = Jobs)))]
pub(super) async fn previous(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<Json<Jobs>, Problem> {
    blocking(move || app.queue.database.previous(&id))
        .await
        .map(|jobs| Json(Jobs { jobs }))
}
