//! Reading NIfTI-1.
//!
//! # Why not the crate `nifti`
//!
//! `nifti` 0.18 reads headers and voxels well, but here it would cost more than it gives:
//!
//! - Affines need its feature `nalgebra_affine` and panic on a negative `pixdim`.
//! - The writer needs `ndarray`, ignores the error of a full disk when its buffer is flushed, and
//!   does not set a qform.
//! - The reader stops after the first member of a gzip file (bgzip and pigz -i write several), does
//!   not check the checksum, finds the byte order by `dim[0]` alone, and holds the raw bytes of the
//!   volume beside its values.
//!
//! Our own code only has to read a header of 348 bytes at fixed places. A dozen of its fields matter
//! to a CT volume.
//!
//! # Which transform
//!
//! The reader takes the sform if its code is positive, else the qform if its code is positive, else
//! `pixdim` alone with the axes to the right, front and top (method 1 of the standard). If both are
//! given and disagree, it takes the sform, as nibabel does, and adds a note. This is the only place
//! where RAS becomes LPS. `nifti_write` converts back.

use super::source::{ByteSource, Packing, Stream};
use crate::scalar::{Encoding, Scalar};
use crate::{Error, ErrorKind, Geometry, Result, Volume};
use std::path::Path;

/// Bytes of the header.
pub(super) const HEADER: usize = 348;

/// Transforms disagree if they place a corner of the grid further apart than this. A smaller limit
/// would be too strict: the file stores a quaternion in 32-bit numbers without its first part, and
/// near a half turn that is accurate to only 6e-4 radians.
const AGREE_MM: f64 = 1.0;

/// Row-major 3 × 4 matrix from `(i, j, k, 1)` to RAS in the file's unit.
type Affine = [[f64; 4]; 3];

/// Reads the file and adds each assumption it makes to `notes`.
pub(super) fn read(path: &Path, max_voxels: usize, notes: &mut Vec<String>) -> Result<Volume<f32>> {
    let mut source = ByteSource::open(path)?;
    if is_pair(path) {
        return Err(pair());
    }
    // The content decides, because wrongly named files are common.
    let packing = if source.is_gzip()? {
        Packing::Gzip
    } else {
        Packing::Raw
    };
    let mut stream = source.unpack(packing)?;
    let header = Header::read(&mut stream)?;
    let shape = header.shape(max_voxels)?;
    let encoding = header.encoding(notes)?;
    let geometry = header.geometry(shape, notes)?;
    stream.skip(header.voxel_offset()? - HEADER as u64)?;
    let data = stream.voxels(shape, &encoding)?;
    Volume::new(data, geometry)
}

fn is_pair(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.ends_with(".hdr") || name.ends_with(".img")
}

fn pair() -> Error {
    let reason = "pairs of .hdr and .img files are not supported";
    Error::new(ErrorKind::Unsupported, reason).hint("convert the pair to one .nii.gz file")
}

/// The header's bytes and their byte order.
struct Header {
    bytes: [u8; HEADER],
    big_endian: bool,
}

impl Header {
    fn read(stream: &mut Stream) -> Result<Self> {
        let mut bytes = [0; HEADER];
        stream.fill(&mut bytes, "the header of 348 bytes")?;
        let little = Self {
            bytes,
            big_endian: false,
        };
        let big = Self {
            bytes,
            big_endian: true,
        };
        let header = match (little.i32(0), big.i32(0)) {
            (348, _) => little,
            (_, 348) => big,
            (540, _) | (_, 540) => {
                return Err(
                    Error::new(ErrorKind::Unsupported, "NIfTI-2 is not supported")
                        .hint("convert it to NIfTI-1 (or NRRD or MetaImage)"),
                );
            }
            _ => {
                let reason = "this is not a NIfTI-1 file (its first field is not 348)";
                return Err(Error::new(ErrorKind::Malformed, reason));
            }
        };
        match &header.bytes[344..348] {
            b"n+1\0" => Ok(header),
            b"ni1\0" => Err(pair()),
            magic => Err(Error::new(
                ErrorKind::Malformed,
                format!(
                    "this is not a NIfTI-1 file (its magic is {:?})",
                    String::from_utf8_lossy(magic)
                ),
            )),
        }
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[at..at + N]);
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.array(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.array(at))
    }

    fn f32(&self, at: usize) -> f64 {
        f64::from(f32::from_le_bytes(self.array(at)))
    }

    fn pixdim(&self, i: usize) -> f64 {
        self.f32(76 + 4 * i)
    }

    /// Voxels `(z, y, x)`.
    fn shape(&self, max_voxels: usize) -> Result<[usize; 3]> {
        let rank = self.i16(40);
        if !(1..=7).contains(&rank) {
            let reason = format!("the header claims {rank} dimensions");
            return Err(Error::new(ErrorKind::Malformed, reason));
        }
        let sizes: Vec<i16> = (1..=rank as usize).map(|i| self.i16(40 + 2 * i)).collect();
        if let Some(size) = sizes.iter().find(|&&s| s <= 0) {
            let reason = format!("the size {sizes:?} (x, y, z, …) has an entry of {size}");
            return Err(Error::new(ErrorKind::Malformed, reason));
        }
        let sizes: Vec<usize> = sizes.iter().map(|&s| s as usize).collect();
        super::text::volume_shape(&sizes, max_voxels)
    }

    fn encoding(&self, notes: &mut Vec<String>) -> Result<Encoding> {
        let scalar = match self.i16(70) {
            2 => Scalar::U8,
            4 => Scalar::I16,
            8 => Scalar::I32,
            16 => Scalar::F32,
            64 => Scalar::F64,
            256 => Scalar::I8,
            512 => Scalar::U16,
            768 => Scalar::U32,
            1024 => Scalar::I64,
            1280 => Scalar::U64,
            code => {
                let what = match code {
                    128 | 2304 => "colour",
                    32 | 1792 | 2048 => "complex numbers",
                    1 => "single bits",
                    1536 => "128-bit floating point",
                    _ => "an unknown type",
                };
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("the voxels are {what} (datatype {code})"),
                )
                .hint("convert the voxels to integers or 32-bit floating point"));
            }
        };
        let (slope, inter) = (self.f32(112), self.f32(116));
        // In the standard a slope of zero means no scaling. Some writers store NaN instead.
        let scaling = if slope == 0.0 || slope.is_nan() {
            None
        } else if slope.is_finite() && inter.is_finite() {
            Some((slope, inter))
        } else {
            notes.push(format!(
                "scl_slope {slope} and scl_inter {inter} are not finite: values are not scaled"
            ));
            None
        };
        Ok(Encoding {
            scalar,
            big_endian: self.big_endian,
            scaling: scaling.filter(|&s| s != (1.0, 0.0)),
        })
    }

    fn voxel_offset(&self) -> Result<u64> {
        let offset = self.f32(108);
        if offset == 0.0 {
            // Some files hold 0 here. The voxels of a file without extensions start at 352.
            return Ok(352);
        }
        if !(offset >= HEADER as f64 && offset.fract() == 0.0) {
            let reason = format!("the voxels cannot start at byte {offset} (vox_offset)");
            return Err(Error::new(ErrorKind::Malformed, reason));
        }
        Ok(offset as u64)
    }

    fn geometry(&self, shape: [usize; 3], notes: &mut Vec<String>) -> Result<Geometry> {
        let sform = (self.i16(254) > 0).then(|| self.sform());
        let qform = (self.i16(252) > 0).then(|| self.qform());
        let unit = self.unit_mm(notes);
        let build = |affine: &Affine| Geometry::from_affine_lps(shape, &to_lps(affine, unit));
        match (sform, qform) {
            (Some(sform), Some(qform)) => match (build(&sform), build(&qform)) {
                (Ok(s), Ok(q)) => {
                    if !s.matches(&q, AGREE_MM) {
                        notes.push(format!(
                            "the header's sform and qform place the volume differently \
                             (orientations {} and {}): the sform is taken",
                            s.orientation(),
                            q.orientation()
                        ));
                    }
                    Ok(s)
                }
                (Err(e), Ok(q)) => {
                    notes.push(format!("the qform is taken, the sform is unusable: {e}"));
                    Ok(q)
                }
                (s, Err(_)) => s,
            },
            (Some(affine), None) | (None, Some(affine)) => build(&affine),
            (None, None) => {
                notes.push(
                    "the header gives no orientation: the axes are taken to run to the right, \
                     front and top, so left and right cannot be trusted"
                        .into(),
                );
                let mut affine = [[0.0; 4]; 3];
                for (i, row) in affine.iter_mut().enumerate() {
                    row[i] = self.pixdim(i + 1).abs();
                }
                build(&affine)
            }
        }
        .map_err(|e| e.hint("repair the file's sform or qform, e.g. by converting it again"))
    }

    fn sform(&self) -> Affine {
        std::array::from_fn(|row| std::array::from_fn(|i| self.f32(280 + 16 * row + 4 * i)))
    }

    fn qform(&self) -> Affine {
        let [b, c, d] = std::array::from_fn(|i| self.f32(256 + 4 * i));
        // The quaternion is stored without its first part, and rounding may make the rest longer
        // than 1.
        let rest = 1.0 - (b * b + c * c + d * d);
        let (a, b, c, d) = if rest < 1e-7 {
            let length = (b * b + c * c + d * d).sqrt();
            (0.0, b / length, c / length, d / length)
        } else {
            (rest.sqrt(), b, c, d)
        };
        let rotation = [
            [
                a * a + b * b - c * c - d * d,
                2.0 * (b * c - a * d),
                2.0 * (b * d + a * c),
            ],
            [
                2.0 * (b * c + a * d),
                a * a + c * c - b * b - d * d,
                2.0 * (c * d - a * b),
            ],
            [
                2.0 * (b * d - a * c),
                2.0 * (c * d + a * b),
                a * a + d * d - b * b - c * c,
            ],
        ];
        let hand = if self.pixdim(0) < 0.0 { -1.0 } else { 1.0 };
        std::array::from_fn(|row| {
            let r = rotation[row];
            [
                r[0] * self.pixdim(1).abs(),
                r[1] * self.pixdim(2).abs(),
                r[2] * self.pixdim(3).abs() * hand,
                self.f32(268 + 4 * row),
            ]
        })
    }

    /// Millimetres of the file's unit of length.
    fn unit_mm(&self, notes: &mut Vec<String>) -> f64 {
        match self.bytes[123] & 7 {
            1 => 1000.0,
            0 | 2 => 1.0,
            3 => 0.001,
            code => {
                notes.push(format!(
                    "the unit of length (code {code}) is unknown: millimetres are assumed"
                ));
                1.0
            }
        }
    }
}

fn to_lps(ras: &Affine, unit: f64) -> [[f64; 4]; 4] {
    let mut lps = [[0.0; 4]; 4];
    for (row, sign) in [-unit, -unit, unit].into_iter().enumerate() {
        // Adding zero turns -0.0 into 0.0.
        lps[row] = ras[row].map(|v| v * sign + 0.0);
    }
    lps[3][3] = 1.0;
    lps
}
