//! Reading NRRD (`.nrrd`, detached `.nhdr`).
//!
//! This is a small parser of our own, because the registry has no crate for NRRD. The spaces LPS,
//! RAS and LAS are converted to LPS. A volume without a space is placed by its `spacings`.

use super::source::{self, ByteSource, Packing};
use super::text::{MAX_HEADER, malformed, missing, numbers, volume_shape};
use crate::scalar::{Encoding, Scalar};
use crate::{Error, ErrorKind, Geometry, Result, Volume};
use std::collections::HashMap;
use std::path::Path;

/// Reads the file and adds each assumption it makes to `notes`.
pub(super) fn read(path: &Path, max_voxels: usize, notes: &mut Vec<String>) -> Result<Volume<f32>> {
    let mut source = ByteSource::open(path)?;
    let header = Header::read(&mut source)?;
    let axes = header.axes()?;
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
    let shape = volume_shape(&sizes, max_voxels)?;
    let geometry = header.geometry(&axes, shape, notes)?;
    let scalar = header.scalar()?;
    if let Some(name) = header.either(&["data file", "datafile"]) {
        if name.starts_with("LIST") || name.contains('%') {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the voxels are spread over several files ({name})"),
            )
            .hint("convert them to one .nrrd file"));
        }
        source = ByteSource::open(&source::beside(path, name)?)?;
    }
    let skip = |names: [&str; 2]| -> Result<i64> {
        match header.either(&names) {
            Some(value) => Ok(numbers::<i64>(names[0], value, 1)?[0]),
            None => Ok(0),
        }
    };
    let lines = skip(["line skip", "lineskip"])?;
    let bytes = skip(["byte skip", "byteskip"])?;
    if lines < 0 || bytes < -1 {
        let reason = format!("line skip {lines} and byte skip {bytes} make no sense");
        return Err(malformed(reason));
    }
    let mut budget = source.len() + 1;
    for _ in 0..lines {
        if source.line(&mut budget)?.is_none() {
            return Err(malformed(format!("the file has less than {lines} lines")));
        }
    }

    let name = header.need("encoding")?.to_ascii_lowercase();
    let packing = match name.as_str() {
        "raw" | "txt" | "text" | "ascii" => Packing::Raw,
        "gzip" | "gz" => Packing::Gzip,
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the encoding {name:?} is not supported"),
            )
            .hint("save it with encoding gzip or raw"));
        }
    };
    if packing == Packing::Raw && name != "raw" {
        return Volume::new(source.unpack(packing)?.text_voxels(shape)?, geometry);
    }
    let encoding = Encoding {
        scalar,
        big_endian: header.is_big_endian(scalar, notes)?,
        scaling: None,
    };
    if bytes == -1 {
        if packing != Packing::Raw {
            return Err(malformed("byte skip -1 needs encoding raw".into()));
        }
        let count = shape.iter().map(|&n| n as u64);
        let size = count.fold(scalar.size() as u64, u64::saturating_mul);
        let start = source.len().saturating_sub(size);
        source.seek(start)?;
    }
    let mut stream = source.unpack(packing)?;
    stream.skip(bytes.max(0).unsigned_abs())?;
    Volume::new(stream.voxels(shape, &encoding)?, geometry)
}

/// One axis of the file, fastest first.
struct Axis {
    size: usize,
    kind: String,
    /// Direction in the file's space. `None` if the axis is not spatial or the file has no space.
    direction: Option<[f64; 3]>,
    spacing: Option<f64>,
}

/// The fields, by lower-case name.
struct Header(HashMap<String, String>);

impl Header {
    /// Reads up to the empty line. Attached voxels follow it.
    fn read(source: &mut ByteSource) -> Result<Self> {
        let mut budget = MAX_HEADER;
        let magic = source.line(&mut budget)?.unwrap_or_default();
        if !magic.starts_with("NRRD000") {
            return Err(malformed(
                "this is not an NRRD file (it does not start with NRRD000…)".into(),
            ));
        }
        let mut fields = HashMap::new();
        while let Some(line) = source.line(&mut budget)? {
            if line.is_empty() {
                break;
            }
            // Comments and the key/value pairs `key:=value` do not describe the volume.
            if line.starts_with('#') || line.contains(":=") {
                continue;
            }
            let Some((name, value)) = line.split_once(": ").or_else(|| line.split_once(':')) else {
                let start: String = line.chars().take(40).collect();
                return Err(malformed(format!(
                    "the header's line {start:?} is not of the form \"field: value\""
                )));
            };
            fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn need(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| missing(name))
    }

    fn either(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    fn scalar(&self) -> Result<Scalar> {
        let name = self.need("type")?;
        Ok(match name {
            "signed char" | "int8" | "int8_t" => Scalar::I8,
            "uchar" | "unsigned char" | "uint8" | "uint8_t" => Scalar::U8,
            "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => {
                Scalar::I16
            }
            "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => {
                Scalar::U16
            }
            "int" | "signed int" | "int32" | "int32_t" => Scalar::I32,
            "uint" | "unsigned int" | "uint32" | "uint32_t" => Scalar::U32,
            "longlong"
            | "long long"
            | "long long int"
            | "signed long long"
            | "signed long long int"
            | "int64"
            | "int64_t" => Scalar::I64,
            "ulonglong"
            | "unsigned long long"
            | "unsigned long long int"
            | "uint64"
            | "uint64_t" => Scalar::U64,
            "float" => Scalar::F32,
            "double" => Scalar::F64,
            _ => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("the voxels are of type {name:?}"),
                )
                .hint("convert the voxels to integers or 32-bit floating point"));
            }
        })
    }

    fn is_big_endian(&self, scalar: Scalar, notes: &mut Vec<String>) -> Result<bool> {
        match self.get("endian").map(str::to_ascii_lowercase).as_deref() {
            Some("little") => Ok(false),
            Some("big") => Ok(true),
            Some(other) => Err(malformed(format!(
                "the header's endian should be little or big, not {other:?}"
            ))),
            None => {
                if scalar.size() > 1 {
                    notes.push("the header gives no byte order: little endian is assumed".into());
                }
                Ok(false)
            }
        }
    }

    /// The axes of the volume, without other axes of size 1.
    fn axes(&self) -> Result<Vec<Axis>> {
        let rank: usize = numbers("dimension", self.need("dimension")?, 1)?[0];
        if !(1..=16).contains(&rank) {
            return Err(malformed(format!("the header claims {rank} dimensions")));
        }
        let sizes: Vec<usize> = numbers("sizes", self.need("sizes")?, rank)?;
        let spacings: Vec<Option<f64>> = match self.get("spacings") {
            Some(value) => numbers::<f64>("spacings", value, rank)?
                .into_iter()
                .map(|s| (!s.is_nan()).then_some(s))
                .collect(),
            None => vec![None; rank],
        };
        let directions = match self.get("space directions") {
            Some(value) => vectors("space directions", value)?,
            None => vec![None; rank],
        };
        if directions.len() != rank {
            return Err(malformed(format!(
                "the header has {} space directions for {rank} dimensions",
                directions.len()
            )));
        }
        let kinds: Vec<&str> = self.get("kinds").unwrap_or("").split_whitespace().collect();
        let mut axes: Vec<Axis> = (0..rank)
            .map(|i| Axis {
                size: sizes[i],
                kind: kinds.get(i).unwrap_or(&"").to_ascii_lowercase(),
                direction: directions[i],
                spacing: spacings[i],
            })
            .collect();
        let values = |axis: &Axis| axis.kind.contains("color") || axis.kind.contains("vector");
        if let Some(axis) = axes.iter().find(|axis| axis.size > 1 && values(axis)) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("each voxel has {} values ({})", axis.size, axis.kind),
            )
            .hint("extract one channel into a file"));
        }
        let is_spare = |axis: &Axis| axis.size == 1 && axis.direction.is_none();
        while axes.len() > 3 {
            let Some(spare) = axes.iter().position(is_spare) else {
                break;
            };
            axes.remove(spare);
        }
        Ok(axes)
    }

    fn geometry(
        &self,
        axes: &[Axis],
        shape: [usize; 3],
        notes: &mut Vec<String>,
    ) -> Result<Geometry> {
        let signs = self.signs(notes)?;
        let unit = self.unit_mm(notes)?;
        let origin = match self.get("space origin") {
            Some(value) => match vectors("space origin", value)?[..] {
                [Some(origin)] => origin,
                _ => return Err(malformed(format!("the space origin is {value:?}"))),
            },
            None => {
                notes.push("the header gives no position: the first voxel is taken as 0".into());
                [0.0; 3]
            }
        };
        let mut m = [[0.0; 4]; 4];
        m[3][3] = 1.0;
        let mut assumed = false;
        for (i, axis) in axes.iter().take(3).enumerate() {
            let step = match (axis.direction, axis.spacing) {
                (Some(step), _) => std::array::from_fn(|k| step[k] * signs[k] * unit[k]),
                (None, Some(spacing)) => {
                    assumed = true;
                    let mut step = [0.0; 3];
                    step[i] = spacing;
                    step
                }
                (None, None) => {
                    return Err(Error::new(
                        ErrorKind::Geometry,
                        "the header has neither space directions nor spacings",
                    )
                    .hint("add the voxels' size in millimetres, e.g. \"spacings: 0.7 0.7 1.5\""));
                }
            };
            for k in 0..3 {
                m[k][i] = step[k];
            }
        }
        if assumed {
            notes.push(
                "the header gives no orientation: the axes are taken to run to the left, back \
                 and top, so left and right cannot be trusted"
                    .into(),
            );
        }
        for k in 0..3 {
            m[k][3] = origin[k] * signs[k] * unit[k] + 0.0;
        }
        Geometry::from_affine_lps(shape, &m)
            .map_err(|e| e.hint("repair the space directions or spacings in the header"))
    }

    /// The signs that turn the file's space into LPS.
    fn signs(&self, notes: &mut Vec<String>) -> Result<[f64; 3]> {
        let Some(space) = self.get("space") else {
            if self.get("space directions").is_some() {
                notes.push("the header names no space: LPS is assumed".into());
            }
            return Ok([1.0; 3]);
        };
        match space.to_ascii_lowercase().as_str() {
            "left-posterior-superior" | "lps" => Ok([1.0; 3]),
            "right-anterior-superior" | "ras" => Ok([-1.0, -1.0, 1.0]),
            "left-anterior-superior" | "las" => Ok([1.0, -1.0, 1.0]),
            "scanner-xyz" | "3d-right-handed" | "3d-left-handed" => {
                notes.push(format!(
                    "the space {space:?} says nothing about the patient: LPS is assumed"
                ));
                Ok([1.0; 3])
            }
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!("the space {space:?} is not supported"),
            )
            .hint("save it in the space left-posterior-superior")),
        }
    }

    /// Millimetres per unit of the space's axes.
    fn unit_mm(&self, notes: &mut Vec<String>) -> Result<[f64; 3]> {
        let Some(value) = self.get("space units") else {
            return Ok([1.0; 3]);
        };
        let mut unit = [1.0; 3];
        for (unit, name) in unit.iter_mut().zip(value.split('"').skip(1).step_by(2)) {
            *unit = match name.trim() {
                "mm" | "" => 1.0,
                "um" | "µm" | "micron" => 0.001,
                "cm" => 10.0,
                "m" => 1000.0,
                _ => {
                    notes.push(format!(
                        "the unit of length {name:?} is unknown: millimetres are assumed"
                    ));
                    1.0
                }
            };
        }
        Ok(unit)
    }
}

/// Vectors as in `(1,0,0) none (0,0,2.5)`. A vector of NaN counts as `none`.
fn vectors(field: &str, value: &str) -> Result<Vec<Option<[f64; 3]>>> {
    let wrong = || malformed(format!("the header's {field:?} is {value:?}"));
    let mut vectors = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("none") {
            vectors.push(None);
            rest = after.trim_start();
            continue;
        }
        let (inside, after) = rest
            .strip_prefix('(')
            .and_then(|r| r.split_once(')'))
            .ok_or_else(wrong)?;
        let numbers: Vec<f64> = inside
            .split(',')
            .map(|word| word.trim().parse().map_err(|_| wrong()))
            .collect::<Result<_>>()?;
        let vector: [f64; 3] = numbers.try_into().map_err(|_| wrong())?;
        vectors.push((!vector.iter().all(|v| v.is_nan())).then_some(vector));
        rest = after.trim_start();
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_read_as_teem_and_slicer_write_them() {
        let x = Some([1.0, 0.0, -0.5]);
        let cases = [
            ("(1,0,-0.5)", vec![x]),
            ("none (1, 0, -5e-1) (1,0,-0.5)", vec![None, x, x]),
            ("(nan,nan,nan)(1,0,-.5)", vec![None, x]),
            ("", vec![]),
        ];
        for (text, expected) in cases {
            assert_eq!(vectors("f", text).unwrap(), expected, "{text:?}");
        }
        for text in [
            "(1,2)",
            "(1,2,3,4)",
            "(1,2,3",
            "1,2,3",
            "(1,2,x)",
            "(1,2,3) nothing",
        ] {
            assert!(vectors("f", text).is_err(), "{text:?}");
        }
    }
}
