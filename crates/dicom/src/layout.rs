//! The layout of stored values.

/// How the stored values are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub rows: usize,
    pub columns: usize,
    pub samples: usize,
    pub allocated: u32,
    pub stored: u32,
    pub high: u32,
    pub signed: bool,
    /// Stored values that mean "no data", inclusive.
    pub padding: Option<(i32, i32)>,
}
