//! Errors as answers, and values of requests whose errors are such answers.

use crate::{Error, ErrorKind};
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use utoipa::ToSchema;

/// Why a request was not answered as asked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What went wrong.
    pub error: ProblemDetail,
    #[serde(skip)]
    pub status: u16,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProblemDetail {
    /// A word for programs, such as `not_found`.
    pub kind: &'static str,
    /// The reason.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, reason: impl Into<String>) -> Self {
        Self {
            error: ProblemDetail {
                kind,
                reason: reason.into(),
                hint: None,
            },
            status: status.as_u16(),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, kind) = match error.kind() {
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            ErrorKind::Invalid | ErrorKind::Scan => (StatusCode::BAD_REQUEST, "invalid"),
            ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
            ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            ErrorKind::Full => (StatusCode::SERVICE_UNAVAILABLE, "full"),
            ErrorKind::Write => (StatusCode::INSUFFICIENT_STORAGE, "disk"),
            ErrorKind::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        if status.is_server_error() {
            // Places on the server are for its log only.
            tracing::error!("{error}");
        }
        let mut problem = Self::new(status, kind, error.reason());
        problem.error.hint = error.advice().map(str::to_owned);
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        }
        response
    }
}

/// A place that is not there.
pub(super) async fn no_such_place() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this address",
    )
}

/// A method that a place does not have.
pub(super) async fn no_such_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid",
        "this address does not take that method",
    )
}

/// A request whose work panicked.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    let reason = "the server has a fault; its log says more";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", reason).into_response()
}

/// The names in an address.
pub(super) struct Place<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Place<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        let Path(value) =
            found.map_err(|e: PathRejection| Problem::new(e.status(), "invalid", e.body_text()))?;
        Ok(Self(value))
    }
}

/// The values of a query.
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Query::<T>::from_request_parts(parts, state).await;
        let Query(value) = found.map_err(|e: QueryRejection| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid", e.body_text())
        })?;
        Ok(Self(value))
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let found = Json::<T>::from_request(request, state).await;
        let Json(value) =
            found.map_err(|e: JsonRejection| Problem::new(e.status(), "invalid", e.body_text()))?;
        Ok(Self(value))
    }
}

/// Runs work that waits for the disk or computes, beside the threads that answer requests.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> crate::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Problem::from),
        Err(_) => {
            let reason = "the server has a fault; its log says more";
            Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                reason,
            ))
        }
    }
}
