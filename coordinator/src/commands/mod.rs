//! The commands: from checked flags to an exit code.

mod bench;
mod demo;
mod doctor;
mod dry_run;
mod hosts;
mod over_time;
mod run;
mod sim;
mod stored;
mod trend;

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regatta_types::exit::Exit;
use regatta_types::ids::HostId;
use regatta_types::record::ExpectedHosts;
use regatta_types::suite::{StartMode, Suite};
use regatta_types::time::WallClock;

use crate::cli::{Cli, Command, SshArgs, StartArgs, StoreArgs, SuiteCommand, WorkloadArgs};
use crate::conduct::Starting;
use crate::launch::{self, Launch};
use crate::output::print;
use crate::reports::ReportsError;
use crate::run::Orders;
use crate::store::StoreError;
use crate::suite::{self, SuiteError};

/// Time from one host's start to the next one's, unless it is set.
const STAGGER: Duration = Duration::from_secs(1);

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

    /// The error's own text, and below it its causes.
    fn with(exit: Exit, error: &dyn StdError) -> Self {
        let source = error.source().map(|source| Box::new(Because::of(source)) as _);
        Self { exit, text: error.to_string(), source }
    }
}

/// What an error said, with all its causes.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Because {
    text: String,
    source: Option<Box<Because>>,
}

impl Because {
    fn of(error: &dyn StdError) -> Self {
        let source = error.source().map(|source| Box::new(Self::of(source)));
        Self { text: error.to_string(), source }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let exit = if error.is_storage_failure() { Exit::Storage } else { Exit::Usage };
        Self::with(exit, &error)
    }
}

impl From<SuiteError> for Problem {
    fn from(error: SuiteError) -> Self {
        Self::with(Exit::Usage, &error)
    }
}

impl From<ReportsError> for Problem {
    fn from(error: ReportsError) -> Self {
        let exit = match error {
            ReportsError::NotOurs(_) => Exit::Usage,
            ReportsError::Io { .. } => Exit::Storage,
        };
        Self::with(exit, &error)
    }
}

impl From<regatta_figures::source::Error> for Problem {
    fn from(error: regatta_figures::source::Error) -> Self {
        Self::with(Exit::Storage, &error)
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
        Command::Doctor(args) => doctor::look(args, wall).await,
        Command::Hosts(args) => hosts::hosts(args, wall).await,
        Command::Report(args) => stored::report(args),
        Command::Export(args) => stored::export(args),
        Command::Runs(args) => match &args.host {
            Some(host) => trend::trend(host, &args),
            None => stored::runs(&args),
        },
        Command::Compare(args) => over_time::compare(args),
        Command::Check(args) => over_time::check(args),
        Command::Baseline(args) => over_time::baseline(args),
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
    regatta_agent::run::run(args, wall).await.map_err(|error| Problem::with(error.exit(), &error))
}

/// The suite as the flags want it.
fn load(name: &str, workload: &WorkloadArgs) -> Result<Suite, Problem> {
    Ok(suite::load(name, &workload.overrides())?)
}

/// The suite as the start mode wants it, and that mode.
fn started(suite: Suite, args: StartArgs) -> Result<(Suite, Starting), Problem> {
    let StartArgs { start: mode, stagger } = args;
    let stagger = match (mode, stagger) {
        (StartMode::Staggered, set) => Some(set.unwrap_or(STAGGER)),
        (StartMode::Together | StartMode::Solo | StartMode::Both, None) => None,
        (StartMode::Together | StartMode::Solo | StartMode::Both, Some(_)) => {
            return Err(Problem::usage(format!(
                "--stagger goes with --start staggered; this is --start {mode}"
            )));
        }
    };
    let suite = match mode {
        StartMode::Both => {
            suite.with_solo_twins().map_err(|error| Problem::usage(error.to_string()))?
        }
        StartMode::Together | StartMode::Staggered | StartMode::Solo => suite,
    };
    Ok((suite, Starting { mode, stagger }))
}

/// Agents to start over ssh, if any; `alone`: the silence after which one ends by itself.
fn launch(args: &SshArgs, alone: Duration) -> Result<Option<Launch>, Problem> {
    let targets = match &args.ssh_file {
        Some(file) => launch::of_file(file),
        None if args.ssh.is_empty() => return Ok(None),
        None => launch::of_list(&args.ssh),
    };
    let all = |problems: Vec<String>| Problem::usage(problems.join("\n"));
    let targets = targets.map_err(all)?;
    let program = args.ssh_command.clone();
    Launch::new(targets, program, &args.agent_binary, alone).map(Some).map_err(all)
}

fn orders(model: Option<String>, warmup: Option<u32>) -> Orders {
    use regatta_types::assignment::EngineWarmup;
    let engine_warmup = warmup.map_or(EngineWarmup::UntilSteady, EngineWarmup::Requests);
    Orders { model, engine_warmup, check_only: false }
}

/// Who takes part, and how they are to reach us, as typed.
struct Ways<'a> {
    expect: Option<u32>,
    hosts: Vec<HostId>,
    listen: SocketAddr,
    insecure: bool,
    ssh: &'a SshArgs,
}

/// The same, checked.
struct Fleet {
    expected: ExpectedHosts,
    /// `None`: nobody can dial in.
    listen: Option<SocketAddr>,
    /// Agents that are started over ssh.
    launch: Option<Launch>,
}

impl Ways<'_> {
    /// `alone`: the silence after which an agent that was started over ssh ends by itself.
    fn check(mut self, alone: Duration) -> Result<Fleet, Problem> {
        if let Some(launch) = launch(self.ssh, alone)? {
            let expected = ExpectedHosts::Named(launch.hosts());
            return Ok(Fleet { expected, listen: None, launch: Some(launch) });
        }
        // Plain text is for loopback; beyond it the user has to say so.
        if !self.listen.ip().is_loopback() && !self.insecure {
            return Err(Problem::usage(format!(
                "--listen {} is beyond loopback, where prompts and results would travel in plain \
                 text; on a network that only you can read, add --insecure here and at every agent",
                self.listen
            )));
        }
        self.hosts.sort();
        self.hosts.dedup();
        let expected = self.expect.map_or(ExpectedHosts::Named(self.hosts), ExpectedHosts::Count);
        Ok(Fleet { expected, listen: Some(self.listen), launch: None })
    }
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::suite::Overrides;

    #[test]
    fn a_problem_tells_all_causes_down_to_what_the_disk_said() {
        let disk = StoreError::Encode(serde_json::Error::io(io::Error::other("bad sector")));
        let error = regatta_figures::source::Error::Read {
            host: HostId::new("gpu-01").unwrap(),
            source: Box::new(disk),
        };
        let problem = Problem::from(error);
        let mut told = vec![problem.to_string()];
        let mut next = StdError::source(&problem);
        while let Some(error) = next {
            told.push(error.to_string());
            next = error.source();
        }
        assert_eq!(told[0], "reading the attempts of gpu-01 failed");
        assert_eq!(told.last().unwrap(), "bad sector");
    }

    #[test]
    fn a_start_mode_makes_its_twins_and_only_staggered_takes_a_stagger() {
        let quick = || suite::load("quick", &Overrides::default()).expect("built in");
        let args = |start, stagger| StartArgs { start, stagger };
        let second = Duration::from_secs(1);
        let (suite, start) = started(quick(), args(StartMode::Staggered, None)).expect("a mode");
        assert_eq!((suite, start.stagger), (quick(), Some(second)));
        let (suite, start) = started(quick(), args(StartMode::Both, None)).expect("free ids");
        assert_eq!((suite.cases.len(), start.stagger), (2 * quick().cases.len(), None));
        for mode in [StartMode::Together, StartMode::Solo, StartMode::Both] {
            let problem = started(quick(), args(mode, Some(second))).expect_err("no stagger");
            assert_eq!(problem.exit, Exit::Usage);
            let text = format!("--stagger goes with --start staggered; this is --start {mode}");
            assert_eq!(problem.to_string(), text);
        }
    }
}
