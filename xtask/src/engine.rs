//! The real engine for the tests; see `tests/engine/`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use cargo_metadata::MetadataCommand;

/// Installs llama.cpp and builds its model in `target/engine`, unless present.
pub(crate) fn set_up(top: &Path) -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().current_dir(top).no_deps().exec()?;
    let place = metadata.target_directory.join("engine");
    let status = Command::new("python3")
        .arg(top.join("tests/engine/setup.py"))
        .arg(&place)
        .status()
        .context("cannot start python3. Install it")?;
    if !status.success() {
        bail!("cannot set up the test engine. It requires python3 with venv and access to PyPI");
    }
    Ok(())
}
