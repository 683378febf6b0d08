//! The interface as its description says it, and the pages.

use crate::support::*;
use std::collections::BTreeSet;

#[test]
fn the_description_has_every_path_and_every_answer_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let description = server.get("/api/openapi.json").json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = description["paths"].as_object().unwrap();
    let mut names = BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let at = format!("{method} {path}");
            assert!(
                operation["summary"]
                    .as_str()
                    .is_some_and(|s| s.ends_with('.')),
                "{at}"
            );
            let id = operation["operationId"].as_str().unwrap();
            assert!(names.insert(id.to_owned()), "{at}: {id} twice");
            // Every status is named: a tool that tries the interface fails on any other.
            let responses = operation["responses"].as_object().unwrap();
            assert!(!responses.contains_key("default"), "{at}");
            for status in ["400", "500", "503"] {
                assert!(responses.contains_key(status), "{at}: {status}");
            }
            let is_open = path.starts_with("/api/v1/health");
            for status in ["401", "403", "429"] {
                assert_eq!(responses.contains_key(status), !is_open, "{at}: {status}");
            }
        }
    }
    // Every reference leads to a schema.
    let text = description.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(
            description["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
    assert_eq!(
        serde_json::to_value(multirnet_server::description()).unwrap(),
        description
    );
}

#[test]
fn unknown_places_and_methods_are_problems() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/jobs/nobody", 404),
        ("GET", "/nothing.js", 404),
        ("PUT", "/api/v1/jobs", 405),
        ("POST", "/api/v1/server", 405),
    ] {
        let answer = server.send(method, path, &[], Vec::new());
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.json()["error"]["reason"].is_string());
    }
    let json = [("content-type", "application/json")];
    let answer = server.send("POST", "/api/v1/jobs", &json, b"{".to_vec());
    assert_eq!(
        (answer.status, answer.json()["error"]["kind"].as_str()),
        (400, Some("invalid"))
    );
}

#[test]
fn pages_and_their_files_are_part_of_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let page = server.get("/");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for path in ["/scan/abc", "/corrections", "/models", "/api/docs"] {
        assert_eq!(server.get(path).text(), page.text(), "{path}");
    }
    let mut files = 0;
    let text = page.text();
    for part in text.split(['"']).filter(|p| p.starts_with("/assets/")) {
        let file = server.get(part);
        assert_eq!(file.status, 200, "{part}");
        assert!(file.header("cache-control").contains("immutable"));
        files += 1;
    }
    assert!(files >= 2, "{text}");
    assert!(!text.contains("<script>") && !text.contains("style=\"") && !text.contains("//"));
}

#[test]
fn the_server_says_what_it_is_and_which_models_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path());
    let about = server.get("/api/v1/server").json();
    assert_eq!(
        about["notice"],
        "For research use only. Not a medical device."
    );
    assert_eq!(about["model"]["name"], "lungs-small");
    assert!(
        about["model"]["validation_notice"]
            .as_str()
            .unwrap()
            .contains("not validated")
    );
    let models = server.get("/api/v1/models").json();
    let active: Vec<_> = models["models"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["is_active"] == true)
        .collect();
    assert!(
        active
            .iter()
            .any(|m| m["name"] == "lungs-small" && m["card"]["scores"].is_array()),
        "{models}"
    );
}
