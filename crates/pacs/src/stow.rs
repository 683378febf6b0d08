//! The server's side of STOW-RS (DICOM PS3.18, 10.5): objects in a body of the type
//! `multipart/related`, each stored or refused alone.

use crate::dimse::status;
use crate::multipart::{Parts, boundary};
use crate::store::{IncomingObject, Received, Store};
use crate::{Error, ErrorKind, Result};
use multirnet_base::PartialFile;
use multirnet_dicom::FileIdentity;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Most objects of one request.
const MOST_OBJECTS: usize = 100_000;
const BUFFER: usize = 1 << 17;

/// An object of a request, and what became of it.
#[derive(Debug)]
pub struct StowedObject {
    /// SOP Class UID; empty if the object could not be read so far.
    pub sop_class_uid: String,
    /// SOP Instance UID; likewise.
    pub sop_instance_uid: String,
    /// Whether it is on the disk, or why not.
    pub result: Result<Received>,
}

/// Reads `body`, whose type is `content_type`, and stores its objects. Objects of a study other than
/// `study_uid`, if one is given, are refused.
///
/// # Errors
/// `Protocol` if the body is not `multipart/related`, breaks off, or holds no object. The objects
/// before the break are stored; a second sending finds them known.
pub fn receive_stow(
    store: &Store,
    content_type: &str,
    body: impl Read,
    study_uid: Option<&str>,
    sender: &str,
) -> Result<Vec<StowedObject>> {
    let boundary = boundary(content_type).ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "the body is not multipart/related")
            .hint("send objects as parts of the type application/dicom")
    })?;
    let mut parts = Parts::new(body, &boundary);
    let broken =
        |e: io::Error| Error::new(ErrorKind::Protocol, format!("cannot read the body: {e}"));
    let mut objects = Vec::new();
    while parts.next_part().map_err(broken)? {
        if objects.len() == MOST_OBJECTS {
            let reason = format!("the body has more than {MOST_OBJECTS} objects");
            return Err(Error::new(ErrorKind::Protocol, reason));
        }
        let mut arriving = Arriving::begin(store);
        parts
            .copy_part(&mut |bytes| {
                arriving.write(bytes);
                Ok(())
            })
            .map_err(broken)?;
        objects.push(arriving.finish(store, study_uid, sender));
    }
    match objects.is_empty() {
        true => Err(Error::new(ErrorKind::Protocol, "the body holds no object")),
        false => Ok(objects),
    }
}

/// An object whose part is being read. Once it is refused, the rest of it is discarded.
struct Arriving {
    file: Result<PartialFile>,
    bytes: u64,
    limit: u64,
}

impl Arriving {
    fn begin(store: &Store) -> Self {
        Self {
            file: PartialFile::create(&store.incoming_folder()).map_err(Error::from),
            bytes: 0,
            limit: store.max_object_bytes(),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let Ok(file) = &mut self.file else { return };
        if self.bytes > self.limit {
            let reason = format!("the object has more than {} MiB", self.limit >> 20);
            self.file = Err(Error::new(ErrorKind::Write, reason));
        } else if let Err(e) = file.write_all(bytes) {
            self.file = Err(Error::write(file.path(), "write the file", e));
        }
    }

    fn finish(self, store: &Store, study_uid: Option<&str>, sender: &str) -> StowedObject {
        let mut object = StowedObject {
            sop_class_uid: String::new(),
            sop_instance_uid: String::new(),
            result: Ok(Received::Known),
        };
        object.result = self.keep(store, study_uid, sender, &mut object);
        object
    }

    fn keep(
        self,
        store: &Store,
        study_uid: Option<&str>,
        sender: &str,
        object: &mut StowedObject,
    ) -> Result<Received> {
        let mut file = self.file?;
        file.flush()
            .map_err(|e| Error::write(file.path(), "write the file", e))?;
        let identity = FileIdentity::read(file.path())?;
        object
            .sop_class_uid
            .clone_from(&identity.object.sop_class_uid);
        object
            .sop_instance_uid
            .clone_from(&identity.object.sop_instance_uid);
        if study_uid.is_some_and(|uid| uid != identity.object.study_uid) {
            return Err(Error::new(
                ErrorKind::Refused,
                "the object is one of another study",
            ));
        }
        let mut incoming = store.receive(IncomingObject {
            sop_class_uid: identity.object.sop_class_uid,
            sop_instance_uid: identity.object.sop_instance_uid,
            transfer_syntax: identity.transfer_syntax,
            ae_title: sender.to_owned(),
        })?;
        let read = |e| Error::io(file.path(), "read the file", e);
        let mut data = File::open(file.path()).map_err(read)?;
        data.seek(SeekFrom::Start(identity.data_set_start))
            .map_err(read)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match data.read(&mut buffer).map_err(read)? {
                0 => return incoming.finish(),
                n => incoming.write(&buffer[..n])?,
            }
        }
    }
}

/// The HTTP status and the DICOM JSON document that answer a request.
#[must_use]
pub fn stow_answer(objects: &[StowedObject]) -> (u16, Value) {
    let text = |vr: &str, value: &str| json!({ "vr": vr, "Value": [value] });
    let item = |object: &StowedObject| {
        json!({
            "00081150": text("UI", &object.sop_class_uid),
            "00081155": text("UI", &object.sop_instance_uid),
        })
    };
    let stored: Vec<Value> = objects
        .iter()
        .filter(|o| o.result.is_ok())
        .map(item)
        .collect();
    let failed: Vec<Value> = objects
        .iter()
        .filter_map(|o| o.result.as_ref().err().map(|e| (o, e)))
        .map(|(object, error)| {
            let mut item = item(object);
            item["00081197"] = json!({ "vr": "US", "Value": [failure_reason(error)] });
            item
        })
        .collect();
    let code = match (stored.is_empty(), failed.is_empty()) {
        (_, true) => 200,
        (false, false) => 202,
        (true, false) => 409,
    };
    let mut answer = serde_json::Map::new();
    for (tag, items) in [("00081199", stored), ("00081198", failed)] {
        if !items.is_empty() {
            answer.insert(tag.to_owned(), json!({ "vr": "SQ", "Value": items }));
        }
    }
    (code, Value::Object(answer))
}

/// The value of Failure Reason (0008,1197).
fn failure_reason(error: &Error) -> u16 {
    match error.kind() {
        ErrorKind::Write | ErrorKind::Read => status::OUT_OF_RESOURCES,
        ErrorKind::Refused => status::DATA_SET_MISMATCH,
        _ => status::CANNOT_UNDERSTAND,
    }
}
