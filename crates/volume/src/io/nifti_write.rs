//! Writing NIfTI-1.

use super::deflate;
use super::nifti::HEADER;
use crate::{Error, ErrorKind, Geometry, Planes, Result, Scalar, Voxel};
use flate2::Compression;
use std::io::Write;
use std::path::Path;

/// Cosine between two axes above which a grid counts as sheared. A qform cannot express shear.
const SHEAR: f64 = 1e-4;

/// Compression level of labels and of single bytes. They shrink further with more effort.
const LABELS: u32 = 4;
/// Compression level of everything else. Maps of numbers shrink by only a sixth for twice the time.
const NUMBERS: u32 = 1;

/// Writes NIfTI-1 (`.nii`, `.nii.gz`) through a temporary file that is renamed when complete.
///
/// Each plane of `volume` is read once, in parallel, so the volume need not lie in memory as a
/// whole. The data type is that of its values, unscaled. Both sform and qform are set, because
/// readers differ in which they use; a sheared grid gets no qform. Equal volumes give equal files.
///
/// # Errors
/// `Io` (a full disk leaves nothing behind), `Unsupported` for another file name or more than
/// 32767 voxels along an axis.
pub fn write_nifti<P: Planes>(path: &Path, volume: &P) -> Result<()> {
    write_scaled_nifti(path, volume, 1.0)
}

/// As [`write_nifti`]; readers multiply the stored values by `slope`.
///
/// # Errors
/// As [`write_nifti`].
pub fn write_scaled_nifti<P: Planes>(path: &Path, volume: &P, slope: f32) -> Result<()> {
    let level = match P::Value::SCALAR.size() {
        1 => LABELS,
        _ => NUMBERS,
    };
    write_at(path, volume, slope, level)
}

/// Writes values from 0 to 1 in 255ths, one byte a voxel, which readers multiply by the file's slope.
/// Values beyond are cut off, and what is not a number becomes 0.
///
/// Rounding changes a value by at most 1/510, but for values next to `threshold`, which may change by
/// 1/250: a stored value is at or above a `threshold` below 1 where the value itself is, for readers
/// that compute in single and in double precision.
///
/// # Errors
/// As [`write_nifti`].
pub fn write_shares<P: Planes<Value = f32>>(
    path: &Path,
    volume: &P,
    threshold: Option<f32>,
) -> Result<()> {
    let shares = Shares::new(volume, threshold);
    write_at(path, &shares, 1.0 / Shares::<P>::ONE, NUMBERS)
}

/// A map of values from 0 to 1, in 255ths.
struct Shares<'a, P> {
    map: &'a P,
    threshold: f32,
    /// Highest number below the threshold.
    below: u8,
    /// Lowest number at or above the threshold.
    above: u8,
}

impl<'a, P> Shares<'a, P> {
    const ONE: f32 = 255.0;

    fn new(map: &'a P, threshold: Option<f32>) -> Self {
        let threshold = threshold.unwrap_or(0.0);
        let at = threshold.clamp(0.0, 1.0) * Self::ONE;
        // A number that is the threshold but for rounding is left out.
        let margin = 1e-3;
        Self {
            map,
            threshold,
            below: (at - margin).floor().max(0.0) as u8,
            above: if threshold > 0.0 {
                (at + margin).ceil().min(Self::ONE) as u8
            } else {
                0
            },
        }
    }

    fn number(&self, value: f32) -> u8 {
        // The cast cuts the fraction off and turns what is not a number into 0. `round` would be a call
        // for each voxel.
        let rounded = (value.clamp(0.0, 1.0) * Self::ONE + 0.5) as u8;
        if value >= self.threshold {
            rounded.max(self.above)
        } else {
            rounded.min(self.below)
        }
    }
}

impl<P: Planes<Value = f32>> Planes for Shares<'_, P> {
    type Value = u8;

    fn geometry(&self) -> &Geometry {
        self.map.geometry()
    }

    fn read_plane(&self, z: usize, out: &mut [u8]) {
        let mut values = vec![0.0; out.len()];
        self.map.read_plane(z, &mut values);
        for (number, &value) in out.iter_mut().zip(&values) {
            *number = self.number(value);
        }
    }
}

fn write_at<P: Planes>(path: &Path, volume: &P, slope: f32, level: u32) -> Result<()> {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let packed = name.ends_with(".nii.gz");
    if !packed && !name.ends_with(".nii") {
        return Err(
            Error::new(ErrorKind::Unsupported, "volumes are written as NIfTI only")
                .hint("name the file .nii or .nii.gz")
                .at(path),
        );
    }
    let mut header = header(volume.geometry(), P::Value::SCALAR).map_err(|e| e.at(path))?;
    header[112..116].copy_from_slice(&slope.to_le_bytes());
    Ok(multirnet_base::files::write_with(path, |mut file| {
        if packed {
            write_packed(&mut file, &header, volume, Compression::new(level))
        } else {
            write_plain(&mut file, &header, volume)
        }
    })?)
}

/// Writes uncompressed NIfTI-1 to `out`, plane by plane: what [`write_nifti`] writes to a `.nii` file.
///
/// # Errors
/// `Io` if `out` refuses; `Unsupported` for more than 32767 voxels along an axis.
pub fn stream_nifti<P: Planes>(out: &mut impl Write, volume: &P) -> Result<()> {
    let header = header(volume.geometry(), P::Value::SCALAR)?;
    write_plain(out, &header, volume).map_err(|e| Error::caused(ErrorKind::Write, e))
}

/// Bytes that [`stream_nifti`] writes for values of the type `scalar` on `geometry`.
#[must_use]
pub fn nifti_bytes(geometry: &Geometry, scalar: Scalar) -> u64 {
    (HEADER + 4) as u64 + geometry.len() as u64 * scalar.size() as u64
}

/// The header and the four bytes that state that there are no extensions.
fn head(header: &[u8]) -> Vec<u8> {
    [header, &[0; 4]].concat()
}

fn write_packed<P: Planes>(
    file: &mut impl Write,
    header: &[u8],
    volume: &P,
    level: Compression,
) -> std::io::Result<()> {
    let [nz, ny, nx] = volume.geometry().shape();
    let bytes = ny * nx * P::Value::SCALAR.size();
    let planes = (deflate::BLOCK / bytes).max(1);
    let blocks = nz.div_ceil(planes);
    deflate::write_gz(file, level, &head(header), blocks, |i, out| {
        let mut plane = vec![P::Value::from_f64(0.0); ny * nx];
        for z in i * planes..nz.min((i + 1) * planes) {
            volume.read_plane(z, &mut plane);
            encode(&plane, out);
        }
    })
}

fn write_plain<P: Planes>(file: &mut impl Write, header: &[u8], volume: &P) -> std::io::Result<()> {
    file.write_all(&head(header))?;
    let [nz, ny, nx] = volume.geometry().shape();
    let mut plane = vec![P::Value::from_f64(0.0); ny * nx];
    let mut bytes = Vec::new();
    for z in 0..nz {
        volume.read_plane(z, &mut plane);
        bytes.clear();
        encode(&plane, &mut bytes);
        file.write_all(&bytes)?;
    }
    Ok(())
}

/// Appends the little-endian bytes of values. `f64` holds every voxel type exactly, so the
/// conversion is lossless.
fn encode<T: Voxel>(values: &[T], out: &mut Vec<u8>) {
    macro_rules! encode {
        ($t:ty, $value:expr) => {{
            const SIZE: usize = size_of::<$t>();
            let start = out.len();
            out.resize(start + SIZE * values.len(), 0);
            // The compiler turns chunks of known size into plain stores.
            for (to, &v) in out[start..]
                .as_chunks_mut::<SIZE>()
                .0
                .iter_mut()
                .zip(values)
            {
                *to = $value(v).to_le_bytes();
            }
        }};
    }
    match T::SCALAR {
        Scalar::U8 => encode!(u8, |v: T| v.to_f64() as u8),
        Scalar::I8 => encode!(i8, |v: T| v.to_f64() as i8),
        Scalar::U16 => encode!(u16, |v: T| v.to_f64() as u16),
        Scalar::I16 => encode!(i16, |v: T| v.to_f64() as i16),
        Scalar::U32 => encode!(u32, |v: T| v.to_f64() as u32),
        Scalar::I32 => encode!(i32, |v: T| v.to_f64() as i32),
        Scalar::U64 => encode!(u64, |v: T| v.to_f64() as u64),
        Scalar::I64 => encode!(i64, |v: T| v.to_f64() as i64),
        Scalar::F32 => encode!(f32, |v: T| v.to_f32()),
        Scalar::F64 => encode!(f64, |v: T| v.to_f64()),
    }
}

fn header(geometry: &Geometry, scalar: Scalar) -> Result<[u8; HEADER]> {
    let [nz, ny, nx] = geometry.shape();
    let [sz, sy, sx] = geometry.spacing_mm();
    let mut h = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| h[at..at + bytes.len()].copy_from_slice(bytes);
    let float = |v: f64| (v as f32).to_le_bytes();

    put(0, &348i32.to_le_bytes());
    put(38, b"r");
    put(40, &3i16.to_le_bytes());
    for (i, n) in [nx, ny, nz, 1, 1, 1, 1].into_iter().enumerate() {
        let n = i16::try_from(n).map_err(|_| {
            Error::new(
                ErrorKind::Unsupported,
                format!("NIfTI-1 cannot hold {n} voxels along an axis"),
            )
            .hint("crop the volume")
        })?;
        put(42 + 2 * i, &n.to_le_bytes());
    }
    let datatype: i16 = match scalar {
        Scalar::U8 => 2,
        Scalar::I16 => 4,
        Scalar::I32 => 8,
        Scalar::F32 => 16,
        Scalar::F64 => 64,
        Scalar::I8 => 256,
        Scalar::U16 => 512,
        Scalar::U32 => 768,
        Scalar::I64 => 1024,
        Scalar::U64 => 1280,
    };
    put(70, &datatype.to_le_bytes());
    put(72, &(8 * scalar.size() as i16).to_le_bytes());
    // vox_offset, scl_slope; the intercept stays zero.
    put(108, &float(352.0));
    put(112, &float(1.0));
    // Millimetres.
    put(123, &[2]);
    put(148, b"multirnet");

    let lps = geometry.affine_lps();
    let mut ras = lps;
    for row in &mut ras[..2] {
        *row = row.map(|v| 0.0 - v);
    }
    put(254, &1i16.to_le_bytes());
    for (row, line) in ras[..3].iter().enumerate() {
        for (i, v) in line.iter().enumerate() {
            put(280 + 16 * row + 4 * i, &float(*v));
        }
    }
    let [z, y, x] = geometry.direction().map(|v| [0.0 - v[0], 0.0 - v[1], v[2]]);
    let (hand, quaternion) = quaternion([x, y, z]);
    let sheared = [(x, y), (y, z), (z, x)]
        .iter()
        .any(|(u, v)| dot(u, v).abs() > SHEAR);
    put(252, &i16::from(!sheared).to_le_bytes());
    for (i, v) in [hand, sx, sy, sz, 1.0, 1.0, 1.0, 1.0]
        .into_iter()
        .enumerate()
    {
        put(76 + 4 * i, &float(v));
    }
    for i in 0..3 {
        put(256 + 4 * i, &float(quaternion[i]));
        put(268 + 4 * i, &float(ras[i][3]));
    }
    put(344, b"n+1\0");
    Ok(h)
}

fn dot(u: &[f64; 3], v: &[f64; 3]) -> f64 {
    u.iter().zip(v).map(|(a, b)| a * b).sum()
}

/// The last three parts of the unit quaternion of the rotation whose columns are the unit vectors
/// `x`, `y`, `z`, with a first part that is not negative. The number is −1 if `z` was reversed
/// because the axes are left-handed, else 1.
fn quaternion([x, y, z]: [[f64; 3]; 3]) -> (f64, [f64; 3]) {
    let cross = [
        x[1] * y[2] - x[2] * y[1],
        x[2] * y[0] - x[0] * y[2],
        x[0] * y[1] - x[1] * y[0],
    ];
    let hand = if dot(&cross, &z) < 0.0 { -1.0 } else { 1.0 };
    let z = z.map(|v| v * hand);
    // Four times the square of each part. Dividing by the largest part is numerically stable.
    let squares = [
        1.0 + x[0] + y[1] + z[2],
        1.0 + x[0] - y[1] - z[2],
        1.0 - x[0] + y[1] - z[2],
        1.0 - x[0] - y[1] + z[2],
    ];
    let largest = (0..4)
        .max_by(|&i, &j| squares[i].total_cmp(&squares[j]))
        .unwrap_or(0);
    let s = 2.0 * squares[largest].max(0.0).sqrt();
    let (xy, xz, yz) = (x[1] + y[0], x[2] + z[0], y[2] + z[1]);
    let (a_b, a_c, a_d) = (y[2] - z[1], z[0] - x[2], x[1] - y[0]);
    let q = match largest {
        0 => [s / 4.0, a_b / s, a_c / s, a_d / s],
        1 => [a_b / s, s / 4.0, xy / s, xz / s],
        2 => [a_c / s, xy / s, s / 4.0, yz / s],
        _ => [a_d / s, xz / s, yz / s, s / 4.0],
    };
    let sign = if q[0] < 0.0 { -1.0 } else { 1.0 };
    (hand, [q[1] * sign, q[2] * sign, q[3] * sign])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Volume;

    #[test]
    fn shares_keep_the_side_of_the_threshold() {
        let geometry = Geometry::axial([1, 1, 1], [1.0; 3]).unwrap();
        let map = Volume::filled(0.0f32, geometry);
        for threshold in [0.0, 0.001, 0.2, 0.35, 0.4, 0.5, 0.6, 0.999f32] {
            let shares = Shares::new(&map, Some(threshold));
            let slope = 1.0 / Shares::<Volume<f32>>::ONE;
            for i in 0..=20_000 {
                let value = i as f32 / 20_000.0;
                let number = shares.number(value);
                let single = f32::from(number) * slope;
                let double = f64::from(number) * f64::from(slope);
                let is_above = value >= threshold;
                assert_eq!(single >= threshold, is_above, "{value} at {threshold}");
                assert_eq!(
                    double >= f64::from(threshold),
                    is_above,
                    "{value} at {threshold}"
                );
                let is_near = (value - threshold).abs() < 1.5 / 255.0;
                let most = if is_near { 1.0 / 250.0 } else { 1.0 / 510.0 };
                assert!(
                    (single - value).abs() <= most + 1e-6,
                    "{value} at {threshold}"
                );
            }
        }
        let shares = Shares::new(&map, None);
        let odd = [f32::NAN, -1.0, 2.0, f32::INFINITY].map(|v| shares.number(v));
        assert_eq!(odd, [0, 0, 255, 255]);
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let geometry = Geometry::axial([20, 64, 64], [1.0; 3]).unwrap();
        let volume = Volume::from_fn(geometry, |[z, y, x]| (z * 31 + y * 7 + x) as f32);
        let header = header(volume.geometry(), Scalar::F32).unwrap();
        for room in [0usize, 100, 348, 352, 1000, 352 + 4 * 20 * 64 * 64 - 1] {
            let mut room = vec![0; room];
            let error = write_plain(&mut &mut room[..], &header, &volume).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
        }
        let mut room = vec![0; 352 + 4 * 20 * 64 * 64];
        assert!(write_plain(&mut &mut room[..], &header, &volume).is_ok());
    }
}
