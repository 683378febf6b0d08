//! What is known of a training window.

/// What is known of a window. A task's loss and scores leave out windows that do not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Whether its lesion labels are truth at all.
    pub lesion: bool,
    /// Whether the labels 1 and 2 tell ground glass from consolidation; else any label but 0 is a
    /// lesion of a kind that nobody named.
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
