//! A pointer that several threads share.

/// A pointer that several tasks share. Each of them writes its own part of the array.
#[derive(Clone, Copy)]
pub(crate) struct Pointer<T = f32>(pub *mut T);
// SAFETY: tasks that share a pointer write disjoint positions; each write explains why.
unsafe impl<T: Send> Send for Pointer<T> {}
// SAFETY: tasks that share a reference write disjoint positions too, since they copy the pointer.
unsafe impl<T: Send> Sync for Pointer<T> {}
