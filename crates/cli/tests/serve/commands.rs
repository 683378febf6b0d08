//! The commands around the server.

use crate::common::{both, expect, multirnet, run};
use crate::support::*;
use std::fs;

#[test]
fn the_demo_opens_a_server_on_three_phantoms_and_goes_on_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let begin = || {
        let mut command = multirnet();
        command.args([
            "demo",
            "--serve",
            "--matrix",
            "128",
            "--listen",
            "127.0.0.1:0",
            "-o",
        ]);
        command.arg(dir.path());
        Served::begin(command)
    };
    let server = begin();
    server.wait_until_done(3, PATIENCE);
    let names: Vec<String> = server.get("/api/v1/jobs?sort=name&order=asc")["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| j["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["phantom-cap", "phantom-covid19", "phantom-normal"]);
    assert_eq!(server.end(), Some(130));
    // The same command shows the same three jobs.
    let server = begin();
    assert_eq!(server.get("/api/v1/jobs")["total"], 3);
}

#[test]
fn reviewed_scans_become_a_manifest_that_training_reads() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Served::start(&["--data", text(&data)]);
    let id = server.upload("one").unwrap();
    server.wait_until_done(1, PATIENCE);
    let out = dir.path().join("cohort");
    let export = || {
        run([
            "cohort",
            "from-server",
            "--data",
            text(&data),
            "-o",
            text(&out),
        ])
    };
    let nothing = export();
    expect(&nothing, 3);
    assert!(
        both(&nothing).contains("review scans in the viewer first"),
        "{}",
        both(&nothing)
    );
    let body = br#"{"reviewer":"A","verdict":"corrected","diagnosis":"covid19"}"#.to_vec();
    let place = format!("/api/v1/jobs/{id}/corrections");
    assert_eq!(server.ask("POST", &place, "x", body).unwrap().0, 201);
    let exported = export();
    expect(&exported, 0);
    assert!(
        both(&exported).contains("0 confirmed and 1 corrected scans"),
        "{}",
        both(&exported)
    );
    let manifest = out.join("cohort.csv");
    let prepared = run([
        "prepare",
        text(&manifest),
        "--cache",
        text(&dir.path().join("cache")),
    ]);
    expect(&prepared, 0);
    let again = export();
    expect(&again, 5);
    let nowhere = run(["cohort", "from-server", "--data", "nowhere", "-o", "x"]);
    expect(&nowhere, 3);
    assert!(
        both(&nowhere).contains("there is no server's database"),
        "{}",
        both(&nowhere)
    );
    drop(server);
}

#[test]
fn what_cannot_be_served_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let serve = |more: &[&str]| {
        let mut arguments = vec!["serve", "--data", text(&data), "--listen", "127.0.0.1:0"];
        arguments.extend(more);
        run(arguments)
    };
    let open = run(["serve", "--data", text(&data), "--listen", "0.0.0.0:0"]);
    expect(&open, 2);
    assert!(
        both(&open).contains("nothing says who may come in"),
        "{}",
        both(&open)
    );
    expect(&serve(&["--model", "nobody"]), 3);
    expect(&serve(&["--token-file", "nowhere"]), 3);
    let config = dir.path().join("server.toml");
    fs::write(&config, "[limits]\nupload = 3\n").unwrap();
    let wrong = serve(&["--config", text(&config)]);
    assert!(
        both(&wrong).contains("server.toml:2") && both(&wrong).contains("upload_mib"),
        "{}",
        both(&wrong)
    );
    let file = dir.path().join("file");
    fs::write(&file, "a file").unwrap();
    let refused = run(["serve", "--data", text(&file), "--listen", "127.0.0.1:0"]);
    expect(&refused, 5);
    assert!(both(&refused).contains(text(&file)), "{}", both(&refused));
    let server = Served::start(&["--data", text(&data)]);
    let second = serve(&[]);
    expect(&second, 5);
    assert!(
        both(&second).contains("another program uses this data folder"),
        "{}",
        both(&second)
    );
    drop(server);
}
