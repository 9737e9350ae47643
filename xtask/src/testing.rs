//! Sets up what the tests need, and runs them.

use std::process::{Command, Stdio};

use crate::engine;
use crate::steps::{Steps, cargo};

/// Builds the binaries and the fake NVML library, gets the engine ready, runs all tests but those
/// in docs.
pub(crate) fn run(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("build", cargo(["build", "--workspace", "--all-targets"]))?;
    steps.check("engine", engine::set_up)?;
    if has_nextest() {
        steps.run_tests("tests", cargo(["nextest", "run", "--workspace"]))
    } else {
        steps.run_tests(
            "tests",
            cargo(["test", "--workspace", "--lib", "--bins", "--no-fail-fast"]),
        )?;
        // Real processes in real time: one at a time.
        let one =
            ["test", "--workspace", "--test", "*", "--no-fail-fast", "--", "--test-threads=1"];
        steps.run_tests("tests across crates", cargo(one))
    }
}

fn has_nextest() -> bool {
    let mut command = Command::new("cargo-nextest");
    let quiet = command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
