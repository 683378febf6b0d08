//! Requests that a proxy and the server could read in two ways, and headers that lie.

use crate::raw::*;
use crate::support::*;

/// A server that gives up idle connections soon, so that every connection comes to its end.
fn server(dir: &std::path::Path) -> Running {
    let mut config = config(dir);
    config.limits.header_seconds = 1;
    config.limits.stall_seconds = 1;
    Running::start_with(config)
}

#[test]
fn a_request_with_an_unclear_end_gets_one_answer_and_the_rest_is_not_a_request() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let bearer = format!("Authorization: Bearer {}\r\n", server.token);
    // If the body ended early for the server, this would be a request of its own.
    let hidden = format!("DELETE /api/v1/jobs/hidden HTTP/1.1\r\nHost: h\r\n{bearer}\r\n");
    let chunked = format!("0\r\n\r\n{hidden}");
    let short = format!("{{}}{hidden}");
    let huge = "9".repeat(30);
    let cases: Vec<(&str, String, &str)> = vec![
        (
            "length and chunks",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".into(),
            &chunked,
        ),
        (
            "chunks and length",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n".into(),
            &chunked,
        ),
        (
            "two lengths",
            "Content-Length: 2\r\nContent-Length: 200\r\n".into(),
            &short,
        ),
        (
            "two lengths, the long one first",
            "Content-Length: 200\r\nContent-Length: 2\r\n".into(),
            &short,
        ),
        (
            "a list of lengths",
            "Content-Length: 2, 200\r\n".into(),
            &short,
        ),
        ("a sign", "Content-Length: +2\r\n".into(), &short),
        ("a negative length", "Content-Length: -2\r\n".into(), &short),
        (
            "a hexadecimal length",
            "Content-Length: 0x2\r\n".into(),
            &short,
        ),
        ("an empty length", "Content-Length: \r\n".into(), &short),
        (
            "a length without end",
            format!("Content-Length: {huge}\r\n"),
            &short,
        ),
        (
            "an unknown coding",
            "Transfer-Encoding: xchunked\r\n".into(),
            &chunked,
        ),
        (
            "chunks that are not the last coding",
            "Transfer-Encoding: chunked, identity\r\n".into(),
            &chunked,
        ),
        (
            "a coding in two headers",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".into(),
            &chunked,
        ),
        (
            "a coding with a vertical tab",
            "Transfer-Encoding: \u{b}chunked\r\n".into(),
            &chunked,
        ),
        (
            "a coding with a blank before the colon",
            "Transfer-Encoding : chunked\r\n".into(),
            &chunked,
        ),
        (
            "a folded coding",
            "Transfer-Encoding:\r\n chunked\r\n".into(),
            &chunked,
        ),
        (
            "a folded header",
            "X-A: b\r\n c: d\r\nContent-Length: 2\r\n".into(),
            &short,
        ),
        (
            "a bare line feed hides a header",
            "X-A: b\nTransfer-Encoding: chunked\r\n".into(),
            &chunked,
        ),
        (
            "a bare carriage return hides a header",
            "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 2\r\n".into(),
            &short,
        ),
        (
            "a null byte",
            "X-A: b\0c\r\nContent-Length: 2\r\n".into(),
            &short,
        ),
    ];
    for (name, headers, body) in cases {
        let request = format!(
            "POST /api/v1/jobs HTTP/1.1\r\nHost: h\r\n{bearer}Content-Type: application/json\r\n\
             {headers}\r\n{body}"
        );
        let got = ask(server.address, request.as_bytes());
        // The visible request has an empty or a wrong body. The hidden one would get 404.
        assert!(
            got.len() == 1 && [400, 411, 413, 415, 422, 501].contains(&got[0].status),
            "{name}: {got:?}"
        );
    }
}

#[test]
fn wrong_sizes_of_chunks_end_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.token
    );
    let next = "GET /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n";
    for size in [
        "zz",
        "-1",
        "0x2",
        "+2",
        "",
        " ",
        "fffffffffffffffff",
        "ffffffffffffffff",
        "2;\n\n",
        "2\n",
        "7fffffff",
    ] {
        let request = format!("{head}{size}\r\n{{}}\r\n0\r\n\r\n{next}");
        let got = ask(server.address, request.as_bytes());
        assert!(got.len() <= 1, "{size:?}: {got:?}");
        assert!(
            got.iter().all(|a| [400, 413, 422].contains(&a.status)),
            "{size:?}: {got:?}"
        );
    }
    // Endless trailers and extensions are cut off.
    for endless in [
        format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(1 << 20)),
        format!("2\r\n{{}}\r\n0\r\n{}\r\n", "A: b\r\n".repeat(100_000)),
    ] {
        let got = ask(server.address, format!("{head}{endless}{next}").as_bytes());
        assert!(
            got.len() <= 1 && got.iter().all(|a| a.status == 400),
            "{got:?}"
        );
    }
    // A whole body in chunks is taken, and its connection ends all the same.
    let request = format!("{head}2\r\n{{}}\r\n0\r\n\r\n{next}");
    let got = ask(server.address, request.as_bytes());
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].status, 400);
    assert!(got[0].text().contains("name either an upload or a path"));
    assert_eq!(got[0].header("connection"), Some("close"));
}

#[test]
fn large_headers_and_odd_lines_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let ask_text = |text: String| ask(server.address, text.as_bytes());
    let long = "x".repeat(200_000);
    let many = (0..500)
        .map(|i| format!("X-{i}: a\r\n"))
        .collect::<String>();
    for (name, request, wanted) in [
        (
            "a large header",
            format!("GET /api/v1/health HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"),
            &[431][..],
        ),
        (
            "many headers",
            format!("GET /api/v1/health HTTP/1.1\r\nHost: h\r\n{many}\r\n"),
            &[431],
        ),
        (
            "a long address",
            format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"),
            &[414, 431],
        ),
        (
            "a header without end",
            format!("GET /api/v1/health HTTP/1.1\r\nHost: h\r\nX{long}"),
            &[400, 431],
        ),
        ("no version", "GET /api/v1/health\r\n\r\n".into(), &[400]),
        (
            "a later version",
            "GET /api/v1/health HTTP/9.9\r\nHost: h\r\n\r\n".into(),
            &[400, 505],
        ),
        (
            "the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            &[],
        ),
        (
            "a null byte in the address",
            "GET /api/v1/\0health HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            &[400],
        ),
        (
            "a second line in the address",
            "GET /api/v1/health HTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            &[400],
        ),
        (
            "no host",
            "GET /api/v1/jobs HTTP/1.1\r\n\r\n".into(),
            &[400],
        ),
        (
            "two hosts",
            "GET /api/v1/jobs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(),
            &[400],
        ),
        (
            "a tunnel",
            "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n".into(),
            &[400, 401, 404, 405],
        ),
        (
            "an address of another host",
            "GET http://evil.example/api/v1/jobs HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            &[401],
        ),
        (
            "all addresses",
            "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            &[400, 401, 404, 405],
        ),
        (
            "a trace",
            "TRACE /api/v1/jobs HTTP/1.1\r\nHost: h\r\nX-Secret: s\r\n\r\n".into(),
            &[401, 405],
        ),
    ] {
        let got = ask_text(request);
        // A client of another protocol could not read an answer; its connection ends without one.
        let is_answered = got.len() == 1 && wanted.contains(&got[0].status);
        let is_closed = got.is_empty() && wanted.is_empty();
        assert!(is_answered || is_closed, "{name}: {got:?}");
        let echoed = got.iter().any(|a| a.text().contains("X-Secret"));
        assert!(!echoed, "{name}");
    }
}

#[test]
fn each_of_several_requests_in_a_row_is_judged_by_its_own_headers() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let bearer = format!("Authorization: Bearer {}\r\n", server.token);
    let get = |headers: &str| format!("GET /api/v1/jobs HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    let row = [get(&bearer), get(""), get(&bearer), get("")].concat();
    let statuses: Vec<u16> = ask(server.address, row.as_bytes())
        .iter()
        .map(|a| a.status)
        .collect();
    assert_eq!(statuses, [200, 401, 200, 401]);
    // A token that is given twice may be two people's, also if it is right both times.
    let wrong = "Authorization: Bearer 00\r\n";
    for twice in [
        [bearer.as_str(), wrong],
        [wrong, bearer.as_str()],
        [bearer.as_str(), bearer.as_str()],
    ] {
        let got = ask(server.address, get(&twice.concat()).as_bytes());
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].status, 401, "{twice:?}");
    }
}

#[test]
fn a_proxys_header_counts_once_and_from_its_address_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.header_seconds = 1;
    config.access.user_header = Some("X-Remote-User".into());
    config.access.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let server = Running::start_with(config);
    let status = |from: &str, headers: &str| {
        let mut raw = Raw::open_from(server.address, from, None);
        let head = "GET /api/v1/server HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
        raw.send(format!("{head}{headers}\r\n").as_bytes());
        let got = answers(&raw.until_closed());
        assert_eq!(got.len(), 1, "{headers:?}");
        (got[0].status, got[0].text())
    };
    let (code, about) = status("127.0.0.1", "X-Remote-User: ada\r\n");
    assert!(code == 200 && about.contains("\"user\":\"ada\""), "{about}");
    assert_eq!(status("127.0.0.1", "x-rEmote-uSer: ada\r\n").0, 200);
    for headers in [
        "",
        "X-Remote-User: ada\r\nX-Remote-User: root\r\n",
        "X-Remote-User: ada\r\nx-remote-user: ada\r\n",
        "X_Remote_User: ada\r\n",
        "X-Remote_User: ada\r\n",
        "X-Remote-User : ada\r\n",
        "X-Remote-User:\r\n",
        "X-Remote-User: \t \r\n",
        "X-Remote-User: a\tb\r\n",
        "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n",
        "X-Forwarded-User: ada\r\nRemote-User: ada\r\n",
    ] {
        let (code, text) = status("127.0.0.1", headers);
        assert!([400, 401].contains(&code), "{headers:?}: {code} {text}");
    }
    let long = format!("X-Remote-User: {}\r\n", "a".repeat(81));
    assert_eq!(status("127.0.0.1", &long).0, 401);
    // Other addresses name nobody, whatever they say of where they come from.
    for headers in [
        "X-Remote-User: ada\r\n",
        "X-Remote-User: ada\r\nX-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n",
    ] {
        assert_eq!(status("127.0.0.2", headers).0, 401, "{headers:?}");
    }
}

#[test]
fn a_lie_on_the_scheme_changes_only_the_liars_own_cookie() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let place = format!("/?token={}", server.token);
    let cookie = |scheme: &str| {
        let lie = [
            ("x-forwarded-proto", scheme),
            ("x-forwarded-host", "evil.example"),
        ];
        let answer = server.raw("GET", &place, &lie, Vec::new());
        // The address of the answer is not made of what the client says.
        assert_eq!(
            (answer.status, answer.header("location").as_str()),
            (303, "/")
        );
        answer.header("set-cookie")
    };
    assert!(cookie("https").ends_with("; Secure"));
    for other in ["http", "HTTPS", "https, http", "javascript:"] {
        assert!(!cookie(other).contains("Secure"), "{other}");
    }
    let opened = server.raw("GET", &format!("//evil.example{place}"), &[], Vec::new());
    assert!(
        !opened.header("location").starts_with("//"),
        "{}",
        opened.status
    );
}
