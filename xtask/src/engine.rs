//! The real engine of the tests: see `tests/engine/`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use cargo_metadata::MetadataCommand;

/// Installs llama.cpp and makes its model in `target/engine`, unless they are there.
pub(crate) fn set_up(top: &Path) -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().current_dir(top).no_deps().exec()?;
    let place = metadata.target_directory.join("engine");
    let status = Command::new("python3")
        .arg(top.join("tests/engine/setup.py"))
        .arg(&place)
        .status()
        .context("cannot start python3; install it")?;
    if !status.success() {
        bail!(
            "the test engine could not be set up; it needs python3 with its module venv, and PyPI"
        );
    }
    Ok(())
}
