//! Large blocks in one piece of address space: the smallest gap that fits, neighbours joined at once.

use memmap2::{MmapOptions, MmapRaw};
use range_alloc::RangeAllocator;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks start and end at multiples of this many bytes, the size of a page on most processors.
pub(super) const UNIT: usize = 4096;

/// A piece of address space and what of it is in use.
pub(super) struct Pool {
    memory: MmapRaw,
    state: Mutex<State>,
}

struct State {
    /// Free and taken units.
    ranges: RangeAllocator<usize>,
    /// Units from here on were never part of a block.
    untouched: usize,
}

/// A block of the pool.
pub(super) struct Block {
    pub(super) start: *mut u8,
    /// Bytes from the start on that other blocks may have written. The system fills the rest with zeros.
    pub(super) used: usize,
}

impl Pool {
    /// A pool of `room` bytes of address space; `None` if the system refuses it.
    pub(super) fn new(room: usize) -> Option<Self> {
        let memory = MmapOptions::new()
            .len(room)
            .no_reserve_swap()
            .map_anon()
            .ok()?;
        let memory = MmapRaw::from(memory);
        Some(Self {
            memory,
            state: Mutex::new(State {
                ranges: RangeAllocator::new(0..room / UNIT),
                untouched: 0,
            }),
        })
    }

    /// The allocator stays usable if a thread panicked with the lock: every change of the state is complete.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of `size` bytes, more than none; `None` if no gap has room for it.
    pub(super) fn take(&self, size: usize) -> Option<Block> {
        let mut state = self.state();
        let range = state.ranges.allocate_range(size.div_ceil(UNIT)).ok()?;
        let used = state.untouched.min(range.end).saturating_sub(range.start);
        state.untouched = state.untouched.max(range.end);
        Some(Block {
            // SAFETY: the range lies within the address space.
            start: unsafe { self.memory.as_mut_ptr().add(range.start * UNIT) },
            used: used * UNIT,
        })
    }

    /// Frees a block of `size` bytes that [`take`](Self::take) made.
    pub(super) fn put(&self, block: *mut u8, size: usize) {
        let range = self.range(block, size);
        self.state().ranges.free_range(range);
    }

    /// Makes a block of `from` bytes one of `to` bytes if it can stay in its place; `false` if it has to move.
    pub(super) fn resize(&self, block: *mut u8, from: usize, to: usize) -> bool {
        let (from, to) = (self.range(block, from), self.range(block, to));
        if to.end < from.end {
            self.state().ranges.free_range(to.end..from.end);
        }
        to.end <= from.end
    }

    /// Whether a block starts in the pool.
    pub(super) fn holds(&self, block: *mut u8) -> bool {
        let start = self.memory.as_ptr().addr();
        (start..start + self.memory.len()).contains(&block.addr())
    }

    /// Gives the pages of all gaps back to the system.
    pub(super) fn give_back(&self) {
        #[cfg(unix)]
        {
            let state = self.state();
            for gap in gaps(&state) {
                // SAFETY: no block has these pages, and none can be made before the lock is free. An error leaves
                // the pages where they are.
                let _ = unsafe {
                    self.memory.unchecked_advise_range(
                        memmap2::UncheckedAdvice::DontNeed,
                        gap.start * UNIT,
                        gap.len() * UNIT,
                    )
                };
            }
        }
    }

    /// The units of a block.
    fn range(&self, block: *mut u8, size: usize) -> Range<usize> {
        let start = (block.addr() - self.memory.as_ptr().addr()) / UNIT;
        start..start + size.div_ceil(UNIT)
    }
}

/// Free units that were part of a block before.
fn gaps(state: &State) -> Vec<Range<usize>> {
    let mut gaps = Vec::new();
    let mut start = 0;
    for taken in state.ranges.allocated_ranges() {
        if start < taken.start {
            gaps.push(start..taken.start);
        }
        start = taken.end;
    }
    if start < state.untouched {
        gaps.push(start..state.untouched);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 64 * UNIT;

    fn pool() -> Pool {
        Pool::new(ROOM).unwrap()
    }

    fn at(pool: &Pool, block: &Block) -> usize {
        (block.start.addr() - pool.memory.as_ptr().addr()) / UNIT
    }

    #[test]
    fn a_block_takes_the_smallest_gap_that_fits() {
        let pool = pool();
        let sizes = [8, 1, 3, 1, 5, 1].map(|n| n * UNIT);
        let blocks = sizes.map(|size| pool.take(size).unwrap());
        for i in [0, 2, 4] {
            pool.put(blocks[i].start, sizes[i]);
        }
        let starts = [2 * UNIT + 1, 4 * UNIT].map(|size| at(&pool, &pool.take(size).unwrap()));
        assert_eq!(starts, [9, 13]);
    }

    #[test]
    fn neighbours_become_one_gap() {
        let pool = pool();
        let half = ROOM / 2;
        let [a, b] = [0; 2].map(|_| pool.take(half).unwrap());
        assert!(pool.take(UNIT).is_none());
        pool.put(a.start, half);
        assert!(pool.take(ROOM).is_none());
        pool.put(b.start, half);
        assert_eq!(pool.take(ROOM).unwrap().used, ROOM);
    }

    #[test]
    fn only_touched_pages_count_as_used() {
        let pool = pool();
        let a = pool.take(3 * UNIT).unwrap();
        assert_eq!(a.used, 0);
        pool.put(a.start, 3 * UNIT);
        assert_eq!(pool.take(5 * UNIT).unwrap().used, 3 * UNIT);
    }

    #[test]
    fn a_block_shrinks_in_its_place() {
        let pool = pool();
        let a = pool.take(10 * UNIT).unwrap();
        assert!(pool.resize(a.start, 10 * UNIT, 4 * UNIT + 1));
        assert!(!pool.resize(a.start, 4 * UNIT + 1, 6 * UNIT));
        assert_eq!(at(&pool, &pool.take(5 * UNIT).unwrap()), 5);
        pool.put(a.start, 4 * UNIT + 1);
        assert_eq!(at(&pool, &pool.take(5 * UNIT).unwrap()), 0);
    }

    #[test]
    fn foreign_blocks_are_not_held() {
        let (pool, other) = (pool(), pool());
        let block = other.take(UNIT).unwrap();
        assert!(other.holds(block.start) && !pool.holds(block.start));
        assert!(!pool.holds(std::ptr::null_mut()));
    }

    /// Pages that went back to the system are zero, and those of blocks keep their contents.
    #[cfg(target_os = "linux")]
    #[test]
    fn gaps_go_back_and_blocks_stay() {
        let pool = pool();
        let sizes = [4 * UNIT, 2 * UNIT, 3 * UNIT];
        let blocks = sizes.map(|size| pool.take(size).unwrap());
        for (block, size) in blocks.iter().zip(sizes) {
            // SAFETY: the block has this many bytes.
            unsafe { block.start.write_bytes(7, size) };
        }
        pool.put(blocks[0].start, sizes[0]);
        pool.put(blocks[2].start, sizes[2]);
        pool.give_back();
        // SAFETY: the pool's first nine pages are mapped.
        let bytes = unsafe { std::slice::from_raw_parts(pool.memory.as_ptr(), 9 * UNIT) };
        let expected = |i: usize| {
            if (4 * UNIT..6 * UNIT).contains(&i) {
                7
            } else {
                0
            }
        };
        assert!(bytes.iter().enumerate().all(|(i, b)| *b == expected(i)));
    }

    /// Threads take, fill and free blocks of random sizes; nobody writes into the block of another.
    #[test]
    fn blocks_of_many_threads_do_not_overlap() {
        let pool = Pool::new(4096 * UNIT).unwrap();
        std::thread::scope(|scope| {
            for thread in 1..=4u8 {
                let pool = &pool;
                scope.spawn(move || {
                    let mut kept: Vec<(usize, usize)> = Vec::new();
                    let mut random = u64::from(thread);
                    for _ in 0..2000 {
                        random = random
                            .wrapping_mul(6364136223846793005)
                            .wrapping_add(1442695040888963407);
                        let size = (random >> 33) as usize % (40 * UNIT) + 1;
                        if let Some(block) = pool.take(size) {
                            // SAFETY: the block has this many bytes.
                            unsafe { block.start.write_bytes(thread, size) };
                            kept.push((block.start.expose_provenance(), size));
                        }
                        if kept.len() > 8 {
                            let (start, size) = kept.swap_remove((random >> 20) as usize % 8);
                            let block = std::ptr::with_exposed_provenance_mut::<u8>(start);
                            // SAFETY: the block is still taken and has this many bytes.
                            let bytes = unsafe { std::slice::from_raw_parts(block, size) };
                            assert!(bytes.iter().all(|b| *b == thread));
                            pool.put(block, size);
                        }
                    }
                });
            }
        });
    }
}
