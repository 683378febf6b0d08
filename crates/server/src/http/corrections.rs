//! Versions of readers.

use super::app::App;
use super::description::Binary;
use super::guard::person;
use super::problem::{Body, Params, Place, Problem, blocking};
use super::results::send_file;
use crate::Error;
use crate::corrections::{LESIONS, NewVersion, SEGMENTATION};
use crate::database::{Correction, CorrectionSummary};
use crate::job::Job;
use axum::Json;
use axum::extract::State;
use axum::http::{Extensions, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The versions of a job.
#[derive(Serialize, ToSchema)]
pub(crate) struct Corrections {
    /// The versions, the first one first. Version 0, the model's, is not among them.
    corrections: Vec<Correction>,
}

/// A page of all versions.
#[derive(Serialize, ToSchema)]
pub(crate) struct CorrectionList {
    /// Number of all versions.
    total: u64,
    /// Those of this page, newest first.
    corrections: Vec<CorrectedJob>,
}

/// A version and its job.
#[derive(Serialize, ToSchema)]
pub(crate) struct CorrectedJob {
    /// The job.
    job: Job,
    /// The version.
    correction: Correction,
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// Most entries, 1 to 500; 50 if left out.
    #[param(value_type = Option<u64>, minimum = 0, maximum = 4294967295_u64)]
    limit: Option<u32>,
    /// Entries before the page.
    #[serde(default)]
    #[param(default = 0, value_type = u64, minimum = 0, maximum = 4294967295_u64)]
    offset: u32,
}

/// The versions of a job.
#[utoipa::path(get, operation_id = "corrections_list", path = "/api/v1/jobs/{id}/corrections", tag = "corrections",
    params(("id" = String, Path)),
    responses((status = 200, body = Corrections)))]
pub(super) async fn list(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<Json<Corrections>, Problem> {
    let corrections = blocking(move || app.queue.database.corrections_of(&id)).await?;
    Ok(Json(Corrections { corrections }))
}

/// Confirm or correct a result. The model's result stays as it is.
#[utoipa::path(post, operation_id = "corrections_create", path = "/api/v1/jobs/{id}/corrections", tag = "corrections",
    params(("id" = String, Path)), request_body = NewVersion,
    responses((status = 201, body = Correction)))]
pub(super) async fn create(
    State(app): State<App>,
    Place(id): Place<String>,
    extensions: Extensions,
    Body(mut request): Body<NewVersion>,
) -> Result<(StatusCode, Json<Correction>), Problem> {
    // Whom the server knows cannot sign for someone else.
    if let Some(name) = person(&extensions).name {
        request.reviewer = name;
    }
    let saved = blocking(move || app.queue.correct(&id, &request)).await?;
    Ok((StatusCode::CREATED, Json(saved)))
}

/// A file of a version: `lesions.nii.gz`, or `segmentation.dcm` for DICOM scans.
#[utoipa::path(get, operation_id = "corrections_file", path = "/api/v1/jobs/{id}/corrections/{version}/{name}", tag = "corrections",
    params(("id" = String, Path), ("version" = u32, Path), ("name" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = Binary)))]
pub(super) async fn file(
    State(app): State<App>,
    Place((id, version, name)): Place<(String, String, String)>,
) -> Result<Response, Problem> {
    let wanted = name.clone();
    let path = blocking(move || {
        let number = version.parse().map_err(|_| Error::not_found("version"))?;
        app.queue.database.correction(&id, number)?;
        match [LESIONS, SEGMENTATION].contains(&wanted.as_str()) {
            true => Ok(app.queue.data.version(&id, number).join(&wanted)),
            false => Err(Error::not_found("file")),
        }
    })
    .await?;
    send_file(path, &name, true).await
}

/// All versions with their jobs, newest first.
#[utoipa::path(get, operation_id = "corrections_all", path = "/api/v1/corrections", tag = "corrections", params(Page),
    responses((status = 200, body = CorrectionList)))]
pub(super) async fn all(
    State(app): State<App>,
    Params(page): Params<Page>,
) -> Result<Json<CorrectionList>, Problem> {
    let limit = page.limit.unwrap_or(50).clamp(1, 500);
    let found = blocking(move || app.queue.database.all_corrections(limit, page.offset)).await?;
    let corrections = found
        .1
        .into_iter()
        .map(|(job, correction)| CorrectedJob { job, correction });
    Ok(Json(CorrectionList {
        total: found.0,
        corrections: corrections.collect(),
    }))
}

/// Counts of corrections by kind, which show where a model fails.
#[utoipa::path(get, operation_id = "corrections_summary", path = "/api/v1/corrections/summary", tag = "corrections",
    responses((status = 200, body = CorrectionSummary)))]
pub(super) async fn summary(State(app): State<App>) -> Result<Json<CorrectionSummary>, Problem> {
    blocking(move || app.queue.database.correction_summary())
        .await
        .map(Json)
}
