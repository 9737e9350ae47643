//! Whether the wall clock is kept to a reference, as the kernel knows it.

use std::io;
use std::mem::MaybeUninit;

/// Asks the kernel, whichever daemon it is that steers the clock. Changes nothing.
///
/// # Errors
/// The kernel does not answer.
#[expect(unsafe_code, reason = "no safe binding for adjtimex")]
pub(super) fn synchronized() -> io::Result<bool> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: `timex` is plain numbers, for which zero is a value; with `modes` at 0 the call only
    // writes to it, and it is ours alone.
    let (answer, status) = unsafe {
        let answer = libc::adjtimex(state.as_mut_ptr());
        (answer, state.assume_init().status)
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_state_is_read_or_has_a_reason() {
        match synchronized() {
            // Which of the two depends on the machine; asked twice it is the same.
            Ok(state) => assert_eq!(synchronized().unwrap(), state),
            Err(error) => assert!(error.raw_os_error().is_some(), "{error}"),
        }
    }
}
