//! Small objects, stores with a clock that tests set, and analyses that cost nothing.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use multirnet_base::StopToken;
use multirnet_base::digest::sha256;
use multirnet_pacs::config::Config;
use multirnet_pacs::store::{
    IncomingObject, Received, ReceivedStudy, RunningJob, Store, StoreSettings,
};
use multirnet_pacs::{AnalysisError, Audit, Clock, Listener, ListenerOptions, Probe, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub const JPEG_LOSSLESS: &str = uids::JPEG_LOSSLESS_SV1;

/// A clock that stands until a test moves it.
#[derive(Default)]
pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_700_000_000_000)))
    }

    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Names an object: study, series, number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub u32, pub u32, pub u32);

impl Name {
    pub fn study(self) -> String {
        format!("1.2.3.{}", self.0)
    }

    pub fn series(self) -> String {
        format!("1.2.3.{}.{}", self.0, self.1)
    }

    pub fn instance(self) -> String {
        format!("1.2.3.{}.{}.{}", self.0, self.1, self.2)
    }
}

/// An object of the class `class`; `value` fills its pixels.
pub fn object(name: Name, class: &str, value: u16) -> InMemDicomObject {
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let pixels = PrimitiveValue::U16(vec![value; 64].into());
    InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, class),
        text(tags::SOP_INSTANCE_UID, VR::UI, &name.instance()),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::PATIENT_NAME, VR::PN, "Secret^Name"),
        text(tags::PATIENT_ID, VR::LO, "P1"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, &name.study()),
        text(tags::SERIES_INSTANCE_UID, VR::UI, &name.series()),
        number(tags::ROWS, 8),
        number(tags::COLUMNS, 8),
        number(tags::BITS_ALLOCATED, 16),
        DataElement::new(tags::PIXEL_DATA, VR::OW, pixels),
    ])
}

/// Writes an object into `folder`; compressed syntaxes get a made-up fragment.
pub fn write_object(folder: &Path, name: Name, class: &str, syntax: &str, value: u16) -> PathBuf {
    use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
    let mut object = object(name, class, value);
    let registry = dicom_transfer_syntax_registry::TransferSyntaxRegistry;
    if registry
        .get(syntax)
        .is_some_and(|ts| ts.is_encapsulated_pixel_data())
    {
        let fragments =
            dicom_core::value::PixelFragmentSequence::new_fragments(vec![vec![7_u8; 32]]);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
    }
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(name.instance())
        .transfer_syntax(syntax);
    let path = folder.join(format!("{}.dcm", name.instance()));
    object
        .with_meta(meta)
        .unwrap()
        .write_to_file(&path)
        .unwrap();
    path
}

pub fn write_ct(folder: &Path, name: Name) -> PathBuf {
    write_object(
        folder,
        name,
        uids::CT_IMAGE_STORAGE,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        1,
    )
}

/// The bytes of an object's data set.
pub fn data_set(name: Name, class: &str, value: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    object(name, class, value)
        .write_dataset_with_ts(&mut bytes, &syntax)
        .unwrap();
    bytes
}

/// Stores an object without a network.
pub fn receive(store: &Store, name: Name, class: &str, value: u16) -> Result<Received> {
    let mut incoming = store.receive(IncomingObject {
        sop_class_uid: class.to_owned(),
        sop_instance_uid: name.instance(),
        transfer_syntax: uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned(),
        ae_title: "TEST".to_owned(),
    })?;
    incoming.write(&data_set(name, class, value))?;
    incoming.finish()
}

pub fn receive_ct(store: &Store, name: Name) -> Result<Received> {
    receive(store, name, uids::CT_IMAGE_STORAGE, 1)
}

/// A configuration of the listener on a free port; `rest` adds tables.
pub fn config(folder: &Path, listener: &str, rest: &str) -> Config {
    let text = format!(
        "[listener]\nae_title = \"NODE\"\naddress = \"127.0.0.1:0\"\n{listener}\n\
         [store]\nfolder = \"store\"\nquiet_seconds = 30\n{rest}"
    );
    Config::parse(&text, folder).unwrap()
}

/// As [`config`], with an allow-list that admits the title `SCU`.
pub fn open_config(folder: &Path, rest: &str) -> Config {
    let listener = "idle_seconds = 10\n[[listener.allow]]\nae_title = \"SCU\"\n";
    config(folder, listener, rest)
}

/// Two destinations that are never reached.
pub const DESTINATIONS: &str = "[delivery]\nto = [\"a\", \"b\"]\nretry_seconds = 10\n\
    [[node]]\nname = \"a\"\nprotocol = \"dimse\"\nae_title = \"A\"\naddress = \"127.0.0.1:1\"\n\
    [[node]]\nname = \"b\"\nprotocol = \"dimse\"\nae_title = \"B\"\naddress = \"127.0.0.1:1\"\n";

pub fn open_store(config: &Config, clock: &Arc<TestClock>, probe: Probe) -> Result<Store> {
    let audit = Audit::new(None, clock.clone()).unwrap();
    Store::open(StoreSettings::new(config), clock.clone(), audit, probe)
}

pub fn store_with(folder: &Path, clock: &Arc<TestClock>, rest: &str) -> Store {
    open_store(&open_config(folder, rest), clock, Probe::default()).unwrap()
}

/// Two objects whose UIDs follow from the study and its objects.
pub fn analyse(
    study: &ReceivedStudy,
    out: &Path,
    _stop: &StopToken,
) -> std::result::Result<Vec<PathBuf>, AnalysisError> {
    assert!(study.objects.iter().all(|o| o.path.exists()));
    let list: Vec<_> = study
        .objects
        .iter()
        .map(|o| o.sop_instance_uid.as_str())
        .collect();
    let digest = sha256(list.join(" ").as_bytes());
    let seed = u32::from_str_radix(&digest[..6], 16)?;
    let study_number: u32 = study
        .job
        .study_uid
        .rsplit('.')
        .next()
        .unwrap_or("")
        .parse()?;
    let classes = [
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids::ENCAPSULATED_PDF_STORAGE,
    ];
    let write = |(i, class): (usize, &&str)| {
        let name = Name(study_number, 900 + i as u32, seed);
        write_object(out, name, class, uids::EXPLICIT_VR_LITTLE_ENDIAN, 2)
    };
    Ok(classes.iter().enumerate().map(write).collect())
}

/// Runs `work` while a listener with `config` answers, and gives what `work` gives.
pub fn while_listening<T>(
    config: &Config,
    probe: Probe,
    work: impl FnOnce(std::net::SocketAddr, &Store) -> T,
) -> T {
    let options = ListenerOptions {
        probe,
        ..ListenerOptions::default()
    };
    let listener = Listener::bind(config, options).unwrap();
    let (address, store) = (listener.address().unwrap(), listener.store().clone());
    let stop = StopToken::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| listener.run(&analyse, &stop));
        let guard = RaisedOnDrop(&stop);
        let result = work(address, &store);
        drop(guard);
        running.join().unwrap().unwrap();
        result
    })
}

/// Ends the listener also when a test fails; the test would hang otherwise.
struct RaisedOnDrop<'a>(&'a StopToken);

impl Drop for RaisedOnDrop<'_> {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// The job of a study whose quiet time passes.
pub fn next_job(store: &Store, clock: &TestClock) -> RunningJob {
    clock.pass(31);
    store.queue_ready().unwrap();
    store.next_job().unwrap().unwrap()
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
