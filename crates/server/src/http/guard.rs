//! What stands before every request.

use super::app::App;
use super::problem::Problem;
use crate::access::{Judgement, Person, is_same_site};
use crate::guesses::TooMany;
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Everything comes from this server, nothing runs that is not a file of it, and no other site shows it
/// in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
     connect-src 'self'; font-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";
/// The report of a scan is a page of its own with its styles and pictures in it, and without scripts.
pub(super) const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
/// A wrong token is answered after so long, so that guessing is slow.
const WRONG_TOKEN: Duration = Duration::from_millis(300);

/// Adds the headers that browsers keep to.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let all = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        // Patients' data does not stay in a browser's cache.
        ("cache-control", "no-store"),
    ];
    for (name, value) in all {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// Counts answers by status.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    app.queue.metrics.answered(response.status().as_u16());
    response
}

fn is_open(path: &str) -> bool {
    matches!(path, "/api/v1/health" | "/api/v1/health/ready")
}

/// Lets people in whom the rules know. Others learn nothing but how to come in.
pub(super) async fn require_person(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(problem) = misshapen(&request) {
        return problem.into_response();
    }
    let path = request.uri().path();
    if is_open(path) || (path == "/login" && request.method() == Method::POST) {
        return next.run(request).await;
    }
    let headers = request.headers();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|p| p.0.ip());
    let is_page = request.method() == Method::GET && !path.starts_with("/api/");
    if is_page && let Some(token) = token_of(request.uri().query()) {
        return sign_in(&app, &token, headers, peer, path).await;
    }
    let wants_page = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    let wants_page = is_page && wants_page.is_some_and(|a| a.contains("text/html"));
    let person = match app.access.judge(headers, peer) {
        Judgement::Known(person) => person,
        Judgement::Unknown => return unknown(wants_page),
        Judgement::Wrong => {
            tokio::time::sleep(WRONG_TOKEN).await;
            return unknown(wants_page);
        }
        Judgement::TooMany(too_many) => return wait(too_many),
    };
    if person.is_browser && !is_same_site(request.method(), headers) {
        return foreign();
    }
    request.extensions_mut().insert(person);
    next.run(request).await
}

/// What is wrong with a request that a proxy may read in another way than this server.
fn misshapen(request: &Request) -> Option<Problem> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    let is_hostless = hosts == 0 && request.version() >= Version::HTTP_11;
    let is_socket = headers
        .get_all(header::UPGRADE)
        .iter()
        .any(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let reason = match (hosts > 1 || is_hostless, is_socket) {
        (true, _) => "the request must have one header Host",
        (_, true) => "the server has no WebSockets; events are at /api/v1/events",
        _ => return None,
    };
    Some(Problem::new(StatusCode::BAD_REQUEST, "invalid", reason))
}

/// The person of a request that was let in.
pub(super) fn person(extensions: &axum::http::Extensions) -> Person {
    extensions.get::<Person>().cloned().unwrap_or_default()
}

fn token_of(query: Option<&str>) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    // Tokens are plain characters.
    pairs
        .into_iter()
        .find(|(name, _)| *name == "token")
        .map(|(_, value)| value.to_owned())
}

async fn sign_in(
    app: &App,
    token: &str,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    path: &str,
) -> Response {
    // The path is this server's own: one that begins with two slashes would name a host.
    let place = format!("/{}", path.trim_start_matches('/'));
    let mut response = Redirect::to(&place).into_response();
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign = site.is_some_and(|s| s != b"same-origin" && s != b"none");
    if is_foreign && app.access.has_session(headers) {
        // A link of another site cannot make someone work under another person's name.
        return response;
    }
    let scheme = headers
        .get("x-forwarded-proto")
        .and_then(|v| v.to_str().ok());
    let cookie = match app.access.session(token, scheme == Some("https"), peer) {
        Ok(Some(cookie)) => cookie,
        Ok(None) => {
            tokio::time::sleep(WRONG_TOKEN).await;
            return unknown(true);
        }
        Err(too_many) => return wait(too_many),
    };
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Another site's page asked with a browser's session.
fn foreign() -> Response {
    let reason = "the request comes from another site";
    Problem::new(StatusCode::FORBIDDEN, "forbidden", reason).into_response()
}

/// The address gave too many wrong tokens.
fn wait(TooMany(time): TooMany) -> Response {
    let reason = "too many wrong tokens came from this address";
    let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", reason);
    problem.error.hint = Some("wait, then send the right token".to_owned());
    let mut response = problem.into_response();
    let seconds = HeaderValue::from(time.as_secs().max(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

#[derive(Deserialize)]
pub(super) struct LogIn {
    token: String,
}

/// The form of the page that asks for the token.
pub(super) async fn log_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<LogIn>, FormRejection>,
) -> Response {
    if !is_same_site(&Method::POST, &headers) {
        return foreign();
    }
    let token = match &form {
        Ok(Form(form)) => form.token.trim(),
        Err(e) => return Problem::new(e.status(), "invalid", e.body_text()).into_response(),
    };
    sign_in(&app, token, &headers, Some(peer.ip()), "/").await
}

fn unknown(wants_page: bool) -> Response {
    let mut response = match wants_page {
        true => (StatusCode::UNAUTHORIZED, Html(PAGE)).into_response(),
        false => {
            let mut problem = Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the token is missing or wrong",
            );
            problem.error.hint = Some("send the header `Authorization: Bearer TOKEN`".to_owned());
            problem.into_response()
        }
    };
    let value = HeaderValue::from_static("Bearer realm=\"multirnet\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, value);
    response
}

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"color-scheme\" content=\"light dark\"><title>Sign in - multirnet</title></head>
<body>
<main>
<h1>multirnet</h1>
<p>For research use only. Not a medical device.</p>
<p>Open the link that the server printed, or enter its token.</p>
<form method=\"post\" action=\"/login\">
<p><label>Token <input name=\"token\" type=\"password\" required autocomplete=\"current-password\"></label>
<button>Sign in</button></p>
</form>
</main>
</body>
</html>
";
