//! Sets up what the tests need, and runs them.

use std::process::{Command, Stdio};

use crate::engine;
use crate::steps::{Steps, cargo};

/// What is built and tested with everything in it. Lints and docs are of a build without.
const EVERYTHING: &str = "--features=regatta-coordinator/parquet";

/// Builds the binaries and the fake NVML library, gets the engine ready, runs all tests but those
/// in docs.
pub(crate) fn run(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("build", cargo(["build", "--workspace", "--all-targets", EVERYTHING]))?;
    steps.check("engine", engine::set_up)?;
    if has_nextest() {
        steps.run_tests("tests", cargo(["nextest", "run", "--workspace", EVERYTHING]))
    } else {
        steps.run_tests("tests", plain(&["--lib", "--bins"], &[]))?;
        // Real processes in real time: one at a time.
        steps.run_tests("tests across crates", plain(&["--test", "*"], &["--test-threads=1"]))
    }
}

/// Without nextest, whose profile it is that keeps slow tests out.
fn plain(targets: &[&str], more: &[&str]) -> Command {
    let mut command = cargo(["test", "--workspace", EVERYTHING, "--no-fail-fast"]);
    command.args(targets).args(["--", "--skip", "slow::"]).args(more);
    command
}

/// The tests in docs, of the same build.
pub(crate) fn run_docs(steps: &mut Steps) -> anyhow::Result<()> {
    let docs = ["test", "--locked", "--workspace", EVERYTHING, "--doc"];
    steps.run_tests("doc tests", cargo(docs))
}

fn has_nextest() -> bool {
    let mut command = Command::new("cargo-nextest");
    let quiet = command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
