//! Weights on disk: a safetensors file with the configuration in its metadata.
//!
//! The metadata holds one key, `multirnet`: `{"format": 1, "config": {…}}`, with the configuration
//! as [`SystemConfig`] writes it. The name of a tensor is its path in the net
//! (`segmentation.encoders.0.units.0.conv.weight`). The running statistics of batch norms are
//! included. The same net always gives the same bytes.

pub use crate::tensors::{NamedTensor, names, tensors, trained_parameters};

use crate::error::{Error, ErrorKind, Result};
use crate::nets::MultiRNet;
use crate::systems::{AnyNet, System, SystemConfig};
use crate::tensors::replace;
use burn::module::Module;
use burn::tensor::{Device, bf16, f16};
use safetensors::{SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const KEY: &str = "multirnet";
const FORMAT: u32 = 1;
/// Largest file that [`load`] reads, in bytes; the largest preset has under 300 MB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// Number of names that a message lists before "and N more".
const LISTED: usize = 3;

#[derive(Serialize, Deserialize)]
struct Header<T> {
    format: u32,
    config: T,
}

/// Data type of stored weights. Vectors (norms, PReLU slopes, biases) are always stored as f32,
/// because they are small and running variances may exceed the range of f16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32 bits, exact.
    #[default]
    F32,
    /// 16 bits, 11 of them precision.
    F16,
    /// 16 bits, 8 of them precision, with the range of f32.
    Bf16,
}

/// A net that a weights file can hold.
pub trait Stored: Module {
    /// The configuration that is written to the file.
    fn stored_config(&self) -> SystemConfig;

    /// A new net of the configuration in a file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the configuration is that of another kind of net.
    fn of_stored(config: &SystemConfig, device: &Device) -> Result<Self>;
}

impl Stored for System {
    fn stored_config(&self) -> SystemConfig {
        self.config().clone()
    }

    fn of_stored(config: &SystemConfig, device: &Device) -> Result<Self> {
        Ok(config.init(device))
    }
}

impl Stored for MultiRNet {
    fn stored_config(&self) -> SystemConfig {
        self.config().clone().into()
    }

    fn of_stored(config: &SystemConfig, device: &Device) -> Result<Self> {
        match config.init(device).net {
            AnyNet::MultiRNet(net) => Ok(net),
            #[allow(unreachable_patterns, reason = "there may be one net only")]
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!("the weights are of {}, not MultiR-Net", config.card().name),
            )
            .hint("give a MultiR-Net weights file written by `multirnet train`")),
        }
    }
}

/// Writes the net to `path` in f32; see [`save_as`].
///
/// # Errors
///
/// Those of [`save_as`].
pub fn save(path: &Path, net: &impl Stored) -> Result<()> {
    save_as(path, net, Dtype::F32)
}

/// Writes the net to `path`, with matrices and kernels in `dtype`. It writes a temporary file
/// beside `path` first and then renames it.
///
/// # Errors
///
/// [`ErrorKind::Write`] if writing fails, and those of [`to_bytes`].
pub fn save_as(path: &Path, net: &impl Stored, dtype: Dtype) -> Result<()> {
    let bytes = to_bytes(net, dtype).map_err(|e| e.at(path))?;
    Ok(multirnet_base::files::write_synced(path, &bytes)?)
}

/// The net as a safetensors file.
///
/// # Errors
///
/// [`ErrorKind::Malformed`] if a value is not finite or does not fit `dtype`.
pub fn to_bytes(net: &impl Stored, dtype: Dtype) -> Result<Vec<u8>> {
    let internal = |e: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::Malformed,
            format!("cannot write the weights: {e}"),
        )
    };
    let mut encoded = Vec::new();
    for tensor in tensors(net) {
        let dtype = if tensor.shape.len() > 1 {
            dtype
        } else {
            Dtype::F32
        };
        let (dtype, bytes) = encode(&tensor, dtype)?;
        encoded.push((tensor.name, tensor.shape, dtype, bytes));
    }
    let views = encoded
        .iter()
        .map(|(name, shape, dtype, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| internal(&e))?;
    let header = Header {
        format: FORMAT,
        config: net.stored_config(),
    };
    let header = serde_json::to_string(&header).map_err(|e| internal(&e))?;
    let metadata = HashMap::from([(KEY.to_owned(), header)]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| internal(&e))
}

/// Reads a net from `path` onto `device`.
///
/// # Errors
///
/// [`ErrorKind::Io`] if the file cannot be read, and those of [`from_bytes`].
pub fn load<T: Stored>(path: &Path, device: &Device) -> Result<T> {
    from_bytes(&path.display().to_string(), &read(path)?, device)
}

/// Reads the tensors of the file at `path` into a new net of `config`, for example to start a
/// training from them. The configuration in the file may differ from `config`, but not in the
/// system.
///
/// # Errors
///
/// - [`ErrorKind::Mismatch`]: the file holds another system, or tensors of other names or shapes.
/// - Those of [`load`].
pub fn load_as(path: &Path, config: &SystemConfig, device: &Device) -> Result<System> {
    let bytes = read(path)?;
    let (file, stored) = open(&bytes).map_err(|e| e.at(path))?;
    let unfit = |reason: String| {
        let [has, needs] = [&stored, config].map(SystemConfig::lesion_channels);
        let hint = if stored.name() == config.name() && has != needs {
            format!("the weights have {has} lesion channels: set model.lesion_channels = {has}")
        } else {
            "give weights of the same system and sizes, or set [model] to theirs".to_owned()
        };
        Error::new(
            ErrorKind::Mismatch,
            format!("the weights do not fit the configured net: {reason}"),
        )
        .hint(hint)
    };
    if stored.name() != config.name() {
        let names = [&stored, config].map(|c| c.card().name);
        let reason = format!(
            "they are weights of {}, but the net is {}",
            names[0], names[1]
        );
        return Err(unfit(reason).at(path));
    }
    fill(config.init(device), &file, device, &unfit).map_err(|e| e.at(path))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let doing = "read the weights";
    let size = std::fs::metadata(path)
        .map_err(|e| Error::io(path, doing, e))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the file has {size} bytes, more than the limit of {MAX_FILE_BYTES}"),
        )
        .hint("give a weights file written by `multirnet train`")
        .at(path));
    }
    std::fs::read(path).map_err(|e| Error::io(path, doing, e))
}

/// Reads a net from the bytes of a safetensors file onto `device`. Messages name the file `name`.
///
/// # Errors
///
/// - [`ErrorKind::Malformed`]: the file is truncated or corrupt, or a value is not finite.
/// - [`ErrorKind::Unsupported`]: the file was not written by this program, or has another format
///   version or type.
/// - [`ErrorKind::Config`]: a field of the configuration is out of range.
/// - [`ErrorKind::Mismatch`]: tensors are missing, unknown or of the wrong shape; the message names
///   them.
pub fn from_bytes<T: Stored>(name: &str, bytes: &[u8], device: &Device) -> Result<T> {
    parse(bytes, device).map_err(|e| e.at(Path::new(name)))
}

/// The configuration that a weights file carries, without reading its tensors.
///
/// # Errors
///
/// Those of [`from_bytes`], except for errors of tensors.
pub fn config_of(name: &str, bytes: &[u8]) -> Result<SystemConfig> {
    open(bytes)
        .map(|(_, config)| config)
        .map_err(|e| e.at(Path::new(name)))
}

fn open(bytes: &[u8]) -> Result<(SafeTensors<'_>, SystemConfig)> {
    let foreign = |reason: &str| {
        Error::new(ErrorKind::Unsupported, reason.to_owned())
            .hint("give a weights file written by `multirnet train`")
    };
    let corrupt = |e: safetensors::SafeTensorError| {
        Error::new(
            ErrorKind::Malformed,
            format!("the file is not a complete safetensors file: {e}"),
        )
        .hint("the file is truncated, corrupt or not a weights file: copy or download it again")
    };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(corrupt)?;
    let file = SafeTensors::deserialize(bytes).map_err(corrupt)?;
    let header = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(KEY))
        .ok_or_else(|| foreign("the file holds no configuration of a net"))?;
    let header: Header<serde_json::Value> = serde_json::from_str(header)
        .map_err(|e| foreign(&format!("its configuration is unreadable: {e}")))?;
    if header.format != FORMAT {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the weights have format {}, but this program reads format {FORMAT}",
                header.format
            ),
        )
        .hint("use the program version that wrote the file, or newer"));
    }
    let config: SystemConfig = serde_json::from_value(header.config)
        .map_err(|e| foreign(&format!("its configuration is unreadable: {e}")))?;
    config.validate()?;
    Ok((file, config))
}

fn parse<T: Stored>(bytes: &[u8], device: &Device) -> Result<T> {
    let (file, config) = open(bytes)?;
    // Parameters are allocated at their first use, so a new net's shapes cost almost nothing.
    fill(T::of_stored(&config, device)?, &file, device, &mismatch)
}

/// Fills `net` with the tensors of `file`. `unfit` makes the error for other names or shapes.
fn fill<T: Module>(
    net: T,
    file: &SafeTensors<'_>,
    device: &Device,
    unfit: &dyn Fn(String) -> Error,
) -> Result<T> {
    let expected = names(&net);
    let mut found: BTreeMap<&str, TensorView<'_>> = file.iter().collect();
    let mut missing = Vec::new();
    let mut values = BTreeMap::new();
    for (name, _, shape) in &expected {
        let Some(view) = found.remove(name.as_str()) else {
            missing.push(name.as_str());
            continue;
        };
        if view.shape() != shape.as_slice() {
            return Err(unfit(format!(
                "tensor `{name}` has shape {:?}, but the net needs {shape:?}",
                view.shape()
            )));
        }
        values.insert(name.clone(), decode(name, &view)?);
    }
    if !missing.is_empty() {
        return Err(unfit(format!("missing: {}", list(&missing))));
    }
    if !found.is_empty() {
        let unknown: Vec<&str> = found.into_keys().collect();
        return Err(unfit(format!("unknown: {}", list(&unknown))));
    }
    Ok(replace(net, values, device))
}

fn mismatch(reason: String) -> Error {
    Error::new(
        ErrorKind::Mismatch,
        format!("the tensors do not match the configuration beside them: {reason}"),
    )
    .hint("the file was altered or written by another program version")
}

fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|n| format!("`{n}`"))
        .collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn encode(tensor: &NamedTensor, dtype: Dtype) -> Result<(safetensors::Dtype, Vec<u8>)> {
    let values = &tensor.values;
    let fits = |v: f32| match dtype {
        Dtype::F32 => v.is_finite(),
        Dtype::F16 => f16::from_f32(v).is_finite(),
        Dtype::Bf16 => bf16::from_f32(v).is_finite(),
    };
    if let Some(value) = values.iter().find(|v| !fits(**v)) {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "tensor `{}` holds {value}, which {dtype:?} cannot store",
                tensor.name
            ),
        )
        .hint("the training diverged, or the weights need f32"));
    }
    Ok(match dtype {
        Dtype::F32 => (
            safetensors::Dtype::F32,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
        Dtype::F16 => (
            safetensors::Dtype::F16,
            values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
        Dtype::Bf16 => (
            safetensors::Dtype::BF16,
            values
                .iter()
                .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
    })
}

fn decode(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let bytes = view.data();
    let (pairs, quads) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
    let values: Vec<f32> = match view.dtype() {
        safetensors::Dtype::F32 => quads.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        safetensors::Dtype::F16 => pairs
            .iter()
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect(),
        safetensors::Dtype::BF16 => pairs
            .iter()
            .map(|b| bf16::from_le_bytes(*b).to_f32())
            .collect(),
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("tensor `{name}` has type {other:?}"),
            )
            .hint("store the tensors as F32, F16 or BF16"));
        }
    };
    match values.iter().find(|v| !v.is_finite()) {
        None => Ok(values),
        Some(value) => Err(Error::new(
            ErrorKind::Malformed,
            format!("tensor `{name}` holds {value}"),
        )
        .hint("the training diverged or the file is corrupt: use other weights")),
    }
}
