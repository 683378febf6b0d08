//! Tuning of the `mimalloc` allocator, for programs that use it.

/// Position of `mi_option_purge_delay` in `mimalloc.h` (the same in its versions 2 and 3).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Tells `mimalloc` to keep freed pages instead of giving them back to the system.
///
/// A network's step frees and takes the same gigabytes again and again; returning them costs up to
/// half of the step in page faults. Does nothing to a program with another allocator.
pub fn keep_freed_pages() {
    // SAFETY: the call writes one number into mimalloc's table of options, which it checks the
    // position against; it may be called at any time and from any thread.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_option_is_set() {
        super::keep_freed_pages();
        // SAFETY: reads one number from the table.
        assert_eq!(
            unsafe { libmimalloc_sys::mi_option_get(super::PURGE_DELAY) },
            -1
        );
    }
}
