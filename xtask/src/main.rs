//! The project's own tasks: `cargo xtask test`, `ci` and `calibrate`. There is no other task runner.
#![expect(clippy::print_stdout, reason = "a task runner talks to whoever called it")]

mod debian;
mod engine;
mod packages;
mod steps;
mod testing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::steps::{Steps, cargo};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up and checks of this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Copy, Subcommand)]
enum Task {
    /// Set up everything the tests need, and run them.
    ///
    /// Needs the Rust toolchain, a C compiler, and python3 with venv. Uses cargo-nextest if there.
    Test,
    /// Everything that must pass before a change lands: format, lints, docs, licences, tests.
    Ci,
    /// Simulate fleets, and print how often the comparison is right; fails where a bound is broken.
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
    steps.check("licences and bans", packages::check)?;
    steps.check("packaging tool", debian::set_up)?;
    testing::run(steps)?;
    steps.run_tests("doc tests", cargo(["test", "--locked", "--workspace", "--doc"]))
}

/// In release: it is a minute of arithmetic, and ten without.
fn calibrate(steps: &mut Steps) -> anyhow::Result<()> {
    let example = ["run", "--locked", "--release", "-p", "regatta-report", "--example"];
    let mut command = cargo(example);
    command.args(["calibrate", "--features", "calibration"]);
    steps.run("calibration", command)
}

/// The top of the repository.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask/ lies in the repository").to_owned()
}
