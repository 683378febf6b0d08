//! Models by name.

use crate::card::read_file;
use crate::{DeviceChoice, Error, ErrorKind, Model, ModelCard, Result};
use multirnet_base::digest::sha256;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Environment variable that lists folders of models, separated as in `PATH`.
pub const MODELS_VARIABLE: &str = "MULTIRNET_MODELS";
/// Name of the model's file in a model's folder.
pub const MODEL_FILE: &str = "model.safetensors";
/// Name of a folder of models.
const FOLDER: &str = "models";
/// Extension of model files.
const ENDING: &str = "safetensors";

/// A model that is compiled into the program.
#[derive(Clone, Copy)]
pub struct EmbeddedModel {
    /// Name of the model.
    pub name: &'static str,
    /// Content of the model's file.
    pub bytes: &'static [u8],
}

impl std::fmt::Debug for EmbeddedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "EmbeddedModel({}, {} bytes)",
            self.name,
            self.bytes.len()
        )
    }
}

/// Where a model's file is.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// Compiled into the program.
    Embedded(EmbeddedModel),
    /// On disk, at this path.
    File(PathBuf),
}

impl ModelSource {
    /// Content of the model's file.
    ///
    /// # Errors
    /// `Io` if the file cannot be read, `Model` if it is too large for a model.
    pub fn bytes(&self) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::Embedded(model) => Ok(Cow::Borrowed(model.bytes)),
            Self::File(path) => read_file(path).map(Cow::Owned),
        }
    }

    /// Loads the model onto `device`.
    ///
    /// # Errors
    /// Those of [`Model::load`].
    pub fn load(&self, device: DeviceChoice) -> Result<Model> {
        match self {
            Self::Embedded(model) => Model::from_bytes(model.name, model.bytes, device),
            Self::File(path) => Model::load(path, device),
        }
    }
}

impl std::fmt::Display for ModelSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded(_) => f.write_str("in the program"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Finds models by name or path.
///
/// A text that is empty, holds a path separator, begins with a dot or ends in `.safetensors` is a
/// path to a file, or to a folder with [`MODEL_FILE`] in it. Any other text is a name. The
/// catalogue of the running program ([`of_program`](Self::of_program)) looks a name up in these
/// places and takes the first model that it finds:
///
/// 1. the models in the program, whose names are reserved: no folder can replace them;
/// 2. each folder that [`MODELS_VARIABLE`] lists, in its order;
/// 3. `models/` in the working folder;
/// 4. `models/` beside the program's own file.
///
/// In a folder the model `NAME` is `NAME/model.safetensors`, or else `NAME.safetensors`.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    embedded: Vec<EmbeddedModel>,
    folders: Vec<PathBuf>,
}

/// A model that a [`Catalogue`] has found.
#[derive(Debug)]
pub struct CatalogueEntry {
    /// Name of the model.
    pub name: String,
    /// Where the model's file is.
    pub source: ModelSource,
    /// Whether an earlier place has a model of this name. The catalogue then takes that one.
    pub hidden: bool,
    /// Facts from the model's file, or the reason why they cannot be read.
    pub facts: Result<ModelFacts>,
}

/// Facts from a model's file.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// The model card.
    pub card: ModelCard,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: usize,
}

impl Catalogue {
    /// A catalogue of `embedded` and of the models in `folders`, in this order. A repeated folder
    /// counts once.
    pub fn new(embedded: &[EmbeddedModel], folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut seen = HashSet::new();
        let folders = folders.into_iter().filter(|folder| {
            let place = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            seen.insert(place)
        });
        Self {
            embedded: embedded.to_vec(),
            folders: folders.collect(),
        }
    }

    /// The catalogue of the running program, which contains the models `embedded`. Its folders are
    /// those that [`MODELS_VARIABLE`] lists, and `models/` in the working folder and beside the
    /// program's file.
    pub fn of_program(embedded: &[EmbeddedModel]) -> Self {
        let listed = std::env::var_os(MODELS_VARIABLE).unwrap_or_default();
        let program = std::env::current_exe().ok();
        let beside = program.as_deref().and_then(Path::parent);
        let folders = std::env::split_paths(&listed)
            .filter(|folder| !folder.as_os_str().is_empty())
            .chain([PathBuf::from(FOLDER)])
            .chain(beside.map(|folder| folder.join(FOLDER)))
            .collect::<Vec<_>>();
        Self::new(embedded, folders)
    }

    /// The folders that are searched, in order.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Whether `text`, which stands for a model, is a path and not a name.
    pub fn is_path(text: &str) -> bool {
        is_path(text)
    }

    /// The model that `wanted`, a name or a path, stands for.
    ///
    /// # Errors
    /// `NotFound` if no place has a model of that name; the message lists the known names and the
    /// places. A path is not checked here: reading it fails if the file does not exist.
    pub fn find(&self, wanted: impl AsRef<OsStr>) -> Result<ModelSource> {
        let wanted = wanted.as_ref();
        let Some(text) = wanted.to_str().filter(|text| !is_path(text)) else {
            let path = PathBuf::from(wanted);
            let inside = path.join(MODEL_FILE);
            return Ok(ModelSource::File(if inside.is_file() {
                inside
            } else {
                path
            }));
        };
        if let Some(model) = self.embedded.iter().find(|m| m.name == text) {
            return Ok(ModelSource::Embedded(*model));
        }
        let found = self
            .folders
            .iter()
            .find_map(|folder| in_folder(folder, text));
        found.map(ModelSource::File).ok_or_else(|| {
            let names: Vec<String> = self.places().into_iter().map(|(name, ..)| name).collect();
            let folders = self.folders.iter().map(|f| format!(", {}", f.display()));
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "no model is named {text:?}; known: {}; looked in: the program{}",
                    if names.is_empty() {
                        "none".to_owned()
                    } else {
                        names.join(", ")
                    },
                    folders.collect::<String>()
                ),
            )
            .hint(format!(
                "give a known name or a file's path, such as ./{text}, or list the folder that \
                 holds the model's folder in {MODELS_VARIABLE}"
            ))
        })
    }

    /// Every model in every place, in the order in which names are looked up. Within a folder
    /// models are sorted by name. A file that cannot be read as a model is listed with the reason.
    pub fn list(&self) -> Vec<CatalogueEntry> {
        let mut taken = HashSet::new();
        self.places()
            .into_iter()
            .map(|(name, source)| CatalogueEntry {
                hidden: !taken.insert(name.clone()),
                facts: facts(&name, &source),
                name,
                source,
            })
            .collect()
    }

    /// Names and sources of all models, in the order in which names are looked up.
    fn places(&self) -> Vec<(String, ModelSource)> {
        let embedded = self.embedded.iter();
        let mut places: Vec<_> = embedded
            .map(|m| (m.name.to_owned(), ModelSource::Embedded(*m)))
            .collect();
        for folder in &self.folders {
            // A folder that does not exist or may not be read has no models.
            let Ok(entries) = std::fs::read_dir(folder) else {
                continue;
            };
            let mut names: Vec<String> = entries
                .flatten()
                .filter_map(|entry| name_of(&entry.path()))
                .collect();
            names.sort();
            names.dedup();
            places.extend(names.into_iter().filter_map(|name| {
                let path = in_folder(folder, &name)?;
                Some((name, ModelSource::File(path)))
            }));
        }
        places
    }
}

/// Whether a text that stands for a model is a path.
fn is_path(text: &str) -> bool {
    text.is_empty()
        || text.starts_with('.')
        || text.contains(std::path::is_separator)
        || Path::new(text).extension().is_some_and(|e| e == ENDING)
}

/// The file of the model `name` in a folder of models.
fn in_folder(folder: &Path, name: &str) -> Option<PathBuf> {
    let own = folder.join(name).join(MODEL_FILE);
    let files = [own, folder.join(format!("{name}.{ENDING}"))];
    files.into_iter().find(|path| path.is_file())
}

/// The name of the model at an entry of a folder of models; `None` if the entry cannot be a model.
fn name_of(entry: &Path) -> Option<String> {
    let part = if entry.is_dir() {
        entry.file_name()
    } else if entry.extension().is_some_and(|e| e == ENDING) {
        entry.file_stem()
    } else {
        None
    };
    let name = part?.to_str()?;
    (!is_path(name)).then(|| name.to_owned())
}

fn facts(name: &str, source: &ModelSource) -> Result<ModelFacts> {
    let bytes = source.bytes()?;
    let label = match source {
        ModelSource::Embedded(_) => name.to_owned(),
        ModelSource::File(path) => path.display().to_string(),
    };
    Ok(ModelFacts {
        card: ModelCard::read(&label, &bytes)?.unwrap_or_else(|| ModelCard::unknown(name)),
        sha256: sha256(&bytes),
        bytes: bytes.len(),
    })
}
