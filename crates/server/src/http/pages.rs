//! The viewer: files that are part of the program.

use super::app::App;
use super::problem::{Place, Problem, no_such_place};
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

/// The built viewer; its source is in `web/`.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Viewer;

/// Files whose names change with their content stay in a browser as long as it likes.
const FOREVER: &str = "private, max-age=31536000, immutable";

pub(super) fn router() -> Router<App> {
    // One page shows everything; it reads its place from the address.
    let page = || get(|| async { file("index.html") });
    Router::new()
        .route("/", page())
        .route("/scan/{id}", page())
        .route("/corrections", page())
        .route("/models", page())
        .route("/api/docs", page())
        .route(
            "/{*path}",
            get(|Place(path): Place<String>| async move {
                match path.starts_with("api/") {
                    true => no_such_place().await.into_response(),
                    false => file(&path),
                }
            }),
        )
}

fn file(name: &str) -> Response {
    let Some(found) = Viewer::get(name) else {
        return missing().into_response();
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type(name)),
    );
    if name.starts_with("assets/") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(FOREVER));
    }
    (headers, found.data.into_owned()).into_response()
}

fn missing() -> Problem {
    Problem::new(
        axum::http::StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this address",
    )
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
