//! Which labels of a training window are known.

/// Which labels of a window are known. The loss and the scores of a task leave out windows without
/// the task's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Whether its lesions were outlined. Otherwise its lesion labels mean nothing.
    pub lesion: bool,
    /// Whether the labels 1 and 2 tell ground glass from consolidation. Otherwise any label but 0
    /// is a lesion of unknown kind.
    pub kinds: bool,
    /// Whether its class is known.
    pub class: bool,
}

impl Known {
    /// Everything is known.
    pub const ALL: Self = Self {
        lesion: true,
        kinds: true,
        class: true,
    };
}

impl Default for Known {
    fn default() -> Self {
        Self::ALL
    }
}
