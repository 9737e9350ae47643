//! Installs `cargo-deb`, which builds the Debian packages.

use std::path::Path;
use std::process::Command;

use cargo_metadata::MetadataCommand;

const VERSION: &str = "3.8.0";

/// Installs `cargo-deb` into the target directory, where the tests expect it. Without it the
/// package tests are skipped.
pub(crate) fn set_up(top: &Path) -> anyhow::Result<()> {
    let target = MetadataCommand::new().current_dir(top).no_deps().exec()?.target_directory;
    let status = Command::new("cargo")
        .args(["install", "cargo-deb", "--version", VERSION, "--locked", "--quiet", "--root"])
        .arg(target.join("tools"))
        // It packs two files: building it fast matters more than a fast program.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .status()?;
    if !status.success() {
        println!("cannot install cargo-deb ({status}), skipping the package tests");
    }
    Ok(())
}
