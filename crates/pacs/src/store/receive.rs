//! Receiving objects: to the disk first, then acknowledged.

use super::{Store, StoredObject, Study};
use crate::error::with_causes;
use crate::{Error, ErrorKind, Event, Result, Step, sop};
use dicom_object::FileMetaTableBuilder;
use multirnet_base::digest::Hasher;
use multirnet_base::{PartialFile, files};
use multirnet_dicom::{FileIdentity, is_uid};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Hexadecimal digits of a digest in a file's name.
const DIGEST_DIGITS: usize = 32;

/// What is known of an object before its data set arrives.
#[derive(Debug, Clone)]
pub struct IncomingObject {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Transfer Syntax UID.
    pub transfer_syntax: String,
    /// Who sends it.
    pub ae_title: String,
}

/// What became of an object that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is new, or replaced another version.
    Stored,
    /// It was there already, or is a result of this program.
    Known,
}

/// An object that is being received. Dropped, it leaves nothing.
pub struct Incoming {
    store: Store,
    object: IncomingObject,
    file: PartialFile,
    hasher: Hasher,
    bytes: u64,
}

impl Store {
    /// Begins to receive an object.
    ///
    /// # Errors
    /// `Write` if the disk refuses, `Protocol` for identifiers that are not UIDs.
    pub fn receive(&self, object: IncomingObject) -> Result<Incoming> {
        for uid in [&object.sop_class_uid, &object.sop_instance_uid] {
            if !is_uid(uid) {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    "an identifier is not a valid UID",
                ));
            }
        }
        let folder = self.incoming_folder();
        self.ask(Step::ReceiveObject, &folder)?;
        let mut file = PartialFile::create(&folder)?;
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(&object.sop_class_uid)
            .media_storage_sop_instance_uid(&object.sop_instance_uid)
            .transfer_syntax(&object.transfer_syntax)
            .source_application_entity_title(&object.ae_title)
            .build()
            .map_err(|e| Error::new(ErrorKind::Protocol, with_causes(&e)))?;
        let mut head = vec![0; 128];
        head.extend(b"DICM");
        meta.write(&mut head)
            .map_err(|e| Error::new(ErrorKind::Protocol, with_causes(&e)))?;
        file.write_all(&head)
            .map_err(|e| Error::write(&folder, "write a file in it", e))?;
        let mut hasher = Hasher::new();
        hasher.update(object.transfer_syntax.as_bytes());
        Ok(Incoming {
            store: self.clone(),
            object,
            file,
            hasher,
            bytes: head.len() as u64,
        })
    }
}

impl Incoming {
    /// Adds bytes of the data set.
    ///
    /// # Errors
    /// `Write` if the disk refuses or the object is too large.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let limit = self.store.0.settings.max_object_bytes;
        if self.bytes + bytes.len() as u64 > limit {
            let reason = format!("the object has more than {} MiB", limit >> 20);
            return Err(Error::new(ErrorKind::Write, reason));
        }
        self.hasher.update(bytes);
        let folder = self.store.incoming_folder();
        self.file
            .write_all(bytes)
            .map_err(|e| Error::write(&folder, "write a file in it", e))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Waits until the object is on the disk and gives it its place. Only then may it be acknowledged.
    ///
    /// # Errors
    /// `Write` if the disk refuses, `Protocol` if the data set lacks identifiers, `Refused` if they
    /// are not those that were announced.
    pub fn finish(mut self) -> Result<Received> {
        let store = self.store.clone();
        store.ask(Step::KeepObject, self.file.path())?;
        let folder = store.incoming_folder();
        self.file
            .flush()
            .map_err(|e| Error::write(&folder, "write a file in it", e))?;
        let identity = FileIdentity::read(self.file.path())
            .map_err(Error::from)?
            .object;
        if identity.sop_instance_uid != self.object.sop_instance_uid
            || identity.sop_class_uid != self.object.sop_class_uid
        {
            return Err(Error::new(
                ErrorKind::Refused,
                "the object's SOP class or instance is not the one that was announced",
            ));
        }
        let digest = self.hasher.finish();
        let object = StoredObject {
            digest: digest[..DIGEST_DIGITS].to_owned(),
            series_uid: identity.series_uid,
            sop_class_uid: Some(identity.sop_class_uid),
            bytes: self.bytes,
            received_ms: store.wall_ms(),
        };
        let (study_uid, uid) = (identity.study_uid, identity.sop_instance_uid);
        let received = store.keep(self.file, &study_uid, &uid, object)?;
        store.ask(Step::AcknowledgeObject, &store.study_folder(&study_uid))?;
        let (ae_title, study, object) = (self.object.ae_title, study_uid, uid);
        store.tell(&match received {
            Received::Stored => Event::ObjectStored {
                ae_title,
                study,
                object,
            },
            Received::Known => Event::ObjectKnown {
                ae_title,
                study,
                object,
            },
        });
        Ok(received)
    }
}

impl Store {
    /// Gives an object its place, unless it is known.
    fn keep(
        &self,
        file: PartialFile,
        study_uid: &str,
        uid: &str,
        object: StoredObject,
    ) -> Result<Received> {
        {
            let mut state = self.state();
            let study = state.studies.entry(study_uid.to_owned()).or_default();
            study.last_object_ms = self.now_ms();
            if study.knows(uid, &object) {
                return Ok(Received::Known);
            }
            // Until it is in the index, neither a job nor the retention rule may see the study.
            study.arriving += 1;
        }
        // Other associations go on while this one waits for the disk.
        let path = self.object_path(study_uid, uid, &object);
        let kept = files::make_dir_synced(files::parent(&path))
            .and_then(|()| file.keep_synced(&path))
            .map_err(Error::from);
        let mut state = self.state();
        let Some(study) = state.studies.get_mut(study_uid) else {
            return kept.map(|()| Received::Stored);
        };
        study.arriving -= 1;
        kept?;
        self.index(study_uid, study, uid, object)
    }

    /// Notes an object that is on the disk, and removes the version that it replaces.
    fn index(
        &self,
        study_uid: &str,
        study: &mut Study,
        uid: &str,
        object: StoredObject,
    ) -> Result<Received> {
        study.last_object_ms = self.now_ms();
        // Another association may have brought the same object meanwhile.
        if study.knows(uid, &object) {
            return Ok(Received::Known);
        }
        let is_new = self.last_inputs(study_uid, study)?.get(uid) != Some(&object.digest);
        study.is_changed |= is_new && object.sop_class_uid.as_deref().is_some_and(sop::is_ct);
        if let Some(old) = study.objects.insert(uid.to_owned(), object) {
            let stale = self.object_path(study_uid, uid, &old);
            std::fs::remove_file(&stale).map_err(|e| Error::write(&stale, "remove the file", e))?;
        }
        Ok(Received::Stored)
    }
}

impl Study {
    /// Whether the same object is on the disk, or it is a result of this program, which an archive may
    /// send back.
    fn knows(&self, uid: &str, object: &StoredObject) -> bool {
        let is_same =
            |old: &StoredObject| old.digest == object.digest && old.series_uid == object.series_uid;
        self.results.contains(uid) || self.objects.get(uid).is_some_and(is_same)
    }
}

/// Whether the file `path` holds what the digest in its name says. After a loss of power it may not;
/// its object was not acknowledged then.
pub(super) fn is_whole(path: &Path, digest: &str) -> bool {
    let read = || {
        let identity = FileIdentity::read(path)?;
        let mut file = File::open(path).map_err(|e| Error::io(path, "read the file", e))?;
        let io = |e| Error::io(path, "read the file", e);
        file.seek(SeekFrom::Start(identity.data_set_start))
            .map_err(io)?;
        let mut hasher = Hasher::new();
        hasher.update(identity.transfer_syntax.as_bytes());
        let mut buffer = vec![0; 1 << 17];
        loop {
            match file.read(&mut buffer).map_err(io)? {
                0 => return Ok::<_, Error>(hasher.finish()),
                n => hasher.update(&buffer[..n]),
            }
        }
    };
    read().is_ok_and(|found| found.starts_with(digest))
}
