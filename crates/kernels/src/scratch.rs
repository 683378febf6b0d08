//! Buffers that are kept between calls. Fresh pages from the system would cost more than packing.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

const KEPT: usize = 24;
static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// A buffer of the wanted length with arbitrary (but initialised) content.
///
/// It starts at a cache line, because vectors that straddle two lines are slower.
pub(crate) struct Scratch {
    buffer: Vec<f32>,
    start: usize,
    len: usize,
}

/// Floats of a cache line.
const LINE: usize = 16;

impl Scratch {
    pub(crate) fn take(len: usize) -> Self {
        let wanted = len + LINE;
        let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
        // Takes the smallest buffer that is large enough, or else the largest, which then grows.
        let pick = (0..pool.len()).min_by_key(|&i| {
            let have = pool[i].len();
            if have >= wanted {
                (0, have)
            } else {
                (1, usize::MAX - have)
            }
        });
        let mut buffer = pick.map(|i| pool.swap_remove(i)).unwrap_or_default();
        drop(pool);
        if buffer.len() < wanted {
            buffer = Vec::new(); // Freed before the allocation: its content is not needed.
            buffer.resize(wanted, 0.0);
        }
        let start = buffer.as_ptr().align_offset(LINE * size_of::<f32>());
        let start = start.min(LINE);
        Self { buffer, start, len }
    }
}

/// Frees the buffers that are kept for later calls.
pub fn release_scratch() {
    POOL.lock().unwrap_or_else(|e| e.into_inner()).clear();
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
        if pool.len() < KEPT {
            pool.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.buffer[self.start..self.start + self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.start..self.start + self.len]
    }
}
