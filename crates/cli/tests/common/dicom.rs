//! A CT series as DICOM files.

use multirnet_volume::Volume;
use std::fs;
use std::path::Path;

/// Elements of a DICOM file in explicit VR little endian.
#[derive(Default)]
struct Elements(Vec<u8>);

impl Elements {
    fn raw(&mut self, [group, element]: [u16; 2], vr: &str, value: &[u8]) {
        let padded = value.len().next_multiple_of(2);
        self.0.extend(group.to_le_bytes());
        self.0.extend(element.to_le_bytes());
        self.0.extend(vr.as_bytes());
        if vr == "OW" {
            self.0.extend([0, 0]);
            self.0.extend((padded as u32).to_le_bytes());
        } else {
            self.0.extend((padded as u16).to_le_bytes());
        }
        self.0.extend(value);
        if padded > value.len() {
            self.0.push(if vr == "UI" { 0 } else { b' ' });
        }
    }

    fn text(&mut self, tag: [u16; 2], vr: &str, value: &str) {
        self.raw(tag, vr, value.as_bytes());
    }

    fn word(&mut self, tag: [u16; 2], value: u16) {
        self.raw(tag, "US", &value.to_le_bytes());
    }
}

/// Class of CT images.
const CT_IMAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
/// Explicit VR little endian.
const SYNTAX: &str = "1.2.840.10008.1.2.1";

/// Writes an axial scan as a series of DICOM files, one per slice, of the study number `study`.
pub fn write_series(folder: &Path, scan: &Volume<i16>, study: u8) {
    fs::create_dir_all(folder).unwrap();
    let [nz, ny, nx] = scan.shape();
    let [sz, sy, sx] = scan.geometry().spacing_mm();
    for z in 0..nz {
        let [x0, y0, z0] = scan.geometry().index_to_world([z as f64, 0.0, 0.0]);
        let uid = format!("1.2.826.{study}.1.{}", z + 1);
        let mut meta = Elements::default();
        meta.text([0x0002, 0x0002], "UI", CT_IMAGE);
        meta.text([0x0002, 0x0003], "UI", &uid);
        meta.text([0x0002, 0x0010], "UI", SYNTAX);
        let mut file = Elements([vec![0; 128], b"DICM".to_vec()].concat());
        file.raw([0x0002, 0x0000], "UL", &(meta.0.len() as u32).to_le_bytes());
        file.0.extend(meta.0);
        file.text([0x0008, 0x0008], "CS", "ORIGINAL\\PRIMARY\\AXIAL");
        file.text([0x0008, 0x0016], "UI", CT_IMAGE);
        file.text([0x0008, 0x0018], "UI", &uid);
        file.text([0x0008, 0x0060], "CS", "CT");
        file.text([0x0008, 0x103E], "LO", "Phantom");
        file.text([0x0010, 0x0010], "PN", "PHANTOM");
        file.text([0x0010, 0x0020], "LO", &format!("PHANTOM{study}"));
        file.text([0x0018, 0x0050], "DS", &format!("{sz:.6}"));
        file.text([0x0020, 0x000D], "UI", &format!("1.2.826.{study}"));
        file.text([0x0020, 0x000E], "UI", &format!("1.2.826.{study}.1"));
        file.text([0x0020, 0x0011], "IS", "1");
        file.text([0x0020, 0x0013], "IS", &(z + 1).to_string());
        file.text(
            [0x0020, 0x0032],
            "DS",
            &format!("{x0:.4}\\{y0:.4}\\{z0:.4}"),
        );
        file.text([0x0020, 0x0037], "DS", "1\\0\\0\\0\\1\\0");
        file.text([0x0020, 0x0052], "UI", &format!("1.2.826.{study}.2"));
        file.word([0x0028, 0x0002], 1);
        file.text([0x0028, 0x0004], "CS", "MONOCHROME2");
        file.word([0x0028, 0x0010], ny as u16);
        file.word([0x0028, 0x0011], nx as u16);
        file.text([0x0028, 0x0030], "DS", &format!("{sy:.6}\\{sx:.6}"));
        for (element, value) in [(0x0100, 16), (0x0101, 16), (0x0102, 15), (0x0103, 1)] {
            file.word([0x0028, element], value);
        }
        file.text([0x0028, 0x1052], "DS", "0");
        file.text([0x0028, 0x1053], "DS", "1");
        let pixels: Vec<u8> = scan.plane(z).iter().flat_map(|v| v.to_le_bytes()).collect();
        file.raw([0x7FE0, 0x0010], "OW", &pixels);
        fs::write(folder.join(format!("{z:03}.dcm")), file.0).unwrap();
    }
}
