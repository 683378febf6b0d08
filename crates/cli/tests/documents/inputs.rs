//! The inputs of the documents' commands: phantoms in every form that the documents name.

use crate::common;
use crate::small::Manifest;
use flate2::{Compression, Crc, write::ZlibEncoder};
use multirnet_anatomy::PrepareConfig;
use multirnet_infer::{DeviceChoice, ModelCard, ModelInput};
use multirnet_nn::{MultiRNetConfig, weights};
use multirnet_phantom::Phantom;
use multirnet_volume::{Diagnosis, Volume, Voxel, io};
use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Draws one phantom of each class, with seeds that give few and thick slices.
pub fn draw_phantoms() -> [Phantom; 3] {
    [
        common::phantom(Diagnosis::Normal, 1),
        common::phantom(Diagnosis::Cap, 3),
        common::phantom(Diagnosis::Covid19, 6),
    ]
}

/// The scans of one folder: the phantoms that they show, and their number so far.
pub struct Scans<'a> {
    phantoms: &'a [Phantom; 3],
    made: Cell<u8>,
}

/// A card for `multirnet package`.
const CARD: &str = "licence = \"CC0-1.0\"\nattribution = [\"Phantoms of this project.\"]\n";

impl<'a> Scans<'a> {
    /// No scan yet.
    pub fn new(phantoms: &'a [Phantom; 3]) -> Self {
        Self {
            phantoms,
            made: Cell::new(0),
        }
    }

    fn phantom(&self, class: Diagnosis) -> &Phantom {
        &self.phantoms[class.index()]
    }

    /// Makes a scan that differs from all others. The same content on two sides of a split would be
    /// an error.
    fn distinct<T: Voxel>(&self, mut scan: Volume<T>, change: impl Fn(u8, T) -> T) -> Volume<T> {
        self.made.set(self.made.get() + 1);
        let first = scan.data()[0];
        scan.data_mut()[0] = change(self.made.get(), first);
        scan
    }

    /// A distinct scan in whole HU.
    fn hu(&self, class: Diagnosis) -> Volume<i16> {
        let ct = self.phantom(class).ct.map(|hu| hu.round() as i16);
        self.distinct(ct, |k, hu| hu + i16::from(k))
    }

    /// Writes the files that the commands read into `folder`.
    pub fn write(&self, folder: &Path) {
        let save = |name: &str, volume: &Volume<i16>| common::save(folder, name, volume);
        for name in ["scan.nii.gz", "other.nii.gz"] {
            save(name, &self.hu(Diagnosis::Covid19));
        }
        common::dicom::write_series(&folder.join("study"), &self.hu(Diagnosis::Covid19), 1);
        for place in ["clear", "scans"] {
            fs::create_dir(folder.join(place)).unwrap();
            for name in ["a", "b", "c"] {
                save(
                    &format!("{place}/{name}.nii.gz"),
                    &self.hu(Diagnosis::Normal),
                );
            }
        }
        // A cohort, as a manifest and as folders.
        let mut rows = String::from("scan,mask,class,patient,mask_values\n");
        for class in Diagnosis::ALL {
            let name = class.name();
            for place in ["cohort", "folder"] {
                let place = format!("{place}/{name}");
                fs::create_dir_all(folder.join(&place)).unwrap();
                for k in 0..2 {
                    let stem = format!("{place}/{name}{k}");
                    save(&format!("{stem}.nii.gz"), &self.hu(class));
                    let lesions = &self.phantom(class).lesions;
                    common::save(folder, &format!("{stem}_mask.nii.gz"), lesions);
                    if place.starts_with("cohort") {
                        rows += &format!("{stem}.nii.gz,{stem}_mask.nii.gz,{name},{name}{k},1;2\n");
                    }
                }
            }
        }
        fs::write(folder.join("cohort.csv"), rows).unwrap();
        fs::write(folder.join("card.toml"), CARD).unwrap();
        write_model(&folder.join("tiny/model.safetensors"));
    }

    /// Writes every file that the rows of `manifest` name below `data`. Gives the pictures' pixels
    /// the size of the phantoms' voxels.
    pub fn write_data(&self, manifest: &mut Manifest, data: &Path) {
        let columns = manifest.columns.clone();
        for row in &mut manifest.rows {
            let column = |name: &str| columns.iter().position(|c| c == name);
            let cell = |name: &str| column(name).map_or("", |i| row[i].as_str());
            let class = cell("class").parse().unwrap_or(Diagnosis::Covid19);
            let phantom = self.phantom(class);
            let scan = data.join(cell("scan"));
            fs::create_dir_all(scan.parent().unwrap()).unwrap();
            let number = |name: &str, default: f32| cell(name).parse().unwrap_or(default);
            let (slope, intercept) = (number("slope", 1.0), number("intercept", 0.0));
            let grey = |hu: f32| match cell("intensity") {
                "unit" => (hu + 1350.0) / 1500.0 * 255.0,
                _ => (hu - intercept) / slope,
            };
            let labels: Vec<u8> = values(cell("mask_values"));
            let labels = Labels {
                lesions: if labels.is_empty() { vec![1] } else { labels },
                lungs: values(cell("lungs_values")),
            };
            let mask = Some(cell("mask")).filter(|m| !matches!(*m, "" | "unknown"));
            let is_picture = io::is_picture(&scan);
            if is_picture {
                let z = middle(phantom);
                let shape = phantom.ct.shape();
                let mut pixels: Vec<u8> = phantom
                    .ct
                    .plane(z)
                    .iter()
                    .map(|&hu| grey(hu).round().clamp(0.0, 255.0) as u8)
                    .collect();
                self.made.set(self.made.get() + 1);
                pixels[0] = self.made.get();
                write_png(&scan, shape, &pixels);
                if let Some(mask) = mask {
                    let mask = data.join(mask);
                    fs::create_dir_all(mask.parent().unwrap()).unwrap();
                    write_png(&mask, shape, labels.map(phantom).plane(z));
                }
            } else if scan.file_name().is_some_and(|n| n == "dicom") {
                common::dicom::write_series(&scan, &self.hu(class), self.made.get());
            } else {
                let hu = self.hu(class).map(|hu| grey(f32::from(hu)).round());
                if cell("intensity") == "unit" {
                    io::write_nifti(&scan, &hu.map(|v| v.clamp(0.0, 255.0) as u8)).unwrap();
                } else {
                    io::write_nifti(&scan, &hu.map(|v| v as i16)).unwrap();
                }
                if let Some(mask) = mask {
                    io::write_nifti(&data.join(mask), &labels.map(phantom)).unwrap();
                }
            }
            if !matches!(cell("slices"), "") {
                write_slices(&data.join(cell("slices")), phantom.ct.shape()[0]);
            }
            if let Some(at) = column("spacing_mm").filter(|_| is_picture) {
                let [z, y, x] = phantom.ct.geometry().spacing_mm();
                row[at] = format!("{z};{y:.3};{x:.3}");
            }
        }
    }
}

/// Values of a mask that mean lesion and lung.
struct Labels {
    lesions: Vec<u8>,
    lungs: Vec<u8>,
}

impl Labels {
    /// The phantom's true mask with these labels.
    fn map(&self, phantom: &Phantom) -> Volume<u8> {
        let lung = self
            .lungs
            .iter()
            .find(|v| !self.lesions.contains(v))
            .copied()
            .unwrap_or(0);
        let mut mask = phantom.lungs.map(|l| if l == 0 { 0 } else { lung });
        for (value, &kind) in mask.data_mut().iter_mut().zip(phantom.lesions.data()) {
            if kind > 0 {
                *value = self.lesions[usize::from(kind - 1).min(self.lesions.len() - 1)];
            }
        }
        mask
    }
}

/// The numbers of a cell such as `1;2`.
fn values(cell: &str) -> Vec<u8> {
    cell.split(';').filter_map(|v| v.parse().ok()).collect()
}

/// The plane with the most lung and lesion.
fn middle(phantom: &Phantom) -> usize {
    let count = |v: &Volume<u8>, z: usize| v.plane(z).iter().filter(|l| **l != 0).count();
    let planes = 0..phantom.ct.shape()[0];
    planes
        .max_by_key(|&z| count(&phantom.lungs, z) + 4 * count(&phantom.lesions, z))
        .unwrap()
}

/// The table of a stack's slices, with a gap in its middle.
fn write_slices(path: &Path, planes: usize) {
    let rows: String = (0..planes)
        .map(|k| format!("{k},{}\n", k + if k < planes / 2 { 0 } else { 5 }))
        .collect();
    fs::write(path, format!("k,source_slice\n{rows}")).unwrap();
}

/// Writes an untrained model that has a card and is quick.
fn write_model(path: &Path) {
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
        trained_on: "Nothing.".to_owned(),
        input: Some(ModelInput::from(&prepare)),
        ..ModelCard::unknown("tiny")
    };
    let bytes = weights::to_bytes(&config.init(&device), weights::Dtype::F32).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, card.package("tiny", &bytes).unwrap()).unwrap();
}

/// Writes a PNG in 8-bit grey under any name. The program recognises pictures by their content.
fn write_png(path: &Path, [_, height, width]: [usize; 3], pixels: &[u8]) {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        file.extend((data.len() as u32).to_be_bytes());
        let body = [kind, data].concat();
        let mut crc = Crc::new();
        crc.update(&body);
        file.extend(body);
        file.extend(crc.sum().to_be_bytes());
    };
    let size = [width as u32, height as u32].map(u32::to_be_bytes).concat();
    // Eight bits, grey, no interlacing.
    chunk(b"IHDR", &[&size[..], &[8, 0, 0, 0, 0]].concat());
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    for row in pixels.chunks(width) {
        packed.write_all(&[0]).unwrap();
        packed.write_all(row).unwrap();
    }
    chunk(b"IDAT", &packed.finish().unwrap());
    chunk(b"IEND", &[]);
    fs::write(path, file).unwrap();
}

/// All files below `folder`.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
