//! The commands that ask other nodes, and what they say of what goes wrong.

use crate::common::{both, expect, run};
use crate::support::*;
use std::fs;

#[test]
fn echo_send_and_doctor_work_on_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let files = study(folder, 1);
    with_archive(folder, |archive, _| {
        let config = configure(folder, archive, 1);
        let config = config.to_str().unwrap();
        let echo = run(["echo", config]);
        expect(&echo, 0);
        assert!(both(&echo).contains("archive answers"), "{}", both(&echo));

        let folder_of_study = files[0].parent().unwrap().to_str().unwrap();
        fs::write(files[0].parent().unwrap().join("notes.txt"), "not DICOM").unwrap();
        let send = run(["send", config, "archive", folder_of_study, "--json"]);
        expect(&send, 0);
        let rows: serde_json::Value = serde_json::from_slice(&send.stdout).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), files.len());
        assert_eq!(results(folder, 1).len(), files.len());

        let doctor = run(["doctor", config]);
        expect(&doctor, 0);
        let said = both(&doctor);
        for text in [
            "ok      model: lungs-small can be used",
            "C-ECHO is answered",
            "it takes: ",
        ] {
            assert!(said.contains(text), "{text}: {said}");
        }
    });
}

#[test]
fn failures_name_the_node_or_the_file_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = configure(folder, nobody, 1);
    let text = fs::read_to_string(&config).unwrap();
    let web =
        format!("[[node]]\nname = \"web\"\nprotocol = \"dicomweb\"\nurl = \"http://{nobody}\"\n");
    fs::write(&config, text + &web).unwrap();
    let config = config.to_str().unwrap();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(at("wrong.toml"), "[listener]\nae_title = 3\n").unwrap();
    fs::write(at("notes.txt"), "not DICOM").unwrap();
    fs::create_dir(at("empty")).unwrap();
    let file = study(folder, 1)[0].to_str().unwrap().to_owned();
    let out = at("out");
    for (line, code, told) in [
        (vec!["listen", "missing.toml"], 3, "missing.toml"),
        (vec!["listen", &at("wrong.toml")], 3, "wrong.toml:2"),
        (
            vec!["echo", config, "archive"],
            7,
            "archive does not answer",
        ),
        (vec!["echo", config, "other"], 3, "known: archive, web"),
        (vec!["send", config, "archive", &file], 7, "connect"),
        (vec!["send", config, "web", &file], 7, "cannot send"),
        (
            vec!["send", config, "archive", &at("empty")],
            3,
            "no DICOM objects",
        ),
        (
            vec!["send", config, "archive", &at("notes.txt")],
            3,
            "notes.txt",
        ),
        (vec!["send", config, "archive", &at("no.dcm")], 3, "no.dcm"),
        (vec!["fetch", config, "archive"], 2, "--list"),
        (vec!["fetch", config, "web", "--study", "1.2"], 2, "-o OUT"),
        (
            vec!["fetch", config, "archive", "--study", "1.2", "-o", &out],
            2,
            "leave -o out",
        ),
        (
            vec!["fetch", config, "archive", "--study", "1.2"],
            7,
            "connect",
        ),
        (
            vec!["fetch", config, "web", "--list"],
            7,
            "is the url right",
        ),
        (vec!["doctor", config], 3, "WRONG   node archive"),
        (vec!["doctor", "missing.toml"], 3, "missing.toml"),
        (
            vec!["doctor", config, "--model", "none"],
            3,
            "WRONG   model",
        ),
    ] {
        let output = run(&line);
        expect(&output, code);
        let said = both(&output);
        assert!(said.contains(told), "{line:?}: {told}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(!folder.join("out").exists());
}

#[test]
fn a_store_belongs_to_one_listener() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = "127.0.0.1:9".parse().unwrap();
    let config = configure(dir.path(), nobody, 1);
    let _first = Running::start(&config);
    let second = run(["listen", config.to_str().unwrap()]);
    expect(&second, 5);
    assert!(
        both(&second).contains("another program uses this store"),
        "{}",
        both(&second)
    );
}
