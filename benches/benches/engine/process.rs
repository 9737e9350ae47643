//! What a process costs: CPU time and its largest resident set.
//!
//! The kernel tells a parent the sum over all its children, so each process is run by a small one of
//! its own, which is this program again.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

const MEASURER: &str = "--measure-one-process";

/// What one process took, and what it printed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// User and system time of all its threads.
    pub(crate) cpu: Duration,
    /// Its largest resident set, bytes.
    pub(crate) rss: u64,
    /// What it wrote to stdout.
    pub(crate) stdout: String,
    stderr: String,
    code: Option<i32>,
}

/// Runs `command` to its end; exit codes other than those in `fine` are errors.
pub(crate) fn cost(command: &Command, fine: &[i32]) -> anyhow::Result<Cost> {
    let output = Command::new(std::env::current_exe()?)
        .arg(MEASURER)
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .context("cannot start the measurer")?;
    let cost: Cost = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    if !cost.code.is_some_and(|code| fine.contains(&code)) {
        bail!("{command:?} ended with {:?}\n{}{}", cost.code, cost.stdout, cost.stderr);
    }
    Ok(cost)
}

pub(crate) fn is_measurer() -> bool {
    std::env::args_os().nth(1).is_some_and(|arg| arg == MEASURER)
}

pub(crate) fn measurer() -> anyhow::Result<()> {
    let line: Vec<OsString> = std::env::args_os().skip(2).collect();
    let (program, args) = line.split_first().context("no program")?;
    let output = Command::new(program).args(args).output()?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let cost = Cost {
        cpu: Duration::from_micros(micros.try_into()?),
        rss: u64::try_from(usage.max_rss())? << 10,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    };
    crate::bench::say(&serde_json::to_string(&cost)?);
    Ok(())
}
