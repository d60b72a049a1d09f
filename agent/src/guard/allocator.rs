//! Freed memory is of use to the host only once the allocator has let go of it.

/// Gives freed memory back to the kernel (malloc_trim(3)); a no-op where the C library is not
/// glibc.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function takes no pointer and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
