//! Peers that send too much, or never end. The honest neighbour's objects arrive meanwhile.

use crate::network::{node, outcomes};
use crate::support::*;
use dicom_dictionary_std::uids;
use multirnet_pacs::Probe;
use multirnet_pacs::client::echo;
use multirnet_pacs::config::Config;
use multirnet_pacs::dimse::Command;
use multirnet_pacs::store::Outcome;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// A bound against tests that hang, and not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(60);
const ALL_LOCAL: &str = "[[listener.allow]]\nae_title = \"SCU\"\naddresses = [\"127.0.0.0/8\"]\n";

fn listener(settings: &str) -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let rest = "[audit]\nfile = \"audit.log\"\n";
    let config = config(dir.path(), &format!("{settings}\n{ALL_LOCAL}"), rest);
    (dir, config)
}

/// A connection from another address of this machine than the honest neighbour's.
fn stranger(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    let own: SocketAddr = "127.0.0.2:0".parse().unwrap();
    socket.bind(&own.into())?;
    socket.connect(&address.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn item(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16).to_be_bytes();
    [&[kind, 0], &length[..], content].concat()
}

fn pdu(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&[kind, 0], &length[..], content].concat()
}

/// An A-ASSOCIATE-RQ with presentation contexts of these abstract syntaxes, and a user information item.
fn request(syntaxes: &[&[u8]], user: &[u8]) -> Vec<u8> {
    let mut content = vec![0, 1, 0, 0];
    content.extend(b"NODE            SCU             ");
    content.extend([0; 32]);
    content.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    for (i, syntax) in syntaxes.iter().enumerate() {
        let mut context = vec![(2 * i + 1) as u8, 0, 0, 0];
        context.extend(item(0x30, syntax));
        context.extend(item(0x40, b"1.2.840.10008.1.2"));
        content.extend(item(0x20, &context));
    }
    content.extend(item(0x50, user));
    pdu(1, &content)
}

fn usual_request() -> Vec<u8> {
    let user = [item(0x51, &[0, 0, 0x40, 0]), item(0x52, b"1.2.3")].concat();
    let syntaxes = [
        uids::VERIFICATION.as_bytes(),
        uids::CT_IMAGE_STORAGE.as_bytes(),
    ];
    request(&syntaxes, &user)
}

/// Reads one PDU: its type and content.
fn answer(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let mut content = vec![0; length as usize];
    stream.read_exact(&mut content)?;
    Ok((head[0], content))
}

/// An association of a stranger.
fn associated(address: SocketAddr) -> TcpStream {
    let mut stream = stranger(address).unwrap();
    stream.write_all(&usual_request()).unwrap();
    assert_eq!(answer(&mut stream).unwrap().0, 2, "accepted");
    stream
}

/// A P-DATA-TF PDU of one PDV; `control` has bit 0 for a command, bit 1 for the last part.
fn part(context: u8, control: u8, data: &[u8]) -> Vec<u8> {
    let mut content = (data.len() as u32 + 2).to_be_bytes().to_vec();
    content.extend([context, control]);
    content.extend(data);
    pdu(4, &content)
}

fn store_command() -> Vec<u8> {
    let command = Command::StoreRequest {
        message_id: 1,
        sop_class: uids::CT_IMAGE_STORAGE.to_owned(),
        sop_instance: "1.2.3".to_owned(),
    };
    command.encode().unwrap()
}

/// Sends `part` until the listener ends the association, and gives how long that took.
fn until_ended(stream: &mut TcpStream, part: &[u8], pause: Duration) -> Duration {
    let begin = Instant::now();
    while stream.write_all(part).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "the association goes on");
        std::thread::sleep(pause);
    }
    begin.elapsed()
}

fn assert_honest(address: SocketAddr, folder: &Path, study: u32) {
    let files = [1, 2, 3].map(|n| write_ct(folder, Name(study, 1, n)));
    let found = outcomes(&node(address), &files);
    assert!(found.iter().all(|o| *o == Outcome::Delivered), "{found:?}");
}

fn audit(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("audit.log")).unwrap()
}

#[test]
fn thousands_of_associations_leave_room_for_others() {
    let (dir, config) = listener("max_associations = 8\nidle_seconds = 30");
    while_listening(&config, Probe::default(), |address, _| {
        let flood = || {
            let (mut held, mut told, mut closed) = (Vec::new(), 0, 0);
            for _ in 0..500 {
                let Ok(mut stream) = stranger(address) else {
                    closed += 1;
                    continue;
                };
                let sent = stream.write_all(&usual_request());
                match sent.and_then(|()| answer(&mut stream)) {
                    Ok((2, _)) => held.push(stream),
                    // Rejected for a while: local limit exceeded.
                    Ok((3, reason)) => {
                        assert_eq!(reason, [0, 2, 3, 2]);
                        told += 1;
                    }
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => closed += 1,
                }
            }
            (held, told, closed)
        };
        std::thread::scope(|scope| {
            let floods: Vec<_> = (0..4).map(|_| scope.spawn(flood)).collect();
            for study in 1..4 {
                assert_honest(address, dir.path(), study);
            }
            let results: Vec<_> = floods.into_iter().map(|f| f.join().unwrap()).collect();
            let held: usize = results.iter().map(|r| r.0.len()).sum();
            let told: usize = results.iter().map(|r| r.1).sum();
            let closed: usize = results.iter().map(|r| r.2).sum();
            println!("2000 associations: {held} held, {told} told to come again, {closed} closed");
            // Six of eight are for one address, and two for others.
            assert_eq!(held, 6);
            assert!(told > 0);
            assert_honest(address, dir.path(), 9);
        });
    });
    let lines = audit(dir.path()).matches("association_refused").count();
    assert!(lines <= 300, "{lines} lines of refusals");
}

#[test]
fn a_flood_of_echoes_is_answered_and_does_not_fill_the_log() {
    const ECHOES: usize = 20_000;
    let (dir, config) = listener("max_associations = 4");
    while_listening(&config, Probe::default(), |address, _| {
        let request = Command::EchoRequest { message_id: 1 }.encode().unwrap();
        let request = part(1, 3, &request);
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| {
                let mut stream = associated(address);
                let mut writer = stream.try_clone().unwrap();
                let writing = std::thread::spawn(move || {
                    (0..ECHOES).all(|_| writer.write_all(&request).is_ok())
                });
                let answers = (0..ECHOES)
                    .take_while(|_| answer(&mut stream).is_ok())
                    .count();
                assert!(writing.join().unwrap());
                answers
            });
            assert_honest(address, dir.path(), 1);
            assert_eq!(flood.join().unwrap(), ECHOES);
        });
        assert_honest(address, dir.path(), 2);
    });
    let echoes = audit(dir.path()).matches("\"echo\"").count();
    assert_eq!(echoes, 10);
}

#[test]
fn requests_that_this_node_does_not_know_are_answered_with_no() {
    let (dir, config) = listener("max_associations = 4");
    while_listening(&config, Probe::default(), |address, _| {
        let mut stream = associated(address);
        // C-GET, N-ACTION and N-EVENT-REPORT, with identifiers.
        let unknown = [0x10u16, 0x130, 0x100].map(|field| Command::UnknownRequest {
            field,
            message_id: 7,
            has_data_set: true,
        });
        let model = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND.to_owned();
        let known = [
            Command::FindRequest {
                message_id: 7,
                model: model.clone(),
            },
            Command::MoveRequest {
                message_id: 7,
                model,
                destination: "SCU".to_owned(),
            },
        ];
        let all = [&unknown[..], &known].concat();
        for request in all.iter().cycle().take(1000) {
            stream
                .write_all(&part(1, 3, &request.encode().unwrap()))
                .unwrap();
            stream
                .write_all(&part(1, 2, &[8, 0, 0x52, 0, 2, 0, 0, 0, b'X', b' ']))
                .unwrap();
            let (kind, content) = answer(&mut stream).unwrap();
            assert_eq!(kind, 4);
            let status = match Command::decode(&content[6..]).unwrap() {
                Command::UnknownResponse { status, .. }
                | Command::FindResponse { status, .. }
                | Command::MoveResponse { status, .. } => status,
                other => panic!("{other:?}"),
            };
            assert_eq!(status, 0x0211);
        }
        assert_honest(address, dir.path(), 1);
    });
}

#[test]
fn messages_that_never_end_are_ended() {
    let (dir, config) = listener("max_associations = 8\nmessage_seconds = 2\nidle_seconds = 20");
    while_listening(&config, Probe::default(), |address, _| {
        std::thread::scope(|scope| {
            // A few bytes of a data set now and then.
            let trickle = scope.spawn(|| {
                let mut stream = associated(address);
                stream.write_all(&part(3, 3, &store_command())).unwrap();
                until_ended(
                    &mut stream,
                    &part(3, 0, &[8, 0, 5, 0]),
                    Duration::from_millis(100),
                )
            });
            // Parts without bytes, as fast as they go.
            let empty = scope.spawn(|| {
                let mut stream = associated(address);
                stream.write_all(&part(3, 3, &store_command())).unwrap();
                until_ended(&mut stream, &part(3, 0, &[]), Duration::ZERO)
            });
            // A command set without an end, in large and in empty parts.
            let command = scope.spawn(|| {
                let mut stream = associated(address);
                until_ended(&mut stream, &part(1, 1, &[0; 100]), Duration::ZERO);
                let mut stream = associated(address);
                until_ended(&mut stream, &part(1, 1, &[]), Duration::ZERO)
            });
            // A PDU of which a byte comes now and then.
            let slow = scope.spawn(|| {
                let mut stream = associated(address);
                stream.write_all(&part(3, 3, &store_command())).unwrap();
                stream.write_all(&[4, 0, 0, 0, 0x40, 0]).unwrap();
                until_ended(&mut stream, &[0], Duration::from_millis(100))
            });
            assert_honest(address, dir.path(), 1);
            for thread in [trickle, empty, command, slow] {
                thread.join().unwrap();
            }
        });
        assert_honest(address, dir.path(), 2);
    });
    let log = audit(dir.path());
    for told in [
        "a message did not end within 2 s",
        "too many parts without bytes",
        "a command set is too long",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    assert!(files_below(&dir.path().join("store/incoming")).is_empty());
}

#[test]
fn an_association_that_never_ends_is_ended_between_two_messages() {
    let (dir, config) = listener("association_seconds = 2");
    while_listening(&config, Probe::default(), |address, _| {
        let mut stream = associated(address);
        let request = part(
            1,
            3,
            &Command::EchoRequest { message_id: 1 }.encode().unwrap(),
        );
        let begin = Instant::now();
        while stream.write_all(&request).is_ok() && answer(&mut stream).is_ok_and(|a| a.0 == 4) {
            assert!(begin.elapsed() < PATIENCE, "the association goes on");
        }
        assert_honest(address, dir.path(), 1);
    });
    let log = audit(dir.path());
    assert!(
        log.contains("the association did not end within 2 s"),
        "{log}"
    );
}

#[test]
fn requests_that_lie_are_refused() {
    let (dir, config) = listener("max_associations = 4\nidle_seconds = 5");
    let lying_user = |kind: u8, length: u16| {
        let mut user = vec![kind, 0];
        user.extend(length.to_be_bytes());
        user.extend([1, 2, 3]);
        request(&[b"1.2"], &user)
    };
    let long = vec![b'9'; 60_000];
    let absurd: Vec<Vec<u8>> = (0..128u8)
        .map(|i| format!("\u{1b}]52;../../{i}\0<script>").into_bytes())
        .collect();
    let absurd: Vec<&[u8]> = absurd.iter().map(Vec::as_slice).collect();
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("128 absurd contexts".into(), request(&absurd, &[])),
        (
            "300 contexts".into(),
            request(&[&b"1.2.840.10008.1.1"[..]; 300], &[]),
        ),
        ("a UID of 60000 digits".into(), request(&[&long], &[])),
        ("no contexts".into(), request(&[], &[])),
        (
            "a PDU of 4 GB".into(),
            vec![1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1],
        ),
        (
            "a data PDU of 4 GB".into(),
            vec![4, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1],
        ),
        ("an unknown PDU".into(), pdu(99, &[0; 1000])),
        ("a PDU of no length".into(), pdu(1, &[])),
        (
            "data before an association".into(),
            part(1, 3, &store_command()),
        ),
    ];
    for kind in 0x51..=0x5A {
        for length in [0, 1, 4, 0xFFFF] {
            cases.push((
                format!("user item {kind:x} of {length}"),
                lying_user(kind, length),
            ));
        }
    }
    while_listening(&config, Probe::default(), |address, _| {
        for (name, bytes) in &cases {
            let mut stream = stranger(address).unwrap();
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let begin = Instant::now();
            let _ = stream.read_to_end(&mut Vec::new());
            assert!(begin.elapsed() < PATIENCE, "{name} holds its association");
        }
        // The slots are free again.
        let is_free = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            echo(&node(address)).is_ok()
        });
        assert!(is_free);
        assert_honest(address, dir.path(), 1);
    });
}

#[test]
fn messages_that_lie_end_their_association_alone() {
    let (dir, config) = listener("max_associations = 4\nidle_seconds = 5");
    let good = store_command();
    let with_length = |value: u32| {
        let mut lie = good.clone();
        lie[8..12].copy_from_slice(&value.to_le_bytes());
        lie
    };
    let value_of_4_gb = [0u8, 0, 2, 0, 0xF0, 0xFF, 0xFF, 0xFF, 1, 2];
    let elements: Vec<u8> = (0..500u16)
        .flat_map(|i| [0, 0, i.to_le_bytes()[0], i.to_le_bytes()[1], 0, 0, 0, 0])
        .collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("data without a command", part(3, 2, &[8, 0, 5, 0])),
        (
            "a command within an object",
            [part(3, 3, &good), part(3, 3, &good)].concat(),
        ),
        (
            "data in another context",
            [part(3, 3, &good), part(1, 2, &[1, 2])].concat(),
        ),
        ("a context that was not proposed", part(99, 3, &good)),
        ("an element of 4 GB", part(3, 3, &value_of_4_gb)),
        ("500 elements", part(3, 3, &elements)),
        ("a command of noise", part(3, 3, &[0xFF; 300])),
        ("an empty command", part(3, 3, &[])),
        ("a PDV of no length", pdu(4, &[0, 0, 0, 0])),
        (
            "a PDV that is longer than its PDU",
            pdu(4, &[0, 0, 1, 0, 3, 3, 0]),
        ),
        (
            "an abort within an object",
            [
                part(3, 3, &good),
                part(3, 0, &[8, 0]),
                pdu(7, &[0, 0, 0, 0]),
            ]
            .concat(),
        ),
        ("a second request", usual_request()),
    ];
    while_listening(&config, Probe::default(), |address, _| {
        for (name, bytes) in &cases {
            let mut stream = associated(address);
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
            println!("{name}: ended");
        }
        // A group length that is not right harms nobody: it is not used.
        for length in [0, 1, 1 << 20, u32::MAX] {
            let mut stream = associated(address);
            let _ = stream.write_all(&part(3, 3, &with_length(length)));
            let _ = stream.write_all(&part(
                3,
                2,
                &data_set(Name(8, 1, 1), uids::CT_IMAGE_STORAGE, 1),
            ));
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        assert_honest(address, dir.path(), 1);
    });
    assert!(files_below(&dir.path().join("store/incoming")).is_empty());
}
