//! STOW-RS: objects from archives go to the store of received studies. A study is analysed when no
//! object of it has come for a while.

use super::app::App;
use super::description::Binary;
use super::problem::{Place, Problem, blocking};
use super::stream::{MOST_DISCARDED, body_reader};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use multirnet_pacs::{receive_stow, stow_answer};
use std::io::Read;

/// What the audit log calls those who send by this way.
const SENDER: &str = "STOW-RS";

/// Store objects of any study.
#[utoipa::path(post, operation_id = "stow_store", path = "/api/v1/dicom-web/studies", tag = "DICOMweb",
    request_body(content = Binary, content_type = "multipart/related; type=\"application/dicom\""),
    responses((status = 200, content_type = "application/dicom+json", body = Object),
        (status = 202, content_type = "application/dicom+json", body = Object,
            description = "Some objects were refused"),
        (status = 409, content_type = "application/dicom+json", body = Object,
            description = "All objects were refused")))]
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
    request_body(content = Binary, content_type = "multipart/related; type=\"application/dicom\""),
    responses((status = 200, content_type = "application/dicom+json", body = Object),
        (status = 202, content_type = "application/dicom+json", body = Object,
            description = "Some objects were refused"),
        (status = 409, content_type = "application/dicom+json", body = Object,
            description = "All objects were refused")))]
pub(super) async fn store_study(
    State(app): State<App>,
    Place(study): Place<String>,
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
    let is_waiting = headers.contains_key(header::EXPECT);
    let queue = app.queue.clone();
    let mut reader = DiskWatch {
        body: body_reader(body),
        left: 0,
        has_room: move || queue.check_disk().is_ok(),
    };
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
        if received.is_err() && !is_waiting {
            // Clients read an answer only after they have sent everything.
            let mut rest = reader.body.take(MOST_DISCARDED);
            let _ = std::io::copy(&mut rest, &mut std::io::sink());
        }
        // The disk may have been the reason.
        received.or_else(|e| app.queue.check_disk().and(Err(e)))
    })
    .await?;
    let (code, answer) = stow_answer(&objects);
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let kind = HeaderValue::from_static("application/dicom+json");
    let headers: [(HeaderName, HeaderValue); 1] = [(header::CONTENT_TYPE, kind)];
    Ok((status, headers, Json(answer)).into_response())
}

/// Bytes after which a long body looks at the disk again.
const LOOK: u64 = 64 << 20;

/// A body that ends with an error once the disk is nearly full: its length is not known beforehand.
struct DiskWatch<R, F> {
    body: R,
    left: u64,
    has_room: F,
}

impl<R: Read, F: Fn() -> bool> Read for DiskWatch<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            if !(self.has_room)() {
                return Err(std::io::Error::other("the disk is nearly full"));
            }
            self.left = LOOK;
        }
        let n = self.body.read(buffer)?;
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}
