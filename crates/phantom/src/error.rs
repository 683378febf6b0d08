//! The crate's error.

/// The kind of an error. Callers can decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A field of the configuration is outside what can be rendered.
    Config,
    /// The grid is unusable.
    Geometry,
    /// Two volumes that should share a grid do not.
    Mismatch,
    /// There are no lungs, or nearly nothing of them is left for lesions.
    NoLungs,
}

multirnet_base::error_type!(ErrorKind, config = Config);

impl From<multirnet_volume::Error> for Error {
    fn from(error: multirnet_volume::Error) -> Self {
        Self::caused(ErrorKind::Geometry, error).within("the phantom's grid is unusable")
    }
}
