//! Texts of strangers, in every place that takes them, are shown as text by everything that shows them.

mod common;

use common::{dicom, expect, multirnet, phantom, save};
use multirnet_anatomy::PrepareConfig;
use multirnet_base::text::is_active;
use multirnet_infer::{DeviceChoice, ModelCard, ModelInput};
use multirnet_nn::{MultiRNetConfig, weights};
use multirnet_volume::Diagnosis;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Texts that act where somebody forgets to make them visible.
const TEXTS: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "]]>&amp;&#60;b&#62; & </title></style><script>",
    "\u{1b}[2J\u{1b}[31mred\u{1b}]52;c;ZXZpbA==\u{7}",
    "\u{9b}2J\u{85}\u{90}q\u{9c}",
    "txt.\u{202e}gnp\u{2066}\u{2067}\u{200f}\u{feff}",
    "=cmd|' /C calc'!A0",
    "back\\slash 肺 Müller",
    "tab\tnul\u{0}end\u{7f}",
];

/// Fails if a program's output could command a terminal or forge a line.
fn assert_terminal(what: &str, output: &Output) {
    for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = std::str::from_utf8(bytes).unwrap_or_else(|e| panic!("{what}: {stream}: {e}"));
        if let Some(c) = text
            .chars()
            .find(|&c| is_active(c) && c != '\n' && c != '\t')
        {
            panic!(
                "{what}: {stream} has the character {:x}: {text:?}",
                c as u32
            );
        }
        for line in text.lines() {
            assert!(!line.starts_with("forged"), "{what}: {stream}: {text:?}");
        }
    }
    assert_ne!(output.status.code(), Some(101), "{what} panics");
    assert!(output.status.code().is_some(), "{what} is killed");
}

/// Fails if a text has become markup of a page.
fn assert_page(path: &Path) {
    let page = fs::read_to_string(path).unwrap();
    for bad in ["<script>alert", "<img src=x", "onerror=alert(1)>"] {
        let shown = page
            .replace("&quot;", "")
            .replace("&lt;", "")
            .replace("&gt;", "");
        assert!(!shown.contains(bad), "{}: {bad}", path.display());
    }
    let found = page
        .chars()
        .find(|&c| is_active(c) && c != '\n' && c != '\t');
    assert!(found.is_none(), "{}: {found:?}", path.display());
}

/// An element of a data set: place, tag, type, value.
type Element<'a> = (usize, [u16; 2], [u8; 2], &'a [u8]);

/// The elements of an explicit VR little endian data set.
fn elements(file: &[u8]) -> Vec<Element<'_>> {
    let mut found = Vec::new();
    let mut at = 132;
    let word = |at: usize| u16::from_le_bytes([file[at], file[at + 1]]);
    while at + 8 <= file.len() {
        let tag = [word(at), word(at + 2)];
        // Items and delimiters have no type; what they hold is looked at like all other elements.
        if tag[0] == 0xFFFE {
            at += 8;
            continue;
        }
        let vr = [file[at + 4], file[at + 5]];
        let long = matches!(
            &vr,
            b"OB" | b"OW" | b"SQ" | b"UN" | b"UT" | b"UC" | b"UR" | b"OF" | b"OD"
        );
        let (start, length) = match long {
            true => (
                at + 12,
                u32::from(word(at + 8)) | u32::from(word(at + 10)) << 16,
            ),
            false => (at + 8, u32::from(word(at + 6))),
        };
        if &vr == b"SQ" {
            at = start;
            continue;
        }
        let end = start + length as usize;
        found.push((at, tag, vr, &file[start..end]));
        at = end;
    }
    assert_eq!(at, file.len(), "the elements fill the file");
    found
}

/// Fails if a text of a DICOM object is not one that its type allows.
fn assert_legal(path: &Path) {
    let file = fs::read(path).unwrap();
    for (_, tag, vr, value) in elements(&file) {
        let most = match &vr {
            b"LO" => 64,
            b"SH" | b"CS" | b"AE" | b"DS" => 16,
            b"PN" => 64 * 3 + 2,
            b"ST" => 1024,
            b"LT" => 10_240,
            b"UT" | b"UC" => usize::MAX,
            b"DA" => 8,
            b"UI" => 64,
            _ => continue,
        };
        let place = format!("{}: {tag:04x?}", path.display());
        let text = std::str::from_utf8(value).unwrap_or_else(|e| panic!("{place}: {e}"));
        let is_long = matches!(&vr, b"ST" | b"LT" | b"UT");
        let lines = |c: char| is_long && matches!(c, '\n' | '\r' | '\t' | '\u{c}');
        let bad = text
            .trim_end_matches('\0')
            .chars()
            .find(|&c| c.is_control() && !lines(c));
        assert!(bad.is_none(), "{place}: {text:?}");
        let values: Vec<&str> = if is_long {
            vec![text]
        } else {
            text.split('\\').collect()
        };
        for one in values {
            assert!(
                one.trim_end_matches([' ', '\0']).chars().count() <= most,
                "{place}: {one:.90}"
            );
        }
    }
}

/// The file with these texts in place of those with the same tag. All are of short types.
fn with_texts(file: &[u8], texts: &[([u16; 2], &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let all = elements(file);
    let ends = all.iter().skip(1).map(|e| e.0).chain([file.len()]);
    out.extend(&file[..132]);
    for (&(start, tag, vr, _), end) in all.iter().zip(ends) {
        match texts.iter().find(|(t, _)| *t == tag) {
            Some((_, text)) => {
                let mut value = text.as_bytes().to_vec();
                value.truncate(65_000);
                if value.len() % 2 == 1 {
                    value.push(b' ');
                }
                out.extend(&file[start..start + 4]);
                out.extend(vr);
                out.extend((value.len() as u16).to_le_bytes());
                out.extend(value);
            }
            None => out.extend(&file[start..end]),
        }
    }
    out
}

/// A small untrained model whose card has `text` in every field.
fn model(path: &Path, text: &str) {
    let device = DeviceChoice::Cpu.open().unwrap();
    device.seed(2);
    let config = MultiRNetConfig {
        channels: [2, 2, 4, 4, 4],
        class_channels: [2, 2, 4, 4, 4, 4],
        iterations: 0,
        ..MultiRNetConfig::small()
    };
    let prepare = PrepareConfig {
        spacing_mm: [8.0, 6.0, 6.0],
        global_shape: [16, 48, 48],
        ..PrepareConfig::default()
    };
    let card = ModelCard {
        name: text.to_owned(),
        trained_on: text.to_owned(),
        version: text.to_owned(),
        validation: Some(text.to_owned()),
        licence: Some(text.to_owned()),
        attribution: vec![text.to_owned()],
        input: Some(ModelInput::from(&prepare)),
        ..ModelCard::unknown("tiny")
    };
    let bytes = weights::to_bytes(&config.init(&device), weights::Dtype::F32).unwrap();
    fs::write(path, card.package("tiny", &bytes).unwrap()).unwrap();
}

fn ran(folder: &Path, what: &str, arguments: &[&str]) -> Output {
    let mut command = multirnet();
    command
        .args(arguments)
        .current_dir(folder)
        .env("RUST_LOG", "debug");
    let output = command.output().unwrap();
    assert_terminal(what, &output);
    output
}

#[test]
fn patients_and_model_cards_of_strangers_are_text_everywhere() {
    let ct = phantom(Diagnosis::Covid19, 6)
        .ct
        .map(|hu| hu.round() as i16);
    let joined = TEXTS.join(" ");
    let long = format!("{}{}", TEXTS[0], "é".repeat(10_000));
    // Backslashes separate values, so the texts come without and with them.
    for (round, text) in [joined.replace('\\', "/"), joined, long].iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        dicom::write_series(&at("study"), &ct, 1);
        let texts: Vec<([u16; 2], &str)> = [
            [0x0008, 0x0050],
            [0x0008, 0x0090],
            [0x0008, 0x1030],
            [0x0008, 0x103E],
            [0x0010, 0x0010],
            [0x0010, 0x0020],
            [0x0010, 0x0030],
            [0x0010, 0x0040],
            [0x0018, 0x0015],
            [0x0020, 0x0010],
            [0x0020, 0x1040],
        ]
        .map(|tag| (tag, text.as_str()))
        .to_vec();
        for entry in fs::read_dir(at("study")).unwrap() {
            let path = entry.unwrap().path();
            let file = fs::read(&path).unwrap();
            fs::write(&path, with_texts(&file, &texts)).unwrap();
        }
        model(&at("evil.safetensors"), text);

        expect(&ran(folder.path(), "inspect", &["inspect", "study"]), 0);
        let output = ran(
            folder.path(),
            "inspect --json",
            &["inspect", "study", "--json"],
        );
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            json[0]["series"][0]["description"]
                .as_str()
                .unwrap()
                .contains("alert(1)")
        );
        let info = ["info", "--model", "evil.safetensors"];
        expect(&ran(folder.path(), "info", &info), 0);
        let output = ran(
            folder.path(),
            "info --json",
            &[&info[..], &["--json"]].concat(),
        );
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["model"]["trained_on"].as_str(), Some(text.as_str()));

        let predict = [
            "predict",
            "study",
            "--model",
            "evil.safetensors",
            "--dicom",
            "-o",
            "out",
        ];
        let output = ran(folder.path(), "predict", &predict);
        expect(&output, 0);
        assert_page(&at("out/report.html"));
        let _: serde_json::Value =
            serde_json::from_slice(&fs::read(at("out/finding.json")).unwrap()).unwrap();
        let objects: Vec<PathBuf> = fs::read_dir(at("out/dicom"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(objects.len(), 4, "round {round}");
        for object in &objects {
            assert_legal(object);
        }
        // The objects are read by this program's own reader too.
        ran(folder.path(), "inspect results", &["inspect", "out/dicom"]);
    }
}

#[cfg(unix)]
#[test]
fn names_of_files_of_strangers_are_text_everywhere() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let mut names: Vec<Vec<u8>> = TEXTS
        .iter()
        .map(|t| t.replace(['/', '\0'], "_").into_bytes())
        .collect();
    names.push(b"a\nforged: done".to_vec());
    names.push(b"-x\x1b[2J".to_vec());
    names.push(b"\xff\xfe\x80\x9b2J".to_vec());
    names.push(vec![b'y'; 200]);
    let path = |name: &[u8], ending: &str| {
        folder
            .path()
            .join(OsStr::from_bytes(&[name, ending.as_bytes()].concat()))
    };
    let mut scans = Vec::new();
    for name in &names {
        for (ending, content) in [
            (".nii.gz", &b"noise"[..]),
            (".dcm", b"noise"),
            (".zip", b"PK\x03\x04"),
            (".mha", b"x = y\n"),
        ] {
            let file = path(name, ending);
            fs::write(&file, content).unwrap();
            scans.push(file);
        }
    }
    for command in ["inspect", "predict"] {
        let mut line = multirnet();
        line.arg(command).args(&scans).arg("--verbose");
        if command == "predict" {
            line.arg("-o").arg(path(b"out\x1b[2J\nforged", ""));
        }
        let output = line.output().unwrap();
        assert_terminal(command, &output);
        expect(&output, 3);
        let output = line.arg("--json").output().unwrap();
        assert_terminal(command, &output);
        let _: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    }
    // Damaged files beside sound ones, whose names warnings list.
    let ct = phantom(Diagnosis::Normal, 2).ct.map(|hu| hu.round() as i16);
    let study = path(b"study\x1b[31m\nforged", "");
    dicom::write_series(&study, &ct, 1);
    for name in &names {
        fs::write(
            study.join(OsStr::from_bytes(&[&name[..], b".dcm"].concat())),
            "noise",
        )
        .unwrap();
    }
    for flags in [&[][..], &["--allow-irregular"]] {
        let output = multirnet()
            .arg("inspect")
            .arg(&study)
            .args(flags)
            .output()
            .unwrap();
        assert_terminal("inspect of damaged files", &output);
    }
    // Every command names the files that it cannot read.
    for name in &names {
        let file = path(name, ".toml");
        fs::write(&file, format!("{} = 1\n[", String::from_utf8_lossy(name))).unwrap();
        for command in ["train", "compare", "ablate", "listen", "doctor", "cohort"] {
            let output = multirnet().arg(command).arg(&file).output().unwrap();
            assert_terminal(command, &output);
            assert_ne!(output.status.code(), Some(0));
        }
        let missing = path(name, "-missing");
        for line in [
            vec![OsStr::new("evaluate"), missing.as_os_str()],
            vec![
                OsStr::new("info"),
                OsStr::new("--model"),
                missing.as_os_str(),
            ],
            vec![
                OsStr::new("package"),
                missing.as_os_str(),
                OsStr::new("-o"),
                missing.as_os_str(),
            ],
            vec![
                OsStr::new("dicom"),
                missing.as_os_str(),
                OsStr::new("--source"),
                missing.as_os_str(),
            ],
            vec![OsStr::new("report"), missing.as_os_str()],
            vec![OsStr::new("echo"), missing.as_os_str()],
            vec![OsStr::from_bytes(name)],
            vec![
                OsStr::new("predict"),
                OsStr::new("--jobs"),
                OsStr::from_bytes(name),
            ],
        ] {
            let output = multirnet().args(&line).output().unwrap();
            assert_terminal(&format!("{line:?}"), &output);
            assert_ne!(output.status.code(), Some(0));
        }
    }
}

#[test]
fn manifests_and_configurations_of_strangers_are_text_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    save(
        folder.path(),
        "scan.nii.gz",
        &phantom(Diagnosis::Cap, 1).ct.map(|hu| hu.round() as i16),
    );
    for text in TEXTS.iter().copied().chain(["one\nforged: line"]) {
        let quoted = format!("\"{}\"", text.replace('"', "\"\""));
        let toml = format!(
            "{:?}",
            text.replace(|c: char| is_active(c) && c != '\t', "?")
        );
        let escaped = toml::Value::String(text.to_owned()).to_string();
        let files = [
            (
                "scan.csv",
                format!("scan,mask,class,patient\n{quoted},,covid19,p1\n"),
            ),
            (
                "class.csv",
                format!("scan,mask,class,patient\nscan.nii.gz,,{quoted},{quoted}\n"),
            ),
            (
                "column.csv",
                format!("scan,mask,class,patient,{quoted}\nscan.nii.gz,,cap,p,x\n"),
            ),
            (
                "patient.csv",
                format!("scan,mask,class,patient\nscan.nii.gz,,cap,{quoted}\n"),
            ),
            ("key.toml", format!("{toml} = 1\n")),
            (
                "value.toml",
                format!(
                    "[model]\nsystem = {escaped}\n[[system]]\nid = {escaped}\nname = {escaped}\n"
                ),
            ),
            (
                "listen.toml",
                format!("[listener]\nae_title = {escaped}\naddress = {escaped}\n"),
            ),
        ];
        for (name, content) in &files {
            fs::write(folder.path().join(name), content).unwrap();
            for command in [
                "evaluate", "train", "compare", "ablate", "listen", "doctor", "cohort", "prepare",
            ] {
                ran(
                    folder.path(),
                    &format!("{command} {name}"),
                    &[command, name],
                );
            }
            ran(
                folder.path(),
                "predict",
                &["predict", "scan.nii.gz", "--config", name, "-o", "never"],
            );
        }
    }
}
