//! The choices of an export.

use multirnet_infer::ModelCard;

/// The outputs of an exported net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum What {
    /// The lesion map alone.
    Lesion,
    /// The class logits alone.
    Class,
    /// All that the net gives.
    #[default]
    Both,
}

/// Choices of an export.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The outputs.
    pub what: What,
    /// Whether kernels and matrices are stored in 16 bits. They are cast to 32 bits before use, so
    /// that sums and maps keep their precision.
    pub half: bool,
    /// Where the net comes from, for the file's metadata.
    pub provenance: Provenance,
}

/// The model that a net comes from.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// Name of the model.
    pub name: String,
    /// SHA-256 of the model's file, hexadecimal; empty if there is no file.
    pub sha256: String,
    /// The model's card, if it has one.
    pub card: Option<ModelCard>,
}
