//! Helpers for tests across crates: the real binaries as processes, a real engine, places to work in.
//!
//! Everything here blocks and has a deadline; a helper that misses its deadline panics with all the
//! processes said. Nothing outlives the test that started it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

pub mod difference;
pub mod engine;
pub mod fleet;
pub mod http;
pub mod modules;
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

/// All Rust files of the repository, by path from its top, sorted; nothing that was built.
///
/// # Panics
/// When a folder cannot be read.
#[must_use]
pub fn rust_files() -> Vec<String> {
    let top = repository();
    let mut open = vec![top.clone()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                open.push(path);
            } else if name.ends_with(".rs") {
                let below = path.strip_prefix(&top).expect("below the top");
                files.push(below.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    files
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
