//! Guessed tokens, sessions and sites that are not ours.

use crate::raw::*;
use crate::support::*;
use std::time::Instant;

/// Wrong tokens that an address may give at once, and the seconds after which it may give one more.
const BUDGET: usize = 20;
const REFILL_SECONDS: u64 = 6;

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n")
}

fn from(server: &Running, own: &str, request: &str) -> RawAnswer {
    let mut raw = Raw::open_from(server.address, own, None);
    raw.send(request.as_bytes());
    let mut got = answers(&raw.until_closed());
    assert_eq!(got.len(), 1, "{request:?}");
    got.remove(0)
}

/// Spends the budget of the address `own`.
fn guess_until_refused(server: &Running, own: &str) {
    let guess = get("/api/v1/jobs", "Authorization: Bearer wrong\r\n");
    for _ in 0..10 * BUDGET {
        if from(server, own, &guess).status == 429 {
            return;
        }
    }
    panic!("nobody stops the guesses");
}

#[test]
fn parallel_guesses_are_not_more_than_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let begin = Instant::now();
    // Tokens, sessions, links and the form are ways to guess; all draw on one budget.
    let page = server.raw("GET", &format!("/?token={}", server.token), &[], Vec::new());
    let cookie = page.header("set-cookie");
    let cookie = cookie.split('=').next().unwrap();
    let form = "token=wrong";
    let ways = [
        get("/api/v1/jobs", "Authorization: Bearer wrong\r\n"),
        get("/api/v1/jobs", &format!("Cookie: {cookie}=00\r\n")),
        get("/?token=wrong", "Accept: text/html\r\n"),
        format!(
            "POST /login HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    ];
    let all: Vec<RawAnswer> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..100)
            .map(|i| {
                let (server, request) = (&server, &ways[i % ways.len()]);
                scope.spawn(move || from(server, "127.0.0.2", request))
            })
            .collect();
        guesses.into_iter().map(|g| g.join().unwrap()).collect()
    });
    let judged = all.iter().filter(|a| a.status == 401).count();
    let refused = all.iter().filter(|a| a.status == 429).count();
    assert_eq!(judged + refused, all.len());
    let refilled = (begin.elapsed().as_secs() / REFILL_SECONDS) as usize + 1;
    assert!(
        (BUDGET..=BUDGET + refilled).contains(&judged),
        "{judged} guesses were judged"
    );
    for answer in all.iter().filter(|a| a.status == 429) {
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=REFILL_SECONDS).contains(&seconds));
        assert!(answer.text().contains("too many wrong tokens"));
        assert!(!answer.text().contains(&server.token));
    }
    // Nobody else notices.
    assert_eq!(server.get("/api/v1/jobs").status, 200);
}

#[test]
fn a_right_token_is_not_told_from_a_wrong_one_once_the_budget_is_spent() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, "ada 0123456789abcdef\ngrace fedcba9876543210\n").unwrap();
    let mut config = config(&dir.path().join("data"));
    config.access.token_file = Some(tokens);
    let server = Running::start_with(config);
    let bearer = |token: &str| {
        get(
            "/api/v1/jobs",
            &format!("Authorization: Bearer {token}\r\n"),
        )
    };
    let (ada, grace) = (bearer("0123456789abcdef"), bearer("fedcba9876543210"));
    // Ada works at this address already.
    assert_eq!(from(&server, "127.0.0.3", &ada).status, 200);
    guess_until_refused(&server, "127.0.0.3");
    // Perhaps this is a guess that happens to be right: it is not even looked at.
    let refused = from(&server, "127.0.0.3", &grace);
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.text(),
        from(&server, "127.0.0.3", &bearer("wrong")).text()
    );
    // Those who were there go on, and at any other address everybody comes in.
    assert_eq!(from(&server, "127.0.0.3", &ada).status, 200);
    assert_eq!(from(&server, "127.0.0.4", &grace).status, 200);
    // A request without a token is not a guess.
    assert_eq!(
        from(&server, "127.0.0.3", &get("/api/v1/jobs", "")).status,
        401
    );
    assert_eq!(
        from(&server, "127.0.0.3", &get("/api/v1/health", "")).status,
        200
    );
}

#[test]
fn people_behind_a_proxy_are_not_locked_out_by_guesses_through_it() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, "program 0123456789abcdef\n").unwrap();
    let mut config = config(&dir.path().join("data"));
    config.access.token_file = Some(tokens);
    config.access.user_header = Some("X-Remote-User".into());
    config.access.trusted_proxies = vec!["127.0.0.5".parse().unwrap()];
    let server = Running::start_with(config);
    guess_until_refused(&server, "127.0.0.5");
    let named = get("/api/v1/server", "X-Remote-User: ada\r\n");
    let about = from(&server, "127.0.0.5", &named);
    assert!(about.status == 200 && about.text().contains("\"user\":\"ada\""));
}

#[test]
fn sessions_cannot_be_made_from_what_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let opened = server.raw("GET", &format!("/?token={}", server.token), &[], Vec::new());
    let cookie = opened.header("set-cookie");
    let (name, session) = cookie.split(';').next().unwrap().split_once('=').unwrap();
    assert_eq!(session.len(), 64);
    let status = |value: &str| {
        let cookie = format!("{name}={value}");
        let own = [("cookie", cookie.as_str())];
        server.raw("GET", "/api/v1/jobs", &own, Vec::new()).status
    };
    assert_eq!(status(session), 200);
    let digest = multirnet_base::digest::hex(&multirnet_base::digest::sha256_bytes(
        server.token.as_bytes(),
    ));
    for forged in [
        "",
        "0",
        &server.token,
        &digest,
        &session[..63],
        &format!("{session}0"),
        &session.to_uppercase(),
        &session.replace(|c: char| c.is_ascii_digit(), "0"),
        &format!("{session},{session}"),
        &format!("\"{session}\""),
        &"0".repeat(64),
    ] {
        assert_eq!(status(forged), 401, "{forged:?}");
    }
    // A cookie of another name, as that of another server on the same host, is not a guess.
    for _ in 0..2 * BUDGET {
        let other = get(
            "/api/v1/jobs",
            &format!("Cookie: multirnet_000000000000={session}\r\n"),
        );
        assert_eq!(from(&server, "127.0.0.6", &other).status, 401);
    }
    let right = get(
        "/api/v1/jobs",
        &format!("Authorization: Bearer {}\r\n", server.token),
    );
    assert_eq!(from(&server, "127.0.0.6", &right).status, 200);
}

#[test]
fn another_site_can_neither_read_nor_change_nor_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let link = format!("/?token={}", server.token);
    let opened = server.raw("GET", &link, &[], Vec::new());
    let cookie = opened.header("set-cookie");
    let cookie = ("cookie", cookie.split(';').next().unwrap());
    let raw = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        server.raw(method, path, headers, body.as_bytes().to_vec())
    };
    let body = r#"{"name":"a.nii","size":3}"#;
    let json = ("content-type", "application/json");
    for site in [
        vec![("origin", "null")],
        vec![("origin", "http://evil.example")],
        vec![("origin", "https://127.0.0.1")],
        vec![("origin", "")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "SAME-ORIGIN")],
        vec![
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ],
    ] {
        let headers = [vec![cookie, json], site.clone()].concat();
        for (method, path) in [
            ("POST", "/api/v1/uploads"),
            ("POST", "/api/v1/jobs"),
            ("DELETE", "/api/v1/jobs/x"),
            ("PATCH", "/api/v1/uploads/x"),
            ("POST", "/api/v1/dicom-web/studies"),
        ] {
            let answer = raw(method, path, &headers, body);
            assert_eq!(answer.status, 403, "{method} {path} {site:?}");
        }
    }
    // A form of any site can send these types; none passes for JSON, wherever it comes from.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "",
    ] {
        let headers = [cookie, ("content-type", kind)];
        let answer = raw("POST", "/api/v1/uploads", &headers, body);
        assert_eq!(answer.status, 415, "{kind:?}");
    }
    // Pictures, scripts and frames of other sites get nothing; a link leads here.
    let site = ("sec-fetch-site", "cross-site");
    for (mode, dest) in [
        ("no-cors", "image"),
        ("cors", "empty"),
        ("navigate", "iframe"),
    ] {
        let headers = [
            cookie,
            site,
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", dest),
        ];
        for path in ["/api/v1/jobs", "/api/v1/events", "/"] {
            assert_eq!(raw("GET", path, &headers, "").status, 403, "{mode} {path}");
        }
    }
    let navigation = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let headers = [vec![cookie, site], navigation.to_vec()].concat();
    assert_eq!(raw("GET", "/scan/1", &headers, "").status, 200);
    // Nobody is signed in by a form or, once signed in, by a link of another site.
    let form = ("content-type", "application/x-www-form-urlencoded");
    let token = format!("token={}", server.token);
    for site in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "null"),
        ("origin", "http://evil.example"),
    ] {
        let answer = raw("POST", "/login", &[form, site], &token);
        assert_eq!(
            (answer.status, answer.header("set-cookie").as_str()),
            (403, "")
        );
    }
    let answer = raw("GET", &link, &headers, "");
    assert_eq!(
        (answer.status, answer.header("set-cookie").as_str()),
        (303, "")
    );
    // A question whether another site may ask gets no permission.
    for headers in [vec![], vec![cookie]] {
        let asks = [
            ("origin", "http://evil.example"),
            ("access-control-request-method", "DELETE"),
            ("access-control-request-headers", "authorization"),
        ];
        let answer = raw(
            "OPTIONS",
            "/api/v1/jobs/x",
            &[headers, asks.to_vec()].concat(),
            "",
        );
        assert!([401, 405].contains(&answer.status), "{}", answer.status);
        for name in answer.headers.keys() {
            assert!(!name.as_str().starts_with("access-control"), "{name}");
        }
    }
}

#[test]
fn results_cannot_run_scripts_whatever_they_are_opened_as() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let id = server.analysed_scan();
    let listed = server.get(&format!("/api/v1/jobs/{id}/files")).json();
    for file in listed["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        let answer = server.get(&format!("/api/v1/jobs/{id}/files/{name}"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{name}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        if name == "report.html" {
            assert!(!policy.contains("script-src"), "{policy}");
        }
    }
}

#[test]
fn websockets_are_refused_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    for path in ["/api/v1/events", "/", "/api/v1/health", "/login"] {
        let request = get(
            path,
            &format!(
                "Authorization: Bearer {}\r\nUpgrade: WebSocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
                server.token
            ),
        )
        .replace("Connection: close", "Connection: Upgrade");
        let mut raw = Raw::open(server.address);
        raw.send(request.as_bytes());
        let got = raw.until(|b| b.ends_with(b"}"));
        let got = answers(&got);
        assert_eq!(got[0].status, 400, "{path}");
        assert!(got[0].text().contains("no WebSockets"));
    }
    // Another protocol is offered and not taken, which is an ordinary request.
    let offer = get(
        "/api/v1/health",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    );
    assert_eq!(ask(server.address, offer.as_bytes())[0].status, 200);
}
