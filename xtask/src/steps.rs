//! Runs steps one after another, with the time each took and the tests they ran.

#[expect(clippy::disallowed_types, reason = "wall time of a step; no test pauses this clock")]
use std::time::Instant;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Tests that ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Those that passed.
    pub(crate) passed: u64,
    /// Those that did not.
    pub(crate) failed: u64,
}

/// A `cargo` command.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("cargo");
    command.args(args);
    command
}

/// The steps so far.
pub(crate) struct Steps {
    top: PathBuf,
    times: Vec<(&'static str, Duration)>,
    tally: Tally,
}

impl Steps {
    /// Steps that run at the top of the repository.
    pub(crate) fn new(top: PathBuf) -> Self {
        Self { top, times: Vec::new(), tally: Tally::default() }
    }

    /// The tests that ran so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// A step done here.
    pub(crate) fn check(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.timed(name, |steps| check(&steps.top))
    }

    /// A command that must succeed.
    pub(crate) fn run(&mut self, name: &'static str, mut command: Command) -> anyhow::Result<()> {
        self.timed(name, |steps| {
            let status = command.current_dir(&steps.top).status();
            let status = status.with_context(|| format!("cannot start {command:?}"))?;
            if status.success() { Ok(()) } else { bail!("{name}: {status}") }
        })
    }

    /// A command that runs tests; what it prints is passed on, and its tests are counted.
    pub(crate) fn run_tests(
        &mut self,
        name: &'static str,
        mut command: Command,
    ) -> anyhow::Result<()> {
        self.timed(name, |steps| {
            command.current_dir(&steps.top).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
            let out = child.stdout.take().context("piped")?;
            let err = child.stderr.take().context("piped")?;
            // Both streams at once, or a full pipe of one would block the other.
            let (out, err) = thread::scope(|scope| {
                let err = scope.spawn(|| pass_on(err));
                (pass_on(out), err.join())
            });
            let err = err.map_err(|_| anyhow::anyhow!("cannot read the output of {name}"))?;
            steps.tally.passed += out.passed + err.passed;
            steps.tally.failed += out.failed + err.failed;
            let status = child.wait()?;
            if status.success() { Ok(()) } else { bail!("{name}: {status}") }
        })
    }

    fn timed(
        &mut self,
        name: &'static str,
        step: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        println!("== {name}");
        #[expect(clippy::disallowed_types, reason = "as at its import")]
        let began = Instant::now();
        let done = step(self);
        let took = began.elapsed();
        println!("== {name}: {} in {:.1} s", outcome(&done), took.as_secs_f64());
        self.times.push((name, took));
        done
    }

    /// The time of every step.
    pub(crate) fn print_times(&self) {
        for (name, took) in &self.times {
            println!("{:>8.1} s  {name}", took.as_secs_f64());
        }
        let all: Duration = self.times.iter().map(|(_, took)| *took).sum();
        println!("{:>8.1} s  total", all.as_secs_f64());
    }
}

fn outcome(done: &anyhow::Result<()>) -> &'static str {
    if done.is_ok() { "done" } else { "FAILED" }
}

/// Prints what comes, and counts the tests in it.
fn pass_on(from: impl Read) -> Tally {
    let mut tally = Tally::default();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(more) = tests_of(&line) {
            tally.passed += more.passed;
            tally.failed += more.failed;
        }
    }
    tally
}

/// The tests of a closing line of cargo test (`test result: ok. 3 passed; 1 failed; ...`) or of
/// nextest (`Summary [ 1.2s] 4 tests run: 3 passed (1 slow), 1 failed, 0 skipped`).
///
/// nextest repeats cargo test's line, indented, for each test that failed: that one is not counted.
fn tests_of(line: &str) -> Option<Tally> {
    let counts = match line.strip_prefix("test result: ") {
        Some(rest) => rest,
        None => line.trim_start().strip_prefix("Summary [")?.split_once("run: ")?.1,
    };
    let count = |what: &[&str]| {
        let words: Vec<&str> =
            counts.split([' ', ',', ';', '.']).filter(|w| !w.is_empty()).collect();
        let named = words.windows(2).filter(|pair| what.contains(&pair[1]));
        named.filter_map(|pair| pair[0].parse::<u64>().ok()).sum()
    };
    Some(Tally { passed: count(&["passed"]), failed: count(&["failed", "timed"]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let of = |line| tests_of(line).map(|t| (t.passed, t.failed));
        assert_eq!(
            of("test result: FAILED. 32 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out"),
            Some((32, 3))
        );
        assert_eq!(
            of("     Summary [   0.112s] 35 tests run: 35 passed, 0 skipped"),
            Some((35, 0))
        );
        assert_eq!(
            of(
                "     Summary [  61.0s] 9 tests run: 6 passed (2 slow), 2 failed, 1 timed out, 0 skipped"
            ),
            Some((6, 3))
        );
        assert_eq!(of("    test result: FAILED. 0 passed; 1 failed; 0 ignored"), None);
        assert_eq!(of("test plan::tests::passed ... ok"), None);
    }
}
