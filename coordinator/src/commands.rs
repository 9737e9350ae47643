//! Runs the commands: from parsed flags to an exit code.

mod bench;
mod demo;
mod doctor;
mod dry_run;
mod history;
mod hosts;
mod run;
mod sim;
mod stored;
mod trend;

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
use crate::command_error::CommandError;
use crate::execute::Starting;
use crate::launch::{self, Launch};
use crate::output::print;
use crate::run::Orders;
use crate::suite;

/// Default interval between host starts.
const STAGGER: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// If the command failed. The error carries the exit code.
pub async fn dispatch(cli: Cli, wall: Arc<dyn WallClock>) -> Result<Exit, CommandError> {
    match cli.command {
        Command::Demo(args) => demo::demo(args, wall).await,
        Command::Bench(args) => bench::bench(args, wall).await,
        Command::Run(args) => run::run(args, wall).await,
        Command::Doctor(args) => doctor::preflight(args, wall).await,
        Command::Hosts(args) => hosts::hosts(args, wall).await,
        Command::Report(args) => stored::report(args),
        Command::Export(args) => stored::export(args),
        Command::Runs(args) => match &args.host {
            Some(host) => trend::trend(host, &args),
            None => stored::runs(&args),
        },
        Command::Compare(args) => history::compare(args),
        Command::Check(args) => history::check(args),
        Command::Baseline(args) => history::baseline(args),
        Command::Suite(command) => suite_command(&command),
        Command::Agent(args) => agent(args, wall).await,
        Command::Sim(args) => sim::sim(args).await,
    }
}

fn suite_command(command: &SuiteCommand) -> Result<Exit, CommandError> {
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
) -> Result<Exit, CommandError> {
    regatta_agent::run::run(args, wall)
        .await
        .map_err(|error| CommandError::with(error.exit(), &error))
}

/// The suite with the overrides of the flags.
fn load(name: &str, workload: &WorkloadArgs) -> Result<Suite, CommandError> {
    Ok(suite::load(name, &workload.overrides())?)
}

/// The suite for the start mode, and the mode.
fn started(suite: Suite, args: StartArgs) -> Result<(Suite, Starting), CommandError> {
    let StartArgs { start: mode, stagger } = args;
    let stagger = match (mode, stagger) {
        (StartMode::Staggered, set) => Some(set.unwrap_or(STAGGER)),
        (StartMode::Together | StartMode::Solo | StartMode::Both, None) => None,
        (StartMode::Together | StartMode::Solo | StartMode::Both, Some(_)) => {
            return Err(CommandError::usage(format!(
                "--stagger requires --start staggered, not --start {mode}"
            )));
        }
    };
    let suite = match mode {
        StartMode::Both => {
            suite.with_solo_twins().map_err(|error| CommandError::usage(error.to_string()))?
        }
        StartMode::Together | StartMode::Staggered | StartMode::Solo => suite,
    };
    Ok((suite, Starting { mode, stagger }))
}

/// Agents to start over ssh, if any. An agent exits after `alone` without contact.
fn launch(args: &SshArgs, alone: Duration) -> Result<Option<Launch>, CommandError> {
    let targets = match &args.ssh_file {
        Some(file) => launch::of_file(file),
        None if args.ssh.is_empty() => return Ok(None),
        None => launch::of_list(&args.ssh),
    };
    let all = |problems: Vec<String>| CommandError::usage(problems.join("\n"));
    let targets = targets.map_err(all)?;
    let program = args.ssh_command.clone();
    Launch::new(targets, program, &args.agent_binary, alone).map(Some).map_err(all)
}

fn orders(model: Option<String>, warmup: Option<u32>) -> Orders {
    use regatta_types::assignment::EngineWarmup;
    let engine_warmup = warmup.map_or(EngineWarmup::UntilSteady, EngineWarmup::Requests);
    Orders { model, engine_warmup, check_only: false }
}

/// The participating hosts and how they connect, as given on the command line.
struct FleetArgs<'a> {
    expect: Option<u32>,
    hosts: Vec<HostId>,
    listen: SocketAddr,
    insecure: bool,
    ssh: &'a SshArgs,
}

/// The same, validated.
struct Fleet {
    expected: ExpectedHosts,
    /// `None`: no agent can connect.
    listen: Option<SocketAddr>,
    /// Agents to start over ssh.
    launch: Option<Launch>,
}

impl FleetArgs<'_> {
    /// `alone`: an agent started over ssh exits after this time without contact.
    fn check(mut self, alone: Duration) -> Result<Fleet, CommandError> {
        if let Some(launch) = launch(self.ssh, alone)? {
            let expected = ExpectedHosts::Named(launch.hosts());
            return Ok(Fleet { expected, listen: None, launch: Some(launch) });
        }
        // Unencrypted connections beyond loopback require --insecure.
        if !self.listen.ip().is_loopback() && !self.insecure {
            return Err(CommandError::usage(format!(
                "--listen {} is not a loopback address, and connections are not encrypted. On a \
                 trusted network, add --insecure here and on every agent",
                self.listen
            )));
        }
        self.hosts.sort();
        self.hosts.dedup();
        let expected = self.expect.map_or(ExpectedHosts::Named(self.hosts), ExpectedHosts::Count);
        Ok(Fleet { expected, listen: Some(self.listen), launch: None })
    }
}

/// The store directory: as given, else in the user's state directory.
fn state_dir(store: &StoreArgs) -> Result<PathBuf, CommandError> {
    use etcetera::BaseStrategy as _;
    if let Some(dir) = &store.state {
        return Ok(dir.clone());
    }
    let strategy = etcetera::choose_base_strategy()
        .map_err(|_| CommandError::usage("home directory not found. Set --state DIR"))?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    Ok(base.join("regatta"))
}

/// The command line, quoted for a shell. No flag contains a secret.
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
    use super::*;
    use crate::suite::Overrides;

    #[test]
    fn a_start_mode_adds_solo_counterparts_and_only_staggered_accepts_an_interval() {
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
            let text = format!("--stagger requires --start staggered, not --start {mode}");
            assert_eq!(problem.to_string(), text);
        }
    }
}
