//! Helpers for tests across crates: the real binaries as processes, a real engine, places to work in.
//!
//! Everything here blocks and has a deadline; a helper that misses its deadline panics with all the
//! processes said. Nothing outlives the test that started it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

pub mod difference;
pub mod engine;
pub mod fleet;
pub mod http;
pub mod outcome;
pub mod process;
pub mod sshd;

/// A port on loopback that was free a moment ago.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// The top of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("tests/ lies in the repository").to_owned()
}

/// Where cargo puts what it builds for this profile, e.g. `target/debug`.
///
/// # Panics
/// When the test was not started from there.
#[must_use]
pub fn build_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let deps = test.parent().expect("a file lies in a folder");
    deps.parent().expect("tests are built in target/PROFILE/deps").to_owned()
}
