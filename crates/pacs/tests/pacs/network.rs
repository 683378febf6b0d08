//! The listener and the client against each other.

use crate::support::*;
use dicom_dictionary_std::uids;
use multirnet_base::StopToken;
use multirnet_pacs::client::{echo, find_studies, send};
use multirnet_pacs::config::{Config, DimseNode};
use multirnet_pacs::store::Outcome;
use multirnet_pacs::{ErrorKind, Probe};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub fn node(address: SocketAddr) -> DimseNode {
    DimseNode {
        timeout_seconds: 10,
        ..DimseNode::new("NODE", address.to_string(), "SCU")
    }
}

/// What became of each file.
pub fn outcomes(node: &DimseNode, files: &[PathBuf]) -> Vec<Outcome> {
    let mut found = BTreeMap::new();
    send(node, files, &StopToken::new(), &mut |index, outcome| {
        found.insert(index, outcome.clone());
    })
    .unwrap();
    found.into_values().collect()
}

fn with_listener(listener: &str) -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), listener, "");
    (dir, config)
}

const SCU_ONLY: &str = "[[listener.allow]]\nae_title = \"SCU\"\naddresses = [\"127.0.0.0/8\"]\n";

#[test]
fn objects_come_in_as_they_are_in_every_transfer_syntax() {
    let (dir, config) = with_listener(SCU_ONLY);
    let sent = dir.path().join("sent");
    std::fs::create_dir(&sent).unwrap();
    let syntaxes = multirnet_pacs::sop::TRANSFER_SYNTAXES;
    let files: Vec<_> = syntaxes
        .iter()
        .zip(1..)
        .map(|(syntax, number)| {
            write_object(&sent, Name(1, 1, number), uids::CT_IMAGE_STORAGE, syntax, 3)
        })
        .collect();
    while_listening(&config, Probe::default(), |address, _| {
        echo(&node(address)).unwrap();
        let outcomes = outcomes(&node(address), &files);
        assert_eq!(outcomes, vec![Outcome::Delivered; syntaxes.len()]);
    });
    let stored = files_below(&dir.path().join("store/studies"));
    assert_eq!(stored.len(), files.len());
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let is_same = |p: &&PathBuf| {
            p.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(&format!("{name}_"))
        };
        let copy = stored.iter().find(is_same).unwrap();
        let read = |path: &Path| {
            let identity = multirnet_dicom::FileIdentity::read(path).unwrap();
            let bytes = std::fs::read(path).unwrap()[identity.data_set_start as usize..].to_vec();
            (identity.object, identity.transfer_syntax, bytes)
        };
        assert_eq!(read(copy), read(file));
    }
}

#[test]
fn strangers_are_sent_away_with_a_reason() {
    let (_dir, config) = with_listener(SCU_ONLY);
    while_listening(&config, Probe::default(), |address, _| {
        for (called, calling, told) in [
            ("NODE", "OTHER", "calling AE title"),
            ("EDON", "SCU", "called AE title"),
        ] {
            let error = echo(&DimseNode::new(called, address.to_string(), calling)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains(told), "{error}");
        }
    });
    let (_dir, config) = with_listener("[[listener.allow]]\naddresses = [\"10.0.0.0/8\"]\n");
    while_listening(&config, Probe::default(), |address, _| {
        let error = echo(&node(address)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    });
}

#[test]
fn what_is_refused_is_refused_alone() {
    let (dir, config) = with_listener(&format!("other_objects = \"refuse\"\n{SCU_ONLY}"));
    let ct = uids::CT_IMAGE_STORAGE;
    let files = [
        write_ct(dir.path(), Name(1, 1, 1)),
        write_object(dir.path(), Name(1, 1, 2), ct, uids::JPEGXL_LOSSLESS, 1),
        write_object(
            dir.path(),
            Name(1, 1, 3),
            uids::MR_IMAGE_STORAGE,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            1,
        ),
        dir.path().join("missing.dcm"),
        write_ct(dir.path(), Name(1, 1, 4)),
    ];
    while_listening(&config, Probe::default(), |address, _| {
        let outcomes = outcomes(&node(address), &files);
        assert_eq!(outcomes[0], Outcome::Delivered);
        assert_eq!(outcomes[4], Outcome::Delivered);
        for (index, told) in [(1, "JPEG XL"), (2, "MR Image"), (3, "check the path")] {
            let Outcome::Refused(reason) = &outcomes[index] else {
                panic!("{:?}", outcomes[index]);
            };
            assert!(reason.contains(told), "{reason}");
        }
        // A node that accepts nothing at all refuses each file, too.
        let alone = crate::network::outcomes(&node(address), &files[1..3]);
        assert!(alone.iter().all(|o| matches!(o, Outcome::Refused(_))));
    });
}

#[test]
fn queries_are_answered_with_no() {
    let (_dir, config) = with_listener(SCU_ONLY);
    while_listening(&config, Probe::default(), |address, _| {
        let error = find_studies(&node(address), &Default::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
    });
}

#[test]
fn a_full_disk_refuses_one_object_and_not_the_next() {
    let (dir, config) = with_listener(SCU_ONLY);
    let files = [1, 2, 3].map(|n| write_ct(dir.path(), Name(1, 1, n)));
    let objects = std::sync::atomic::AtomicUsize::new(0);
    let probe = Probe::new(move |step| {
        use std::sync::atomic::Ordering::SeqCst;
        let is_second =
            step == multirnet_pacs::Step::KeepObject && objects.fetch_add(1, SeqCst) == 1;
        if is_second {
            Err(std::io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    });
    while_listening(&config, probe, |address, _| {
        let outcomes = outcomes(&node(address), &files);
        assert_eq!([&outcomes[0], &outcomes[2]], [&Outcome::Delivered; 2]);
        let Outcome::Failed(reason) = &outcomes[1] else {
            panic!("{:?}", outcomes[1])
        };
        assert!(reason.contains("A700"), "{reason}");
    });
    assert_eq!(files_below(&dir.path().join("store/studies")).len(), 2);
    assert!(files_below(&dir.path().join("store/incoming")).is_empty());
}

#[test]
fn objects_that_are_too_large_are_refused_alone() {
    let (dir, config) = with_listener(&format!("max_object_mib = 1\n{SCU_ONLY}"));
    let large = dir.path().join("large.dcm");
    let mut bytes = std::fs::read(write_ct(dir.path(), Name(1, 1, 1))).unwrap();
    // A private element behind the pixels makes it longer.
    bytes.extend([0xE1, 0x7F, 0x01, 0x10, b'O', b'B', 0, 0, 0, 0, 0x20, 0]);
    bytes.resize(bytes.len() + 0x20_0000, 0);
    std::fs::write(&large, bytes).unwrap();
    let files = [large, write_ct(dir.path(), Name(1, 1, 2))];
    while_listening(&config, Probe::default(), |address, _| {
        let outcomes = outcomes(&node(address), &files);
        let Outcome::Failed(reason) = &outcomes[0] else {
            panic!("{:?}", outcomes[0])
        };
        assert!(reason.contains("more than 1 MiB"), "{reason}");
        assert_eq!(outcomes[1], Outcome::Delivered);
    });
}

/// Opens an association by hand and sends the first half of an object.
fn half_an_object(address: SocketAddr) -> TcpStream {
    use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
    let association = dicom_ul::ClientAssociationOptions::new()
        .calling_ae_title("SCU")
        .called_ae_title("NODE")
        .with_abstract_syntax(uids::CT_IMAGE_STORAGE)
        .establish(address);
    let mut association = association.unwrap();
    let command = multirnet_pacs::dimse::Command::StoreRequest {
        message_id: 1,
        sop_class: uids::CT_IMAGE_STORAGE.to_owned(),
        sop_instance: "1.2.3".to_owned(),
    };
    let value = |value_type, data, is_last| PDataValue {
        presentation_context_id: 1,
        value_type,
        is_last,
        data,
    };
    let data = vec![
        value(PDataValueType::Command, command.encode().unwrap(), true),
        value(PDataValueType::Data, vec![8, 0, 5, 0], false),
    ];
    association.send(&Pdu::PData { data }).unwrap();
    let stream = association.inner_stream().try_clone().unwrap();
    std::mem::forget(association);
    stream
}

#[test]
fn half_associations_end_and_leave_nothing() {
    let (dir, config) = with_listener(&format!(
        "idle_seconds = 1\nmax_associations = 2\n{SCU_ONLY}"
    ));
    while_listening(&config, Probe::default(), |address, _| {
        let begin = Instant::now();
        let mut silent = TcpStream::connect(address).unwrap();
        let mut half = half_an_object(address);
        // Both slots are taken; the next peer is asked to come again.
        let error = echo(&node(address)).unwrap_err();
        assert!(error.to_string().contains("limit"), "{error}");
        for stream in [&mut silent, &mut half] {
            stream
                .set_read_timeout(Some(Duration::from_secs(8)))
                .unwrap();
            let mut rest = Vec::new();
            // The end may come as a reset; only that it comes matters.
            let _ = stream.read_to_end(&mut rest);
        }
        assert!(begin.elapsed() < Duration::from_secs(8));
        let is_free = (0..50).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            echo(&node(address)).is_ok()
        });
        assert!(is_free, "the slots are free again");
    });
    assert!(files_below(&dir.path().join("store/incoming")).is_empty());
    assert!(files_below(&dir.path().join("store/studies")).is_empty());
}

#[test]
fn bytes_that_are_not_dicom_harm_nobody() {
    let (_dir, config) = with_listener(SCU_ONLY);
    while_listening(&config, Probe::default(), |address, _| {
        let noises: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\n\r\n",
            &[1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1],
            &[4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 3],
            &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3],
            &[1, 0, 0, 0, 0, 4, 0, 1, 0, 0],
        ];
        for noise in noises {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(noise).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
        echo(&node(address)).unwrap();
    });
}
