//! A pointer that crosses threads.

/// A pointer that tasks share; each writes its own part.
#[derive(Clone, Copy)]
pub(crate) struct Pointer(pub *mut f32);
// SAFETY: whoever shares one makes tasks write disjoint positions, and says why at the write.
unsafe impl Send for Pointer {}
// SAFETY: as above.
unsafe impl Sync for Pointer {}
