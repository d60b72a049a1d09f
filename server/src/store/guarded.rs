//! Work on what others wrote, so that a panic in it costs that one thing and not the server.
//!
//! Decoders refuse what they do not understand; this is for the error in them that nobody has found
//! yet. Whatever was being changed when the panic came must be given up by the caller.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::StoreError;

/// The longest message of a panic that is kept.
const MAX_MESSAGE: usize = 200;

/// What `work` gives, or what it said when it panicked.
///
/// # Errors
/// [`StoreError::Crashed`] when `work` panics.
pub fn guarded<T>(doing: &'static str, work: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| StoreError::Crashed { doing, message: message(&*panic) })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").chars().take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_what_was_done_and_what_it_said() {
        let error = guarded("decode a batch", || -> u8 { panic!("index {}", 7) }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "an error in this server: to decode a batch ended in: index 7"
        );
        assert_eq!(guarded("add", || 1 + 1).unwrap(), 2);
    }
}
