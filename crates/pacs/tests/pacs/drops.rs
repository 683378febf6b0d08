//! Connections that break or fall silent at any byte, in either direction.

use crate::clients::{JSON, ok, serve};
use crate::support::*;
use multirnet_base::StopToken;
use multirnet_pacs::Probe;
use multirnet_pacs::client::{echo, send, send_to};
use multirnet_pacs::config::{DimseNode, Node, WebNode};
use multirnet_pacs::store::{Outcome, Store};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As a program ends that closes its connection.
    Close,
    /// As a computer ends whose cable is cut and which comes back.
    Reset,
    /// Nothing comes any more.
    Silence,
}

/// From whom the bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Client,
    Server,
}

/// Where a connection ends: before the byte `at` of one side.
#[derive(Debug, Clone, Copy)]
struct Cut {
    from: From,
    at: u64,
    end: End,
}

/// Stands between a client and a server, and counts the bytes of each.
struct Between {
    address: SocketAddr,
    bytes: [Arc<AtomicU64>; 2],
}

impl Between {
    /// Takes one connection and ends it at `cut`.
    fn new(server: SocketAddr, cut: Option<Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = [Arc::default(), Arc::default()];
        let counts = bytes.clone();
        std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(server).unwrap();
            let [up, down] = counts;
            let limit = |from| cut.filter(|c| c.from == from);
            let (a, b) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let to_server = limit(From::Client);
            let passes = std::thread::spawn(move || pass(&a, &b, &up, to_server));
            pass(&server, &client, &down, limit(From::Server));
            passes.join().unwrap();
        });
        Self { address, bytes }
    }

    fn counted(&self) -> [u64; 2] {
        [0, 1].map(|i| self.bytes[i].load(Ordering::SeqCst))
    }
}

/// Passes bytes on until the cut or the end.
fn pass(from: &TcpStream, to: &TcpStream, count: &AtomicU64, cut: Option<Cut>) {
    let (mut reader, mut writer) = (from, to);
    let mut buffer = [0; 1 << 14];
    loop {
        let passed = count.load(Ordering::SeqCst);
        let room = cut.map_or(u64::MAX, |c| c.at - passed);
        if let Some(cut) = cut.filter(|_| room == 0) {
            return end(from, to, cut.end);
        }
        let most = buffer
            .len()
            .min(usize::try_from(room).unwrap_or(usize::MAX));
        match reader.read(&mut buffer[..most]) {
            Ok(0) | Err(_) => break,
            Ok(n) => {
                if writer.write_all(&buffer[..n]).is_err() {
                    break;
                }
                count.fetch_add(n as u64, Ordering::SeqCst);
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn end(one: &TcpStream, other: &TcpStream, end: End) {
    match end {
        End::Silence => {
            // The peers give up by themselves. What they still send goes nowhere.
            let mut reader = one;
            let _ = reader.read_to_end(&mut Vec::new());
        }
        End::Reset => {
            for stream in [one, other] {
                let socket = socket2::SockRef::from(stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
                let _ = stream.shutdown(Shutdown::Read);
            }
            for stream in [one, other] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        End::Close => {
            for stream in [one, other] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// The cuts of both directions: every `step`th byte, and the last ones, of which there are fewer where
/// every cut takes long.
fn cuts(totals: [u64; 2], step: u64, ends: &[End]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let last = if ends.contains(&End::Silence) { 2 } else { 12 };
    for (from, total) in [(From::Client, totals[0]), (From::Server, totals[1])] {
        let at = (0..total).filter(|at| at % step == 0 || at + last > total);
        for (at, end) in at.zip(ends.iter().copied().cycle()) {
            cuts.push(Cut { from, at, end });
        }
    }
    cuts
}

fn node(address: SocketAddr) -> DimseNode {
    DimseNode {
        timeout_seconds: 1,
        ..DimseNode::new("NODE", address.to_string(), "SCU")
    }
}

/// What became of each file; a file of which nothing was told was not sent.
fn outcomes(node: &DimseNode, files: &[PathBuf]) -> BTreeMap<usize, Outcome> {
    let mut found = BTreeMap::new();
    // The connection may break at any time.
    let _ = send(node, files, &StopToken::new(), &mut |index, outcome| {
        found.insert(index, outcome.clone());
    });
    found
}

/// How many files of the object the store has.
fn copies(folder: &std::path::Path, name: Name) -> usize {
    let start = format!("{}_", name.instance());
    let files = files_below(&folder.join("store/studies"));
    let is_copy = |p: &&PathBuf| p.file_name().unwrap().to_string_lossy().starts_with(&start);
    files.iter().filter(is_copy).count()
}

/// Tries every cut on an association that brings one object.
fn try_cuts(step: u64, ends: &[End]) {
    let dir = tempfile::tempdir().unwrap();
    // Few slots: one that is not given back would be missed soon.
    let slots = "idle_seconds = 1\nmax_associations = 2\n[[listener.allow]]\nae_title = \"SCU\"\n";
    let config = config(dir.path(), slots, "");
    let sent = dir.path().join("sent");
    std::fs::create_dir(&sent).unwrap();
    while_listening(&config, Probe::default(), |address, _: &Store| {
        let between = Between::new(address, None);
        let file = write_ct(&sent, Name(1, 1, 100_000));
        let whole = outcomes(&node(between.address), std::slice::from_ref(&file));
        assert_eq!(whole[&0], Outcome::Delivered);
        let totals = between.counted();
        assert!(totals[0] > 500 && totals[1] > 100, "{totals:?}");
        let all = cuts(totals, step, ends);
        for (cut, number) in all.iter().zip(1..) {
            let name = Name(1, 1, number);
            let file = [write_ct(&sent, name)];
            let between = Between::new(address, Some(*cut));
            let told = outcomes(&node(between.address), &file);
            let is_delivered = told.get(&0) == Some(&Outcome::Delivered);
            if is_delivered {
                assert_eq!(copies(dir.path(), name), 1, "{cut:?}: a lie");
            }
            assert!(
                !matches!(told.get(&0), Some(Outcome::Refused(_))),
                "{cut:?}: {told:?}"
            );
            // It is sent again, as soon as a slot is free.
            let again = (0..100).find_map(|_| {
                let told = outcomes(&node(address), &file);
                let is_there = told.get(&0) == Some(&Outcome::Delivered);
                std::thread::sleep(Duration::from_millis(if is_there { 0 } else { 50 }));
                is_there.then_some(())
            });
            assert!(again.is_some(), "{cut:?}: the listener does not take it");
            assert_eq!(copies(dir.path(), name), 1, "{cut:?}");
        }
        println!("{} cuts of {totals:?} bytes", all.len());
        std::thread::sleep(Duration::from_millis(1200));
        assert!(files_below(&dir.path().join("store/incoming")).is_empty());
        echo(&node(address)).unwrap();
    });
}

#[test]
fn associations_that_break_at_some_bytes_lose_and_double_nothing() {
    try_cuts(29, &[End::Close, End::Reset]);
}

#[test]
#[ignore = "takes minutes: every byte of an association"]
fn associations_that_break_at_any_byte_lose_and_double_nothing() {
    try_cuts(1, &[End::Close]);
    try_cuts(1, &[End::Reset]);
}

#[test]
fn associations_that_fall_silent_end_and_lose_nothing() {
    try_cuts(331, &[End::Silence]);
}

#[test]
fn a_delivery_by_stow_whose_connection_breaks_is_never_called_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let file = [write_ct(dir.path(), Name(1, 1, 1))];
    let url = serve(|_, _, _| ok(JSON, "{}"));
    let place = url.trim_start_matches("http://");
    let server = place.trim_end_matches("/dicom-web").parse().unwrap();
    let attempt = |cut: Option<Cut>| {
        let between = Between::new(server, cut);
        let node = Node::Dicomweb(WebNode {
            timeout_seconds: 1,
            ..WebNode::new(format!("http://{}/dicom-web", between.address))
        });
        let mut told = None;
        let _ = send_to(&node, &file, &StopToken::new(), &mut |_, outcome| {
            told = Some(outcome.clone());
        });
        (told, between.counted())
    };
    let (told, totals) = attempt(None);
    assert_eq!(told, Some(Outcome::Delivered));
    for (step, ends) in [(17, &[End::Close, End::Reset][..]), (211, &[End::Silence])] {
        for cut in cuts(totals, step, ends) {
            let (told, _) = attempt(Some(cut));
            // A node that was not reached, or whose answer was not heard to its end, is asked again.
            assert!(
                matches!(told, None | Some(Outcome::Failed(_))),
                "{cut:?}: {told:?}"
            );
        }
    }
}
