//! The allocator of multirnet's programs: `mimalloc`, with a pool for large blocks.

mod pool;

use mimalloc::MiMalloc;
use pool::Pool;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::OnceLock;

/// Position of `mi_option_purge_delay` in `mimalloc.h` (the same in its versions 2 and 3).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds after which `mimalloc` gives a freed page back. Large blocks, whose page faults cost time, are in the
/// pool, which gives nothing back on its own. A training step takes as long with this delay as with none at all.
const PURGE_MS: std::ffi::c_long = 50;

/// Bytes of the smallest block that the pool holds. Maps of a network and slices of a scan are larger. Smaller blocks
/// together are a few percent of the memory of a training step or a scan.
const LARGE: usize = 256 << 10;

/// Address space of the pool, 64 GiB. Blocks that do not fit into it are `mimalloc`'s. Only pages in use cost memory.
const ROOM: u64 = 64 << 30;

static POOL: OnceLock<Option<Pool>> = OnceLock::new();

/// `mimalloc`, and a pool for blocks of 256 KiB and more once [`keep_freed_pages`] was called.
///
/// A training step frees and allocates the same gigabytes again and again, in blocks of many sizes.
/// `mimalloc` cuts its arenas into chunks of 32 MiB, and maps of other sizes leave gaps that nothing fills. The
/// pool takes the smallest gap that fits and joins neighbours at once, so a step needs little more than it has in use.
///
/// ```
/// use multirnet_kernels::allocator::{Allocator, keep_freed_pages};
///
/// #[global_allocator]
/// static ALLOCATOR: Allocator = Allocator;
///
/// keep_freed_pages();
/// let map = vec![1.0f32; 1 << 20];
/// assert_eq!(map.iter().sum::<f32>(), 1048576.0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Allocator;

/// Opens the pool of [`Allocator`], which keeps the freed pages of large blocks. Pages of small blocks go back to the
/// system after 50 ms.
///
/// If the pages of large blocks go back too, page faults take up to half of a training step. Where the system refuses
/// the pool's address space (`ulimit -v`, strict overcommit), large blocks stay with `mimalloc`. The call has no effect
/// on a program with another allocator.
pub fn keep_freed_pages() {
    // SAFETY: the call writes one number into mimalloc's table of options and checks the position
    // against its length; any thread may call it at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_MS) }
    POOL.get_or_init(|| Pool::new(usize::try_from(ROOM).ok()?));
}

/// Gives free pages of the pool, and pages that this thread has freed, back to the system.
///
/// `mimalloc` gives them back while a thread goes on to allocate. A thread that waits from then on, as
/// those of a server do, keeps them. The call has no effect on a program with another allocator.
pub fn give_back() {
    // SAFETY: the call works on the calling thread's own heap; any thread may call it at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
    if let Some(Some(pool)) = POOL.get() {
        pool.give_back();
    }
}

/// The pool, if it is open and may hold a block of this layout.
fn pool_for(layout: Layout) -> Option<&'static Pool> {
    if layout.size() < LARGE || layout.align() > pool::UNIT {
        return None;
    }
    POOL.get()?.as_ref()
}

/// The pool, if it holds this block.
fn pool_of(block: *mut u8, layout: Layout) -> Option<&'static Pool> {
    pool_for(layout).filter(|pool| pool.holds(block))
}

// SAFETY: a block comes from mimalloc or from the pool, each of which keeps the contract of `GlobalAlloc`. It goes back to
// the one whose address space it lies in; layouts that the pool never holds are mimalloc's.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match pool_for(layout).and_then(|pool| pool.take(layout.size())) {
            Some(block) => block.start,
            // SAFETY: the caller keeps the contract.
            None => unsafe { MiMalloc.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match pool_for(layout).and_then(|pool| pool.take(layout.size())) {
            Some(block) => {
                // SAFETY: the block has at least this many bytes, and nobody else has it.
                unsafe { block.start.write_bytes(0, block.used.min(layout.size())) };
                block.start
            }
            // SAFETY: the caller keeps the contract.
            None => unsafe { MiMalloc.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match pool_of(block, layout) {
            Some(pool) => pool.put(block, layout.size()),
            // SAFETY: the pool does not hold the block, so mimalloc does.
            None => unsafe { MiMalloc.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero and a layout's limit.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match pool_of(block, layout) {
            Some(pool) if size >= LARGE && pool.resize(block, layout.size(), size) => block,
            None if pool_for(wanted).is_none() => {
                // SAFETY: the block is mimalloc's and stays there.
                unsafe { MiMalloc.realloc(block, layout, size) }
            }
            _ => {
                // SAFETY: the layout is valid as above.
                let moved = unsafe { self.alloc(wanted) };
                if !moved.is_null() {
                    // SAFETY: both blocks have this many bytes and do not overlap; the old one is not used again.
                    unsafe {
                        moved.copy_from_nonoverlapping(block, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_set() {
        keep_freed_pages();
        // SAFETY: the call reads one number from the allocator's table of options.
        let delay = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay, PURGE_MS);
    }

    /// Blocks of both kinds keep their contents while they grow and shrink over the border between them.
    #[test]
    fn blocks_keep_their_contents_between_mimalloc_and_the_pool() {
        keep_freed_pages();
        let sizes = [
            LARGE / 2,
            LARGE,
            3 * LARGE + 5,
            2 * LARGE,
            LARGE - 1,
            7 * LARGE,
            64,
        ];
        let layout = |size| Layout::from_size_align(size, 64).unwrap();
        // SAFETY: each block is used with the layout that it has, within its size.
        unsafe {
            let mut block = Allocator.alloc_zeroed(layout(sizes[0]));
            let mut kept = 0;
            for (i, pair) in sizes.windows(2).enumerate() {
                assert!(
                    std::slice::from_raw_parts(block, kept)
                        .iter()
                        .all(|b| usize::from(*b) == i)
                );
                block.write_bytes(i as u8 + 1, pair[0]);
                block = Allocator.realloc(block, layout(pair[0]), pair[1]);
                assert!(block.addr().is_multiple_of(64));
                kept = pair[0].min(pair[1]);
            }
            Allocator.dealloc(block, layout(sizes[sizes.len() - 1]));
        }
    }

    #[test]
    fn zeroed_blocks_are_zero_where_others_were() {
        keep_freed_pages();
        let layout = Layout::from_size_align(5 * LARGE, 16).unwrap();
        for _ in 0..3 {
            // SAFETY: the block has the layout's size.
            unsafe {
                let block = Allocator.alloc_zeroed(layout);
                assert!(
                    std::slice::from_raw_parts(block, layout.size())
                        .iter()
                        .all(|b| *b == 0)
                );
                block.write_bytes(1, layout.size());
                Allocator.dealloc(block, layout);
            }
        }
    }

    #[test]
    fn a_large_alignment_is_kept() {
        keep_freed_pages();
        let layout = Layout::from_size_align(2 * LARGE, 2 * pool::UNIT).unwrap();
        // SAFETY: the block goes back with its layout.
        unsafe {
            let block = Allocator.alloc(layout);
            assert!(block.addr().is_multiple_of(layout.align()));
            Allocator.dealloc(block, layout);
        }
    }
}
