//! What all parts share: the programs that are measured, and talk.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the parts share.
pub(crate) struct Bench {
    pub(crate) regatta: PathBuf,
    pub(crate) ruler: PathBuf,
    pub(crate) rounds: usize,
    /// More flags for regatta.
    pub(crate) flags: Vec<OsString>,
    /// For whatever the processes write.
    pub(crate) scratch: tempfile::TempDir,
}

#[expect(clippy::print_stdout, reason = "the tables are the output of this program")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Progress of a measurement that takes minutes.
#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
