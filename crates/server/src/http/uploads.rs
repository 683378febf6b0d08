//! Uploads in pieces: after a broken connection the next piece goes on where the server's file ends.

use super::app::App;
use super::description::Binary;
use super::problem::{Body, Place, Problem, blocking};
use super::stream::{discard, receive_into};
use crate::database::Upload;
use crate::{Error, ErrorKind};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

const OFFSET: &str = "upload-offset";

/// An upload that begins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadRequest {
    /// The file's name with its ending.
    #[schema(
        pattern = r"\.([nN][iI][iI](\.[gG][zZ])?|[nN][rR][rR][dD]|[mM][hH][aA]|[zZ][iI][pP]|[dD][cC][mM])\W*$"
    )]
    name: String,
    /// The file's size in bytes.
    #[schema(minimum = 1)]
    size: u64,
}

/// Begin an upload.
#[utoipa::path(post, operation_id = "uploads_begin", path = "/api/v1/uploads", tag = "uploads", request_body = UploadRequest,
    responses((status = 201, body = Upload)))]
pub(super) async fn begin(
    State(app): State<App>,
    Body(request): Body<UploadRequest>,
) -> Result<(StatusCode, Json<Upload>), Problem> {
    let upload = blocking(move || {
        let begun = app.queue.begin_upload(&request.name, request.size);
        begun.inspect_err(|e| app.queue.metrics.refused(e.kind()))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(upload)))
}

/// How far an upload is.
#[utoipa::path(get, operation_id = "uploads_get", path = "/api/v1/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 200, body = Upload)))]
pub(super) async fn get(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<Json<Upload>, Problem> {
    blocking(move || app.queue.upload(&id)).await.map(Json)
}

/// Send the next piece. It is acknowledged when it is on the disk. If the server has another offset, the
/// answer has the status 409 and says which.
#[utoipa::path(patch, operation_id = "uploads_append", path = "/api/v1/uploads/{id}", tag = "uploads",
    params(("id" = String, Path),
        ("Upload-Offset" = u64, Header, description = "Bytes of the file before this piece")),
    request_body(content = Binary, content_type = "application/octet-stream", description = "The piece"),
    responses((status = 200, body = Upload),
        (status = 409, body = Upload, description = "The server has another offset")))]
pub(super) async fn append(
    State(app): State<App>,
    Place(id): Place<String>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let offset = headers
        .get(OFFSET)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok());
    let Some(offset) = offset else {
        return Err(Error::invalid("the header Upload-Offset is missing or not a number").into());
    };
    let (queue, name) = (app.queue.clone(), id.clone());
    let opened = blocking(move || match queue.open_upload(&name, offset) {
        Ok(opened) => Ok(Ok(opened)),
        Err(e) if e.kind() == ErrorKind::Conflict => Ok(Err(queue.upload(&name)?)),
        Err(e) => Err(e),
    })
    .await;
    let opened = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            discard(&headers, body).await;
            return Err(problem);
        }
    };
    let (upload, file) = match opened {
        Ok(opened) => opened,
        Err(upload) => {
            discard(&headers, body).await;
            return Ok((StatusCode::CONFLICT, Json(upload)).into_response());
        }
    };
    let room = upload.size.saturating_sub(upload.offset);
    let received = receive_into(file, body, room).await;
    let upload = blocking(move || {
        // What came before a break stays, and the next piece goes on behind it.
        app.queue.metrics.uploaded(received?);
        app.queue.database.touch_upload(&id)?;
        app.queue.upload(&id)
    })
    .await?;
    Ok(Json(upload).into_response())
}

/// Forget an upload.
#[utoipa::path(delete, operation_id = "uploads_delete", path = "/api/v1/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 204)))]
pub(super) async fn delete(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<StatusCode, Problem> {
    blocking(move || app.queue.discard_upload(&id))
        .await
        .map(|()| StatusCode::NO_CONTENT)
}
