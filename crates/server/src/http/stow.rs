//! STOW-RS: objects from archives go to the store of received studies. A study is analysed when no
//! object of it has come for a while.

use super::app::App;
use super::problem::{Problem, blocking};
use super::stream::{MOST_DISCARDED, body_reader};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use multirnet_pacs::{receive_stow, stow_answer};
use std::io::Read;

/// What the audit log calls those who send by this way.
const SENDER: &str = "STOW-RS";

/// Store objects of any study.
#[utoipa::path(post, operation_id = "stow_store", path = "/api/v1/dicom-web/studies", tag = "DICOMweb",
    request_body(content = Vec<u8>, content_type = "multipart/related; type=\"application/dicom\""),
    responses((status = 200, content_type = "application/dicom+json", body = Object),
        (status = 202, content_type = "application/dicom+json", body = Object,
            description = "Some objects were refused"),
        (status = 409, content_type = "application/dicom+json", body = Object,
            description = "All objects were refused"),
        (status = "default", body = Problem)))]
pub(super) async fn store(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    receive(app, headers, body, None).await
}

/// Store objects of one study. Objects of others are refused.
#[utoipa::path(post, operation_id = "stow_store_study", path = "/api/v1/dicom-web/studies/{study}", tag = "DICOMweb",
    params(("study" = String, Path, description = "Study Instance UID")),
    request_body(content = Vec<u8>, content_type = "multipart/related; type=\"application/dicom\""),
    responses((status = 200, content_type = "application/dicom+json", body = Object),
        (status = 202, content_type = "application/dicom+json", body = Object,
            description = "Some objects were refused"),
        (status = 409, content_type = "application/dicom+json", body = Object,
            description = "All objects were refused"),
        (status = "default", body = Problem)))]
pub(super) async fn store_study(
    State(app): State<App>,
    Path(study): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    receive(app, headers, body, Some(study)).await
}

async fn receive(
    app: App,
    headers: HeaderMap,
    body: Body,
    study: Option<String>,
) -> Result<Response, Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let mut reader = body_reader(body);
    let objects = blocking(move || {
        let received = app.queue.check_disk().and_then(|()| {
            let study = study.as_deref();
            Ok(receive_stow(
                &app.studies,
                &kind,
                &mut reader,
                study,
                SENDER,
            )?)
        });
        if received.is_err() {
            // Clients read an answer only after they have sent everything.
            let _ = std::io::copy(&mut reader.take(MOST_DISCARDED), &mut std::io::sink());
        }
        received
    })
    .await?;
    let (code, answer) = stow_answer(&objects);
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let kind = HeaderValue::from_static("application/dicom+json");
    let headers: [(HeaderName, HeaderValue); 1] = [(header::CONTENT_TYPE, kind)];
    Ok((status, headers, Json(answer)).into_response())
}
