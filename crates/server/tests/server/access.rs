//! Who comes in, and what browsers are told.

use crate::support::*;
use multirnet_server::config::ServerConfig;
use multirnet_server::{ErrorKind, Server};

#[test]
fn nobody_comes_in_without_a_token_on_any_path_but_health() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let description = server.get("/api/openapi.json").json();
    let mut asked = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let place = path.replace(['{', '}'], "x");
            let answer = server.raw(&method.to_uppercase(), &place, &[], Vec::new());
            let is_open = path.starts_with("/api/v1/health");
            assert_eq!(
                answer.status,
                if is_open { 200 } else { 401 },
                "{method} {path}"
            );
            asked += 1;
        }
    }
    assert!(asked > 25, "{asked}");
    for path in [
        "/",
        "/scan/1",
        "/corrections",
        "/assets/x.js",
        "/api/openapi.json",
        "/nowhere",
        "/login",
    ] {
        assert_eq!(
            server.raw("GET", path, &[], Vec::new()).status,
            401,
            "{path}"
        );
    }
    let wrong = server.raw(
        "GET",
        "/api/v1/jobs",
        &[("authorization", "Bearer wrong")],
        Vec::new(),
    );
    assert_eq!(
        (wrong.status, wrong.json()["error"]["kind"].as_str()),
        (401, Some("unauthorized"))
    );
    assert!(wrong.header("www-authenticate").starts_with("Bearer"));
    assert!(!wrong.text().contains(&server.token));
}

#[test]
fn the_link_opens_a_session_that_lasts_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let html = ("accept", "text/html");
    let page = server.raw("GET", "/", &[html], Vec::new());
    assert!(
        page.status == 401 && page.text().contains("Open the link"),
        "{}",
        page.text()
    );
    let wrong = server.raw("GET", "/?token=wrong", &[html], Vec::new());
    assert!(wrong.status == 401 && wrong.header("set-cookie").is_empty());
    let opened = server.raw(
        "GET",
        &server.link[server.link.find("/?").unwrap()..],
        &[html],
        Vec::new(),
    );
    assert_eq!(
        (opened.status, opened.header("location").as_str()),
        (303, "/")
    );
    let cookie = opened.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly")
            && cookie.contains("SameSite=Lax")
            && !cookie.contains(&server.token)
    );
    let pair = cookie.split(';').next().unwrap().to_owned();
    let own = [("cookie", pair.as_str())];
    assert_eq!(
        server.raw("GET", "/api/v1/jobs", &own, Vec::new()).status,
        200
    );
    let page = server.raw("GET", "/", &own, Vec::new());
    assert!(page.status == 200 && page.text().contains("<!doctype html>"));
    // The form does the same as the link.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("token={}", server.token).into_bytes();
    assert_eq!(server.raw("POST", "/login", &form, body).status, 303);
    assert_eq!(
        server
            .raw("POST", "/login", &form, b"token=no".to_vec())
            .status,
        401
    );
    server.end().unwrap();
    let server = Running::start(dir.path());
    assert_eq!(
        server.raw("GET", "/api/v1/jobs", &own, Vec::new()).status,
        200
    );
}

#[test]
fn another_sites_page_changes_nothing_with_a_session() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let opened = server.raw("GET", &format!("/?token={}", server.token), &[], Vec::new());
    let cookie = opened
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let body = br#"{"name":"a.nii","size":3}"#.to_vec();
    let json = ("content-type", "application/json");
    for foreign in [
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let headers = [("cookie", cookie.as_str()), json, foreign];
        assert_eq!(
            server
                .raw("POST", "/api/v1/uploads", &headers, body.clone())
                .status,
            403
        );
    }
    let own = format!("http://{}", server.address);
    let headers = [("cookie", cookie.as_str()), json, ("origin", own.as_str())];
    assert_eq!(
        server
            .raw("POST", "/api/v1/uploads", &headers, body.clone())
            .status,
        201
    );
    // A program with a token is not a browser that another site could use.
    let bearer = format!("Bearer {}", server.token);
    let headers = [
        ("authorization", bearer.as_str()),
        json,
        ("origin", "http://tool.example"),
    ];
    assert_eq!(
        server.raw("POST", "/api/v1/uploads", &headers, body).status,
        201
    );
}

#[test]
fn every_answer_has_the_headers_that_keep_browsers_in() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    for path in ["/", "/api/v1/jobs", "/api/v1/health", "/nowhere"] {
        for answer in [server.get(path), server.raw("GET", path, &[], Vec::new())] {
            let policy = answer.header("content-security-policy");
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'")
            );
            assert!(
                !policy.contains("http") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
}

#[test]
fn people_of_a_token_file_sign_their_corrections_with_their_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, "Ada Byron 0123456789abcdef\n").unwrap();
    let mut config = config(&dir.path().join("data"));
    config.access.token_file = Some(tokens);
    let mut server = Running::start_with(config);
    assert!(server.link.ends_with('/'), "{}", server.link);
    server.token = "0123456789abcdef".to_owned();
    assert_eq!(server.get("/api/v1/server").json()["user"], "Ada Byron");
    let id = server.analysed_scan();
    let body = serde_json::json!({ "reviewer": "Someone Else", "verdict": "confirmed" });
    let saved = server
        .post(&format!("/api/v1/jobs/{id}/corrections"), &body)
        .json();
    assert_eq!(saved["reviewer"], "Ada Byron");
}

#[test]
fn an_open_address_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..config(dir.path())
    };
    let bound = Server::bind(
        config,
        analyser(),
        None,
        Default::default(),
        Default::default(),
    );
    let error = bound.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("docs/server.md"), "{error}");
}
