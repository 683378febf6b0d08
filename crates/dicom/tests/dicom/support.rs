//! A small DICOM writer, independent of the reader's parser.

use multirnet_dicom::{Error, ReadOptions, Scan};
use std::path::Path;

pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const SIDE: usize = 4;

/// Writes elements in explicit VR little endian.
#[derive(Default, Clone)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn raw(&mut self, tag: (u16, u16), vr: &str, value: &[u8]) -> &mut Self {
        self.0.extend(tag.0.to_le_bytes());
        self.0.extend(tag.1.to_le_bytes());
        self.0.extend(vr.as_bytes());
        let padded = value.len() + value.len() % 2;
        if matches!(vr, "OB" | "OW" | "SQ" | "UN") {
            self.0.extend([0, 0]);
            self.0.extend((padded as u32).to_le_bytes());
        } else {
            self.0.extend((padded as u16).to_le_bytes());
        }
        self.0.extend(value);
        if value.len() % 2 == 1 {
            self.0.push(if vr == "UI" { 0 } else { b' ' });
        }
        self
    }

    pub fn text(&mut self, tag: (u16, u16), vr: &str, value: &str) -> &mut Self {
        self.raw(tag, vr, value.as_bytes())
    }

    pub fn word(&mut self, tag: (u16, u16), value: u16) -> &mut Self {
        self.raw(tag, "US", &value.to_le_bytes())
    }

    /// A sequence of items of defined length.
    pub fn sequence(&mut self, tag: (u16, u16), items: &[Writer]) -> &mut Self {
        let mut value = Vec::new();
        for item in items {
            value.extend([0xFE, 0xFF, 0x00, 0xE0]);
            value.extend((item.0.len() as u32).to_le_bytes());
            value.extend(&item.0);
        }
        self.raw(tag, "SQ", &value)
    }

    /// Pixel data of one fragment, of undefined length.
    pub fn encapsulated(&mut self, fragment: &[u8]) -> &mut Self {
        self.0.extend([0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0]);
        self.0.extend([0xFF; 4]);
        for item in [&[][..], fragment] {
            self.0.extend([0xFE, 0xFF, 0x00, 0xE0]);
            self.0.extend((item.len() as u32).to_le_bytes());
            self.0.extend(item);
        }
        self.0.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        self
    }
}

pub fn numbers(values: &[f64]) -> String {
    values
        .iter()
        .map(f64::to_string)
        .collect::<Vec<_>>()
        .join("\\")
}

/// One CT slice. Tests vary its fields.
#[derive(Clone)]
pub struct Slice {
    pub syntax: &'static str,
    pub sop_class: &'static str,
    pub series: &'static str,
    pub study: &'static str,
    pub patient: &'static str,
    pub frame_of_reference: &'static str,
    pub instance_uid: String,
    pub series_number: u16,
    pub instance: u16,
    pub acquisition: u16,
    pub modality: &'static str,
    pub image_type: &'static str,
    pub position: Option<[f64; 3]>,
    pub orientation: [f64; 6],
    pub spacing: Option<[f64; 2]>,
    pub rows: usize,
    pub columns: usize,
    pub samples: u16,
    pub frames: Option<u16>,
    pub signed: bool,
    pub stored: u16,
    pub rescale: Option<[f64; 2]>,
    pub padding: Option<i16>,
    /// Stored values. If empty, all values are the instance number.
    pub values: Vec<i16>,
    /// Compressed pixel data instead of values.
    pub fragment: Option<Vec<u8>>,
    /// Further elements, whose groups come before the pixel data.
    pub more: Writer,
}

/// Slice `k` of a plain axial series: 4 × 4 pixels of 0.8 × 0.6 mm, 2 mm apart; all values `k`.
pub fn slice(k: usize) -> Slice {
    Slice {
        syntax: EXPLICIT,
        sop_class: "1.2.840.10008.5.1.4.1.1.2",
        series: "1.2.3",
        study: "1.2",
        patient: "PATIENT^NAME",
        frame_of_reference: "1.2.4",
        instance_uid: format!("1.2.3.{k}"),
        series_number: 1,
        instance: k as u16,
        acquisition: 1,
        modality: "CT",
        image_type: "ORIGINAL\\PRIMARY\\AXIAL",
        position: Some([-10.0, -20.0, -100.0 + 2.0 * k as f64]),
        orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        spacing: Some([0.8, 0.6]),
        rows: SIDE,
        columns: SIDE,
        samples: 1,
        frames: None,
        signed: true,
        stored: 16,
        rescale: Some([1.0, 0.0]),
        padding: None,
        values: Vec::new(),
        fragment: None,
        more: Writer::default(),
    }
}

pub fn series(n: usize) -> Vec<Slice> {
    (0..n).map(slice).collect()
}

/// One enhanced multi-frame file of three frames of 4 × 4 pixels of 0.8 × 0.6 mm, 3 mm apart. They are
/// stored out of order: the frames 2, 3 and 1 lie from bottom to top.
pub fn enhanced() -> Slice {
    let group = |tag, inner: &Writer| {
        let mut w = Writer::default();
        w.sequence(tag, std::slice::from_ref(inner));
        w
    };
    let element = |tag, value: &[f64]| {
        let mut w = Writer::default();
        w.text(tag, "DS", &numbers(value));
        w
    };
    let mut s = slice(0);
    s.sop_class = "1.2.840.10008.5.1.4.1.1.2.1";
    s.position = None;
    s.spacing = None;
    s.rescale = None;
    s.frames = Some(3);
    let order = [2.0, 0.0, 1.0];
    // By itself `dataset` fills only one frame. The values given here are three frames.
    s.values = order.iter().flat_map(|&v| [v as i16 * 10; 16]).collect();
    let mut shared = group((0x0020, 0x9116), &element((0x0020, 0x0037), &s.orientation));
    shared
        .0
        .extend(group((0x0028, 0x9110), &element((0x0028, 0x0030), &[0.8, 0.6])).0);
    let frames: Vec<Writer> = order
        .iter()
        .map(|&v| {
            let position = element((0x0020, 0x0032), &[0.0, 0.0, 3.0 * v]);
            let mut rescale = element((0x0028, 0x1052), &[v]);
            rescale.0.extend(element((0x0028, 0x1053), &[2.0]).0);
            let mut w = group((0x0020, 0x9113), &position);
            w.0.extend(group((0x0028, 0x9145), &rescale).0);
            w
        })
        .collect();
    s.more
        .sequence((0x5200, 0x9229), &[shared])
        .sequence((0x5200, 0x9230), &frames);
    s
}

impl Slice {
    /// The data set alone.
    pub fn dataset(&self) -> Vec<u8> {
        let mut w = Writer::default();
        if !self.patient.is_ascii() {
            w.text((0x0008, 0x0005), "CS", "ISO_IR 192");
        }
        w.text((0x0008, 0x0008), "CS", self.image_type)
            .text((0x0008, 0x0016), "UI", self.sop_class)
            .text((0x0008, 0x0018), "UI", &self.instance_uid)
            .text((0x0008, 0x0060), "CS", self.modality)
            .text((0x0008, 0x103E), "LO", "Chest")
            .text((0x0010, 0x0010), "PN", self.patient)
            .text((0x0010, 0x0020), "LO", self.patient)
            .text((0x0018, 0x1210), "SH", "B30f")
            .text((0x0020, 0x000D), "UI", self.study)
            .text((0x0020, 0x000E), "UI", self.series)
            .text((0x0020, 0x0011), "IS", &self.series_number.to_string())
            .text((0x0020, 0x0012), "IS", &self.acquisition.to_string())
            .text((0x0020, 0x0013), "IS", &self.instance.to_string());
        if let Some(position) = self.position {
            w.text((0x0020, 0x0032), "DS", &numbers(&position));
            w.text((0x0020, 0x0037), "DS", &numbers(&self.orientation));
        }
        if !self.frame_of_reference.is_empty() {
            w.text((0x0020, 0x0052), "UI", self.frame_of_reference);
        }
        w.word((0x0028, 0x0002), self.samples);
        w.text((0x0028, 0x0004), "CS", "MONOCHROME2");
        if let Some(frames) = self.frames {
            w.text((0x0028, 0x0008), "IS", &frames.to_string());
        }
        w.word((0x0028, 0x0010), self.rows as u16)
            .word((0x0028, 0x0011), self.columns as u16);
        if let Some(spacing) = self.spacing {
            w.text((0x0028, 0x0030), "DS", &numbers(&spacing));
        }
        w.word((0x0028, 0x0100), 16)
            .word((0x0028, 0x0101), self.stored)
            .word((0x0028, 0x0102), self.stored - 1)
            .word((0x0028, 0x0103), u16::from(self.signed));
        if let Some(padding) = self.padding {
            let vr = if self.signed { "SS" } else { "US" };
            w.raw((0x0028, 0x0120), vr, &padding.to_le_bytes());
        }
        if let Some([slope, intercept]) = self.rescale {
            w.text((0x0028, 0x1052), "DS", &intercept.to_string())
                .text((0x0028, 0x1053), "DS", &slope.to_string())
                .text((0x0028, 0x1054), "LO", "HU");
        }
        w.0.extend(&self.more.0);
        if let Some(fragment) = &self.fragment {
            w.encapsulated(fragment);
            return w.0;
        }
        let n = self.rows * self.columns * usize::from(self.samples);
        let values = if self.values.is_empty() {
            vec![self.instance as i16; n]
        } else {
            self.values.clone()
        };
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        w.raw((0x7FE0, 0x0010), "OW", &bytes);
        w.0
    }

    /// The file meta group, from the magic code on.
    pub fn meta(&self) -> Vec<u8> {
        let mut rest = Writer::default();
        rest.text((0x0002, 0x0002), "UI", self.sop_class)
            .text((0x0002, 0x0003), "UI", &self.instance_uid)
            .text((0x0002, 0x0010), "UI", self.syntax);
        let mut meta = Writer(b"DICM".to_vec());
        meta.raw((0x0002, 0x0000), "UL", &(rest.0.len() as u32).to_le_bytes());
        meta.0.extend(rest.0);
        meta.0
    }

    /// The whole file.
    pub fn bytes(&self) -> Vec<u8> {
        [vec![0; 128], self.meta(), self.dataset()].concat()
    }
}

/// Writes slices as `00.dcm`, `01.dcm`, … in the given order.
pub fn write(folder: &Path, slices: &[Slice]) {
    for (i, s) in slices.iter().enumerate() {
        std::fs::write(folder.join(format!("{i:02}.dcm")), s.bytes()).unwrap();
    }
}

pub fn read(path: &Path) -> Result<Scan, Error> {
    multirnet_dicom::read(path, &ReadOptions::default())
}

pub fn read_anyhow(path: &Path) -> Result<Scan, Error> {
    let options = ReadOptions {
        allow_irregular: true,
        ..ReadOptions::default()
    };
    multirnet_dicom::read(path, &options)
}

/// Reads slices written to a fresh folder.
pub fn read_slices(slices: &[Slice], allow_irregular: bool) -> Result<Scan, Error> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), slices);
    if allow_irregular {
        read_anyhow(folder.path())
    } else {
        read(folder.path())
    }
}

/// The first value of every plane.
pub fn planes(scan: &Scan) -> Vec<f32> {
    (0..scan.volume.shape()[0])
        .map(|z| scan.volume.plane(z)[0])
        .collect()
}
