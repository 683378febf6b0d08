//! No command needs a network: each one runs where there is none, not even the loopback.

use crate::common::{both, expect};
use crate::injected::Faults;
use crate::lab::{LIMIT, Lab, output};
use std::process::{Command, Stdio};

const COMMANDS: [&str; 17] = [
    "info",
    "inspect scan.nii.gz",
    "demo --model run/model.safetensors --matrix 128 -o demo",
    "predict scan.nii.gz --model run/model.safetensors --pipeline global -o out",
    "explain scan.nii.gz --model run/model.safetensors --pipeline global -o why",
    "evaluate cohort.csv --model run/model.safetensors --pipeline global --pictures -o scores",
    "phantom one --class cap --matrix 96 --dicom -o one",
    "phantom cohort --per-class 1 --matrix 96 -o phantoms",
    "phantom implant scan.nii.gz --variants 1 --config implant.toml -o implanted",
    "predict one/dicom --model run/model.safetensors --pipeline global --dicom -o dicom",
    "prepare cohort.csv --config tiny.toml --cache new-cache",
    "train cohort.csv --config tiny.toml --cache cache -o new",
    "package run/model.safetensors --name a --card card.toml -o a",
    "export run/model.safetensors -o a.onnx",
    "compare study.toml -o compared",
    "ablate ablation.toml --no-figures -o ablated",
    "report compared",
];

#[test]
fn every_command_runs_without_a_network() {
    let options = ["--user", "--map-root-user", "--net"];
    let mut probe = Command::new("unshare");
    // Not even the loopback is up there.
    let script = "exec 3<>/dev/tcp/127.0.0.1/9";
    let tried = probe.args(options).args(["bash", "-c", script]).output();
    match tried {
        Ok(o) if String::from_utf8_lossy(&o.stderr).contains("unreachable") => {}
        other => {
            eprintln!("skipped: no namespace without a network can be made here: {other:?}");
            return;
        }
    }
    let lab = Lab::new();
    lab.train();
    for line in COMMANDS {
        let program = lab.command(line);
        let mut command = Command::new("unshare");
        command.args(options).arg(program.get_program());
        command.args(program.get_args());
        command.current_dir(lab.root()).stdout(Stdio::piped());
        let output = output(command, LIMIT);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", both(&output));
    }
}

#[test]
fn no_command_opens_a_socket_of_the_internet() {
    let Some(faults) = Faults::new() else { return };
    let lab = Lab::new();
    lab.train();
    for line in COMMANDS {
        let mut command = lab.command(line);
        command.stdout(Stdio::piped());
        faults.meet(&mut command, lab.root());
        expect(&output(command, LIMIT), 0);
        assert_eq!(faults.sockets(), 0, "{line}");
    }
    // The count sees what there is: a command that asks another node opens one.
    let pacs = "[listener]\nae_title = \"A\"\naddress = \"127.0.0.1:0\"\n[[listener.allow]]\n[store]\nfolder = \"store\"\n\
                [[node]]\nname = \"b\"\nprotocol = \"dimse\"\nae_title = \"B\"\naddress = \"127.0.0.1:9\"\n";
    lab.write("pacs.toml", pacs);
    let mut command = lab.command("echo pacs.toml b");
    command.stdout(Stdio::piped());
    faults.meet(&mut command, lab.root());
    expect(&output(command, LIMIT), 7);
    assert!(faults.sockets() > 0);
}
