//! The tool that makes the Debian packages.

use std::path::Path;
use std::process::Command;

use cargo_metadata::MetadataCommand;

const VERSION: &str = "3.8.0";

/// Puts `cargo-deb` into the target folder, where the tests look for it. Without it they say that
/// they were skipped.
pub(crate) fn set_up(top: &Path) -> anyhow::Result<()> {
    let target = MetadataCommand::new().current_dir(top).no_deps().exec()?.target_directory;
    let status = Command::new("cargo")
        .args(["install", "cargo-deb", "--version", VERSION, "--locked", "--quiet", "--root"])
        .arg(target.join("tools"))
        .status()?;
    if !status.success() {
        println!("cargo-deb cannot be had ({status}): the packages will not be tested");
    }
    Ok(())
}
