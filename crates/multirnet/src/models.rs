//! The models that a user can name, and the default model.

use crate::Result;
use multirnet_infer::{Catalogue, DeviceChoice, EmbeddedModel, Model};
use std::ffi::OsStr;

/// The default model, which is part of the program. Its card is in `models/`.
pub const DEFAULT_MODEL: EmbeddedModel = EmbeddedModel {
    name: "lungs-small",
    bytes: include_bytes!("../../../models/lungs-small/model.safetensors"),
};

/// All models that a user can name: the one in the program, and those in the folders that
/// [`Catalogue`] describes.
pub fn models() -> Catalogue {
    Catalogue::of_program(&[DEFAULT_MODEL])
}

/// Loads a model by name or path, on the CPU; `None` stands for [`DEFAULT_MODEL`].
///
/// # Errors
/// `Model` if no model has that name, or its file is damaged.
pub fn load_model(name_or_path: Option<&OsStr>) -> Result<Model> {
    load_model_on(name_or_path, DeviceChoice::Cpu)
}

/// Loads a model like [`load_model`], on `device`.
///
/// # Errors
/// As [`load_model`], and `Device` if the device cannot be used.
pub fn load_model_on(name_or_path: Option<&OsStr>, device: DeviceChoice) -> Result<Model> {
    let wanted = name_or_path.unwrap_or(OsStr::new(DEFAULT_MODEL.name));
    Ok(models().find(wanted)?.load(device)?)
}
