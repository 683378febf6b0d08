//! Reading MetaImage (`.mha`, `.mhd`).
//!
//! This is a small parser of our own, because the registry has no crate for MetaImage. World
//! coordinates are LPS, as in ITK. The field `AnatomicalOrientation` is informative and is not
//! interpreted.

use super::source::{self, ByteSource, Packing};
use super::text::{MAX_HEADER, malformed, missing, numbers, truth, volume_shape};
use crate::scalar::{Encoding, Scalar};
use crate::{Error, ErrorKind, Geometry, Result, Volume};
use std::collections::HashMap;
use std::path::Path;

/// Reads the file and adds each assumption it makes to `notes`.
pub(super) fn read(path: &Path, max_voxels: usize, notes: &mut Vec<String>) -> Result<Volume<f32>> {
    let mut source = ByteSource::open(path)?;
    let header = Header::read(&mut source)?;
    let rank: usize = numbers("NDims", header.need("NDims")?, 1)?[0];
    // This also bounds the squares below.
    if rank > 16 {
        return Err(malformed(format!("the header claims {rank} dimensions")));
    }
    let sizes = numbers("DimSize", header.need("DimSize")?, rank)?;
    let shape = volume_shape(&sizes, max_voxels)?;
    let channels = header.get("ElementNumberOfChannels").unwrap_or("1");
    if channels.trim() != "1" {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("each voxel has {channels} values (colour or a vector)"),
        )
        .hint("extract one channel into a file"));
    }
    let geometry = header.geometry(rank, shape, notes)?;
    let encoding = Encoding {
        scalar: header.scalar()?,
        big_endian: header.flag(&["ElementByteOrderMSB", "BinaryDataByteOrderMSB"], false)?,
        scaling: None,
    };
    let factor = header.get("ElementToIntensityFunctionSlope");
    let summand = header.get("ElementToIntensityFunctionOffset");
    if factor.is_some_and(|v| v.parse() != Ok(1.0)) || summand.is_some_and(|v| v.parse() != Ok(0.0))
    {
        notes.push("the header's ElementToIntensityFunction is not applied, as in ITK".into());
    }
    let is_text = !header.flag(&["BinaryData"], true)?;
    let is_packed = header.flag(&["CompressedData"], false)?;
    let header_size: i64 = match header.get("HeaderSize") {
        Some(value) => numbers("HeaderSize", value, 1)?[0],
        None => 0,
    };

    let data_file = header.need("ElementDataFile")?;
    match data_file {
        "LOCAL" | "Local" | "local" => {}
        list if list.starts_with("LIST") || list.contains('%') => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the voxels are spread over several files ({list})"),
            )
            .hint("convert them to one .mha file"));
        }
        name => source = ByteSource::open(&source::beside(path, name)?)?,
    }
    let is_local = data_file.eq_ignore_ascii_case("local");
    match header_size {
        0 => {}
        -1 if !is_packed && !is_text => {
            let count = shape.iter().map(|&n| n as u64);
            let bytes = count.fold(encoding.scalar.size() as u64, u64::saturating_mul);
            let start = source.len().saturating_sub(bytes);
            source.seek(start)?;
        }
        size if size > 0 && !is_local => source.seek(size.unsigned_abs())?,
        size => return Err(malformed(format!("a HeaderSize of {size} makes no sense"))),
    }
    let packing = if !is_packed {
        Packing::Raw
    } else if source.is_gzip()? {
        Packing::Gzip
    } else {
        Packing::Zlib
    };
    let mut stream = source.unpack(packing)?;
    let data = if is_text {
        stream.text_voxels(shape)?
    } else {
        stream.voxels(shape, &encoding)?
    };
    Volume::new(data, geometry)
}

/// The fields, by lower-case name.
struct Header(HashMap<String, String>);

impl Header {
    /// Reads up to `ElementDataFile`, the last field. Local voxels follow it.
    fn read(source: &mut ByteSource) -> Result<Self> {
        let mut fields = HashMap::new();
        let mut budget = MAX_HEADER;
        while let Some(line) = source.line(&mut budget)? {
            let Some((name, value)) = line.split_once('=') else {
                if line.trim().is_empty() {
                    continue;
                }
                let start: String = line.chars().take(40).collect();
                return Err(malformed(format!(
                    "this is not a MetaImage header: {start:?} is not of the form \"Name = value\""
                )));
            };
            let name = name.trim().to_ascii_lowercase();
            let is_last = name == "elementdatafile";
            fields.insert(name, value.trim().to_owned());
            if is_last {
                return Ok(Self(fields));
            }
        }
        Err(missing("ElementDataFile"))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    fn need(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| missing(name))
    }

    /// The first of several synonymous names that the header has.
    fn either<'a>(&self, names: &[&'a str]) -> Option<(&'a str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    fn flag(&self, names: &[&str], default: bool) -> Result<bool> {
        self.either(names)
            .map_or(Ok(default), |(name, value)| truth(name, value))
    }

    fn scalar(&self) -> Result<Scalar> {
        let name = self.need("ElementType")?;
        Ok(match name {
            "MET_CHAR" | "MET_ASCII_CHAR" => Scalar::I8,
            "MET_UCHAR" => Scalar::U8,
            "MET_SHORT" => Scalar::I16,
            "MET_USHORT" => Scalar::U16,
            // MetaImage stores a long in 4 bytes.
            "MET_INT" | "MET_LONG" => Scalar::I32,
            "MET_UINT" | "MET_ULONG" => Scalar::U32,
            "MET_LONG_LONG" => Scalar::I64,
            "MET_ULONG_LONG" => Scalar::U64,
            "MET_FLOAT" => Scalar::F32,
            "MET_DOUBLE" => Scalar::F64,
            _ => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("the voxels are of type {name}"),
                )
                .hint("convert the voxels to integers or 32-bit floating point"));
            }
        })
    }

    fn geometry(
        &self,
        rank: usize,
        shape: [usize; 3],
        notes: &mut Vec<String>,
    ) -> Result<Geometry> {
        let unit = match self.get("DistanceUnits") {
            Some("um") => 0.001,
            Some("cm") => 10.0,
            Some("m") => 1000.0,
            None | Some("mm" | "" | "?") => 1.0,
            Some(other) => {
                notes.push(format!(
                    "the unit of length {other:?} is unknown: millimetres are assumed"
                ));
                1.0
            }
        };
        let Some((name, value)) = self.either(&["ElementSpacing", "ElementSize"]) else {
            return Err(missing("ElementSpacing").hint("add the voxels' size in millimetres"));
        };
        let spacing: Vec<f64> = numbers(name, value, rank)?;
        let origin = match self.either(&["Offset", "Position", "Origin"]) {
            Some((name, value)) => numbers(name, value, rank)?,
            None => {
                notes.push("the header gives no position: the first voxel is taken as 0".into());
                vec![0.0; rank]
            }
        };
        let names = ["TransformMatrix", "Rotation", "Orientation"];
        let axes: Vec<f64> = match self.either(&names) {
            Some((name, value)) => numbers(name, value, rank * rank)?,
            None => {
                notes.push(
                    "the header gives no orientation: the axes are taken to run to the left, \
                     back and top, so left and right cannot be trusted"
                        .into(),
                );
                (0..rank * rank)
                    .map(|i| if i % (rank + 1) == 0 { 1.0 } else { 0.0 })
                    .collect()
            }
        };
        // Row `i` of the matrix is the direction of file axis `i`. Our axes are in reverse order.
        let axis = |i: usize| std::array::from_fn(|k| axes[i * rank + k]);
        Geometry::new(
            shape,
            [2, 1, 0].map(|i| spacing[i] * unit),
            std::array::from_fn(|k| origin[k] * unit),
            [2, 1, 0].map(axis),
        )
        .map_err(|e| e.hint("repair ElementSpacing, Offset and TransformMatrix in the header"))
    }
}
