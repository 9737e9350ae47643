//! Development tasks: `cargo xtask test`, `ci` and `calibrate`. There is no other task runner.
#![expect(clippy::print_stdout, reason = "a task runner prints to the terminal")]

mod debian;
mod engine;
mod packages;
mod steps;
mod testing;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::steps::{Steps, cargo};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Copy, Subcommand)]
enum Task {
    /// Set up the test dependencies and run all tests
    ///
    /// Requires the Rust toolchain, a C compiler and python3 with venv. Uses cargo-nextest if
    /// installed.
    Test,
    /// Run all checks for a change: format, lints, docs, licenses and tests
    Ci,
    /// Simulate fleets and write the error rates of the comparison to docs/calibration.md
    ///
    /// Fails if an error rate exceeds its bound.
    Calibrate,
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let mut steps = Steps::new(repository());
    let done = match task {
        Task::Test => testing::run(&mut steps),
        Task::Ci => ci(&mut steps),
        Task::Calibrate => calibrate(&mut steps),
    };
    steps.print_times();
    if let Err(error) = &done {
        println!("failed: {error:#}");
    }
    let tally = steps.tally();
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if done.is_ok() && tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn ci(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("format", cargo(["fmt", "--all", "--check"]))?;
    let lints = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    steps.run("lints", cargo(lints))?;
    let mut docs = cargo(["doc", "--locked", "--workspace", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    steps.run("docs", docs)?;
    steps.check("licenses and bans", packages::check)?;
    steps.check("packaging tool", debian::set_up)?;
    testing::run(steps)?;
    testing::run_docs(steps)
}

/// In release mode: one minute instead of ten.
fn calibrate(steps: &mut Steps) -> anyhow::Result<()> {
    steps.check("calibration", |top| {
        let example = ["run", "--locked", "--release", "-p", "regatta-report", "--example"];
        let mut command = cargo(example);
        command.args(["calibrate", "--features", "calibration"]).current_dir(top);
        let done = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
        let page = String::from_utf8(done.stdout).context("the page is not UTF-8")?;
        print!("{page}");
        anyhow::ensure!(!page.is_empty(), "no output: {}", done.status);
        // Also if a bound is exceeded: the diff shows by how much.
        std::fs::write(top.join("docs/calibration.md"), page)?;
        anyhow::ensure!(done.status.success(), "a bound is exceeded: {}", done.status);
        Ok(())
    })
}

/// The top of the repository.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask/ lies in the repository").to_owned()
}
