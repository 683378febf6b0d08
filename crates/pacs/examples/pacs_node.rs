//! A node for tests with real peers: `.ci/peers/pacs.sh` runs it. Its analysis makes one secondary
//! capture of each study, so that the way of the objects is what is tested.
//!
//! ```text
//! pacs_node listen CONFIG [SECONDS]        an analysis takes SECONDS
//! pacs_node make FOLDER STUDY COUNT        COUNT made-up CT slices of the study 1.2.826.0.1.STUDY
//! pacs_node echo CONFIG NODE
//! pacs_node send CONFIG NODE FILE…
//! pacs_node find CONFIG NODE               one line a study: UID, series, instances, modalities
//! pacs_node move CONFIG NODE STUDY TITLE   C-MOVE of a study to TITLE
//! pacs_node fetch CONFIG NODE STUDY FOLDER WADO-RS
//! pacs_node doctor CONFIG
//! ```

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use multirnet_base::StopToken;
use multirnet_pacs::client::{self, StudyQuery, WebClient};
use multirnet_pacs::config::{Config, DimseNode, Node};
use multirnet_pacs::store::{Outcome, ReceivedStudy};
use multirnet_pacs::{AnalysisError, Listener, ListenerOptions, doctor};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["listen", config] => listen(config, 0.0),
        ["listen", config, seconds] => listen(config, seconds.parse()?),
        ["make", folder, study, count] => make(Path::new(folder), study, count.parse()?),
        ["echo", config, node] => {
            client::echo(dimse(&Config::read(Path::new(config))?, node)?)?;
            println!("{node} answers");
            Ok(())
        }
        ["send", config, node, ref files @ ..] => send(config, node, files),
        ["find", config, node] => find(config, node),
        ["move", config, node, study, title] => {
            let config = Config::read(Path::new(config))?;
            let begin = Instant::now();
            let node = dimse(&config, node)?;
            let counts =
                client::retrieve(node, study, None, title, &StopToken::new(), &mut |_| {})?;
            println!(
                "moved {} in {:.2} s",
                counts.completed,
                begin.elapsed().as_secs_f64()
            );
            Ok(())
        }
        ["fetch", config, node, study, folder] => fetch(config, node, study, Path::new(folder)),
        ["doctor", config] => {
            for check in doctor::examine_file(Path::new(config)) {
                println!("{check}");
            }
            Ok(())
        }
        _ => Err("see the first lines of crates/pacs/examples/pacs_node.rs".into()),
    }
}

fn dimse<'a>(config: &'a Config, name: &str) -> Result<&'a DimseNode> {
    match config.node(name)? {
        Node::Dimse(node) => Ok(node),
        Node::Dicomweb(_) => Err("this is a DICOMweb node".into()),
    }
}

fn listen(config: &str, seconds: f64) -> Result<()> {
    let config = Config::read(Path::new(config))?;
    let listener = Listener::bind(&config, ListenerOptions::default())?;
    let plan = listener.memory_plan_bytes() >> 20;
    println!(
        "listening on {}, at most {plan} MiB for receiving",
        listener.address()
    );
    let analyse = |study: &ReceivedStudy, out: &Path, stop: &StopToken| {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < end && !stop.is_raised() {
            std::thread::sleep(Duration::from_millis(10));
        }
        capture(study, out)
    };
    Ok(listener.run(&analyse, &StopToken::new())?)
}

/// A secondary capture whose UIDs follow from the study and its objects.
fn capture(study: &ReceivedStudy, out: &Path) -> std::result::Result<Vec<PathBuf>, AnalysisError> {
    let first = study
        .objects
        .iter()
        .find(|o| o.sop_class_uid == uids::CT_IMAGE_STORAGE);
    let first = first.ok_or("the study has no CT")?;
    let source = dicom_object::OpenFileOptions::new()
        .read_until(tags::PIXEL_DATA)
        .open_file(&first.path)?;
    let list: Vec<_> = study
        .objects
        .iter()
        .map(|o| o.sop_instance_uid.as_str())
        .collect();
    let digest = multirnet_base::digest::sha256(list.join(" ").as_bytes());
    let seed = u64::from_str_radix(&digest[..15], 16)?;
    let copied = [
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::STUDY_DATE,
        tags::STUDY_TIME,
    ];
    let mut object = InMemDicomObject::new_empty();
    for tag in copied {
        if let Some(element) = source.get(tag) {
            object.put(element.clone());
        }
    }
    let instance = format!("2.25.{seed}1");
    image(&mut object, uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "OT", 64);
    text(
        &mut object,
        tags::STUDY_INSTANCE_UID,
        VR::UI,
        &study.job.study_uid,
    );
    text(
        &mut object,
        tags::SERIES_INSTANCE_UID,
        VR::UI,
        &format!("2.25.{seed}0"),
    );
    text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &instance);
    text(&mut object, tags::SERIES_NUMBER, VR::IS, "920");
    let path = out.join("capture.dcm");
    write(object, &path)?;
    Ok(vec![path])
}

fn text(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// The attributes of a square image with a pattern.
fn image(object: &mut InMemDicomObject, class: &str, modality: &str, size: u16) {
    text(object, tags::SOP_CLASS_UID, VR::UI, class);
    text(object, tags::MODALITY, VR::CS, modality);
    text(
        object,
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        "MONOCHROME2",
    );
    let numbers = [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, size),
        (tags::COLUMNS, size),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 0),
    ];
    for (tag, value) in numbers {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let mut noise = 1_u32;
    let pixel = |_| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1000 + (noise >> 26) as u16
    };
    let pixels: Vec<u16> = (0..u32::from(size) * u32::from(size)).map(pixel).collect();
    let value = PrimitiveValue::U16(pixels.into());
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, value));
}

fn write(object: InMemDicomObject, path: &Path) -> Result<()> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    Ok(object.with_meta(meta)?.write_to_file(path)?)
}

fn make(folder: &Path, study: &str, count: usize) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let study = format!("1.2.826.0.1.{study}");
    for number in 1..=count {
        let mut object = InMemDicomObject::new_empty();
        image(&mut object, uids::CT_IMAGE_STORAGE, "CT", 256);
        text(&mut object, tags::PATIENT_NAME, VR::PN, "Made^Up");
        text(&mut object, tags::PATIENT_ID, VR::LO, "MADEUP");
        text(&mut object, tags::STUDY_DATE, VR::DA, "20200101");
        text(&mut object, tags::STUDY_INSTANCE_UID, VR::UI, &study);
        text(
            &mut object,
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            &format!("{study}.1"),
        );
        text(
            &mut object,
            tags::SOP_INSTANCE_UID,
            VR::UI,
            &format!("{study}.1.{number}"),
        );
        text(
            &mut object,
            tags::INSTANCE_NUMBER,
            VR::IS,
            &number.to_string(),
        );
        write(object, &folder.join(format!("{number:04}.dcm")))?;
    }
    Ok(())
}

fn send(config: &str, node: &str, files: &[&str]) -> Result<()> {
    let config = Config::read(Path::new(config))?;
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    let begin = Instant::now();
    let node = config.node(node)?;
    let report = client::send_to(node, &files, &StopToken::new(), &mut |index, outcome| {
        if *outcome != Outcome::Delivered {
            println!("{}: {outcome:?}", files[index].display());
        }
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "sent {} of {} in {seconds:.2} s ({:.0}/s)",
        report.delivered,
        files.len(),
        report.delivered as f64 / seconds
    );
    Ok(())
}

fn find(config: &str, node: &str) -> Result<()> {
    let config = Config::read(Path::new(config))?;
    for study in client::search(config.node(node)?, &StudyQuery::default())? {
        println!(
            "{} {} {} {}",
            study.study_uid,
            study.series.unwrap_or(0),
            study.instances.unwrap_or(0),
            study.modalities
        );
    }
    Ok(())
}

fn fetch(config: &str, node: &str, study: &str, folder: &Path) -> Result<()> {
    let config = Config::read(Path::new(config))?;
    let Node::Dicomweb(node) = config.node(node)? else {
        return Err("this is not a DICOMweb node".into());
    };
    let begin = Instant::now();
    let fetched =
        WebClient::new(node)?.fetch(study, None, folder, &StopToken::new(), &mut |_| {})?;
    println!(
        "fetched {} in {:.2} s",
        fetched.len(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}
