//! The commands: from checked flags to an exit code.

mod bench;
mod demo;
mod dry_run;
mod run;
mod sim;
mod stored;

use std::path::PathBuf;
use std::sync::Arc;

use regatta_types::exit::Exit;
use regatta_types::suite::Suite;
use regatta_types::time::WallClock;

use crate::cli::{Cli, Command, StoreArgs, SuiteCommand, WorkloadArgs};
use crate::output::print;
use crate::reports::ReportsError;
use crate::run::Orders;
use crate::store::StoreError;
use crate::suite::{self, SuiteError};

/// Why a command did not do its work, with its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Problem {
    /// The code.
    pub exit: Exit,
    text: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Problem {
    /// The user's input.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into(), source: None }
    }

    /// Anything else.
    #[must_use]
    pub fn unexpected(text: impl Into<String>) -> Self {
        Self { exit: Exit::Unexpected, text: text.into(), source: None }
    }

    fn with(exit: Exit, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        // The error's own text, and below it its causes.
        Self { exit, text: error.to_string(), source: error.source().map(|s| s.to_string().into()) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let exit = if error.is_storage_failure() { Exit::Storage } else { Exit::Usage };
        Self::with(exit, error)
    }
}

impl From<SuiteError> for Problem {
    fn from(error: SuiteError) -> Self {
        Self::with(Exit::Usage, error)
    }
}

impl From<ReportsError> for Problem {
    fn from(error: ReportsError) -> Self {
        let exit = match error {
            ReportsError::NotOurs(_) => Exit::Usage,
            ReportsError::Io { .. } => Exit::Storage,
        };
        Self::with(exit, error)
    }
}

/// Carries the command out.
///
/// # Errors
/// When it could not; the problem knows its exit code.
pub async fn execute(cli: Cli, wall: Arc<dyn WallClock>) -> Result<Exit, Problem> {
    match cli.command {
        Command::Demo(args) => demo::demo(args, wall).await,
        Command::Bench(args) => bench::bench(args, wall).await,
        Command::Run(args) => run::run(args, wall).await,
        Command::Report(args) => stored::report(args),
        Command::Export(args) => stored::export(args),
        Command::Runs(args) => stored::runs(args),
        Command::Suite(command) => suite_command(&command),
        Command::Agent(args) => agent(args, wall).await,
        Command::Sim(args) => sim::sim(args).await,
    }
}

fn suite_command(command: &SuiteCommand) -> Result<Exit, Problem> {
    let text = match command {
        SuiteCommand::List => suite::list(),
        SuiteCommand::Show { suite } => suite::show(suite)?,
        SuiteCommand::Check { suite } => suite::check(suite)?,
    };
    print(&text);
    Ok(Exit::Ok)
}

async fn agent(
    args: regatta_agent::cli::AgentArgs,
    wall: Arc<dyn WallClock>,
) -> Result<Exit, Problem> {
    regatta_agent::run::run(args, wall).await.map_err(|error| Problem::with(error.exit(), error))
}

/// The suite as the flags want it.
fn load(name: &str, workload: &WorkloadArgs) -> Result<Suite, Problem> {
    Ok(suite::load(name, &workload.overrides())?)
}

fn orders(model: Option<String>, warmup: Option<u32>) -> Orders {
    use regatta_types::assignment::Settling;
    Orders { model, settling: warmup.map_or(Settling::UntilSteady, Settling::Requests) }
}

/// The store's folder: as given, else in the user's state folder.
fn state_dir(store: &StoreArgs) -> Result<PathBuf, Problem> {
    use etcetera::BaseStrategy as _;
    if let Some(dir) = &store.state {
        return Ok(dir.clone());
    }
    let strategy = etcetera::choose_base_strategy()
        .map_err(|_| Problem::usage("no home folder is known: give --state DIR"))?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    Ok(base.join("regatta"))
}

/// The command line as it can be pasted again. No flag carries a secret.
fn command_line() -> String {
    let quote = |arg: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        if !arg.is_empty() && arg.chars().all(plain) {
            arg
        } else {
            format!("'{}'", arg.replace('\'', r"'\''"))
        }
    };
    let rest = std::env::args_os().skip(1).map(|arg| quote(arg.to_string_lossy().into_owned()));
    std::iter::once("regatta".to_owned()).chain(rest).collect::<Vec<_>>().join(" ")
}
