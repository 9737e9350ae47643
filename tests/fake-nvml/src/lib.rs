//! A fake `libnvidia-ml.so.1` that plays a GPU script, for tests through the real `nvml-wrapper`.
//!
//! The C side (`exports`) only checks pointers and lengths; what is answered comes from
//! `state`. Of NVML's some 400 functions it has those that Regatta calls and their nearest
//! kin; a missing one behaves as with an older driver. The script is found as
//! `docs/gpu-script.md` says.

mod abi;
mod exports;
mod script;
mod state;

use std::path::{Path, PathBuf};

pub use script::{gpu, script};

/// The library's file, as cargo builds it beside the test that depends on this crate; `None` if
/// the running program does not lie in cargo's folder.
#[must_use]
pub fn library() -> Option<PathBuf> {
    const NAME: &str = "libregatta_fake_nvml.so";
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    // Tests lie in `deps` themselves, binaries beside it.
    [folder.join(NAME), folder.join("deps").join(NAME)].into_iter().find(|file| file.is_file())
}

/// Copies the library and a script into `folder`, ready to be loaded. Every copy is a library of
/// its own to the dynamic linker, so that tests of one process do not meet.
///
/// # Errors
/// [`library`] finds nothing, or a file cannot be written.
pub fn install(folder: &Path, script: &str) -> std::io::Result<PathBuf> {
    let source = library().ok_or_else(|| std::io::Error::other("the library is not built"))?;
    let target = folder.join("libnvidia-ml.so.1");
    std::fs::copy(source, &target)?;
    std::fs::write(folder.join("libnvidia-ml.so.1.toml"), script)?;
    Ok(target)
}

/// As [`install`], with a library that lacks `symbols`, as one of an older driver does.
///
/// # Errors
/// As [`install`], or the library has no such symbol.
pub fn install_without(folder: &Path, script: &str, symbols: &[&str]) -> std::io::Result<PathBuf> {
    let target = install(folder, script)?;
    let mut bytes = std::fs::read(&target)?;
    for symbol in symbols {
        let found = rename(&mut bytes, symbol);
        if !found {
            return Err(std::io::Error::other(format!("the library has no {symbol}")));
        }
    }
    std::fs::write(&target, bytes)?;
    Ok(target)
}

/// Gives a symbol another name in every table of names, so that the linker does not find it.
fn rename(library: &mut [u8], symbol: &str) -> bool {
    let wanted = [b"\0", symbol.as_bytes(), b"\0"].concat();
    let mut found = false;
    for at in 0..library.len().saturating_sub(wanted.len()) {
        if library[at..].starts_with(&wanted) {
            library[at + 1] = b'x';
            found = true;
        }
    }
    found
}
