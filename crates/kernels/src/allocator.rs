//! Tuning of the `mimalloc` allocator, for programs that use it.

/// Position of `mi_option_purge_delay` in `mimalloc.h` (the same in its versions 2 and 3).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Tells `mimalloc` to keep freed pages instead of giving them back to the system.
///
/// A training step frees and allocates the same gigabytes again and again. If the allocator returns
/// them, page faults take up to half of the step. The call has no effect on a program with another
/// allocator.
pub fn keep_freed_pages() {
    // SAFETY: the call writes one number into mimalloc's table of options and checks the position
    // against its length; any thread may call it at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

/// Gives pages that this thread has freed back to the system.
///
/// `mimalloc` gives them back while a thread goes on to allocate. A thread that waits from then on, as
/// those of a server do, keeps them. The call has no effect on a program with another allocator.
pub fn give_back() {
    // SAFETY: the call works on the calling thread's own heap; any thread may call it at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_option_is_set() {
        super::keep_freed_pages();
        // SAFETY: the call reads one number from the allocator's table of options.
        let delay = unsafe { libmimalloc_sys::mi_option_get(super::PURGE_DELAY) };
        assert_eq!(delay, -1);
    }
}
