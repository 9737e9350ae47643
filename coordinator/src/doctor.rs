//! Preflight checks without a run.
//!
//! [`doctor`] gathers hosts like a run, lets every agent make its preflight checks, and releases
//! the hosts. Its store is in memory and is discarded. `table` shows the results. The checks are in
//! the agent and in the run state. [`hosts`] makes the same checks and shows the facts of the hosts
//! (`facts`).

mod facts;
mod table;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use regatta_agent::signals::Interrupts;
use regatta_types::assignment::EngineWarmup;
use regatta_types::check::{Check, CheckOutcome, Mark};
use regatta_types::event::EventKind;
use regatta_types::exit::Exit;
use regatta_types::ids::{HostId, SuiteName};
use regatta_types::record::{ExpectedHosts, RunHeader, RunRecord};
use regatta_types::suite::{StartMode, Suite};
use regatta_types::time::WallClock;
use serde::Serialize;

use crate::command_error::CommandError;
use crate::execute::{Embedded, Services, announce, listen, measure};
use crate::launch::Launch;
use crate::names;
use crate::output::print;
use crate::progress::Show;
use crate::run::{Orders, RunPolicy};
use crate::store::{SqliteStore, Writer};

/// Requests to each engine: the number of consecutive failures that fails an engine warm-up.
const REQUESTS: u32 = 3;
/// Stands in for the suite name.
const NAME: &str = "doctor";

/// What to check.
pub struct Doctor {
    /// Suite whose requirements are checked; `None`: no requirements.
    pub suite: Option<Suite>,
    /// The expected hosts.
    pub expected: ExpectedHosts,
    /// Model to request; `None`: each agent chooses.
    pub model: Option<String>,
    /// Timers.
    pub policy: RunPolicy,
    /// Address for agents; `None`: embedded agents only.
    pub listen: Option<SocketAddr>,
    /// Agents to start over ssh.
    pub launch: Option<Launch>,
    /// Agents in this process.
    pub embedded: Vec<Embedded>,
    /// Print JSON lines.
    pub json: bool,
    /// Wall time.
    pub wall: Arc<dyn WallClock>,
}

impl std::fmt::Debug for Doctor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doctor").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// An expected host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Examined {
    /// `None`: a host expected by number that never joined.
    host: Option<HostId>,
    state: State,
    /// Why its agent never connected, if known.
    why: Option<String>,
    /// All checks, in order; empty unless its agent answered.
    checks: Vec<CheckOutcome>,
}

/// Whether a host was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Its agent answered.
    Checked,
    /// Its agent never connected.
    NeverJoined,
    /// Its agent connected, but did not answer before the timeout, or was lost.
    NoAnswer,
}

/// Gathers the hosts, prints the results of the checks and returns the exit code.
///
/// # Errors
/// If it cannot start.
pub async fn doctor(plan: Doctor) -> Result<Exit, CommandError> {
    let json = plan.json;
    let Some(record) = look_or_stop(plan).await? else { return Ok(Exit::Interrupted) };
    let hosts = examined(&record);
    if json {
        print_lines(&hosts)?;
    } else {
        print(&table::render(&hosts));
    }
    Ok(exit(&hosts))
}

/// Gathers the hosts and prints their facts.
///
/// # Errors
/// If it cannot start.
pub async fn hosts(plan: Doctor) -> Result<Exit, CommandError> {
    let json = plan.json;
    let Some(record) = look_or_stop(plan).await? else { return Ok(Exit::Interrupted) };
    let hosts = &record.hosts;
    if json {
        print_lines(&hosts.iter().map(facts::Line::of).collect::<Vec<_>>())?;
    } else {
        print(&facts::render(hosts));
    }
    let known = hosts.iter().filter(|host| host.facts.is_some()).count();
    Ok(match known {
        0 => Exit::NothingUsable,
        n if n < hosts.len() => Exit::Partial,
        _ => Exit::Ok,
    })
}

fn print_lines(hosts: &[impl Serialize]) -> Result<(), CommandError> {
    for host in hosts {
        let line = serde_json::to_string(host)
            .map_err(|e| CommandError::unexpected(format!("cannot encode a line of JSON: {e}")))?;
        print(&format!("{line}\n"));
    }
    Ok(())
}

/// `None`: second interrupt.
async fn look_or_stop(plan: Doctor) -> Result<Option<RunRecord>, CommandError> {
    let interrupts = Interrupts::listen()
        .map_err(|e| CommandError::unexpected(format!("cannot install signal handlers: {e}")))?;
    tokio::select! {
        record = preflight(plan, &interrupts) => record.map(Some),
        () = interrupts.nth(2) => Ok(None),
    }
}

async fn preflight(plan: Doctor, interrupts: &Interrupts) -> Result<RunRecord, CommandError> {
    let created = plan.wall.now();
    let name = SuiteName::new(NAME).map_err(|e| CommandError::unexpected(e.to_string()))?;
    let suite = plan.suite.unwrap_or_else(|| Suite {
        name: name.clone(),
        description: String::new(),
        cases: Vec::new(),
        active_weights: None,
    });
    let header = RunHeader {
        run: names::run_id(created, &name, &BTreeSet::new())?,
        suite,
        seed: 0,
        created,
        start: StartMode::Together,
        stagger: None,
        expected: plan.expected,
        coordinator_version: crate::VERSION.to_owned(),
        insecure: plan.listen.is_some_and(|address| !address.ip().is_loopback()),
        keep_text: false,
        command: String::new(),
        assume_equal: Vec::new(),
        tariff: None,
        margins: regatta_types::margin::Margins::default(),
    };
    let listener = listen(plan.listen).await?;
    if let Some(listener) = &listener {
        announce("check", &header, listener);
    }
    let writer = Writer::start(Box::new(SqliteStore::in_memory()?))
        .map_err(|e| CommandError::unexpected(format!("cannot start the store thread: {e}")))?;
    let store = writer.handle();
    store.write(vec![crate::store::Write::Run(Box::new(header.clone()))]).await?;
    let services = Services {
        store: store.clone(),
        listener,
        launch: plan.launch,
        embedded: plan.embedded,
        show: Show::Arrivals,
        wall: plan.wall,
    };
    let engine_warmup = EngineWarmup::Requests(REQUESTS);
    let orders = Orders { model: plan.model, engine_warmup, check_only: true };
    measure(&header, (orders, plan.policy), services, interrupts).await?;
    Ok(store.load(header.run).await?.record)
}

/// Every expected host, named hosts first.
fn examined(record: &RunRecord) -> Vec<Examined> {
    let answered = |host: &HostId| {
        let is_its = |kind: &EventKind| matches!(kind, EventKind::HostPrepared { host: prepared, .. } if prepared == host);
        record.events.iter().any(|event| is_its(&event.kind))
    };
    let mut hosts: Vec<Examined> = record
        .hosts
        .iter()
        .map(|host| {
            let state = match &host.facts {
                None => State::NeverJoined,
                Some(_) if answered(&host.host) => State::Checked,
                Some(_) => State::NoAnswer,
            };
            let checks = match state {
                State::Checked => complete(&host.checks, host.refused.as_deref()),
                State::NeverJoined | State::NoAnswer => Vec::new(),
            };
            let why = host.refused.clone().filter(|_| state == State::NeverJoined);
            Examined { host: Some(host.host.clone()), state, why, checks }
        })
        .collect();
    let nobody = Examined { host: None, state: State::NeverJoined, why: None, checks: Vec::new() };
    hosts.extend((0..record.absent).map(|_| nobody.clone()));
    hosts
}

/// All checks, including those that an older agent version does not report. Such an agent reports
/// only why it was refused.
fn complete(checks: &[CheckOutcome], refused: Option<&str>) -> Vec<CheckOutcome> {
    let untold = "not checked: the agent runs an older version";
    let mut all: Vec<CheckOutcome> = Check::ALL
        .into_iter()
        .map(|check| {
            let told = checks.iter().find(|outcome| outcome.check == check);
            told.cloned().unwrap_or_else(|| check.unknown(untold))
        })
        .collect();
    if let Some(why) = refused
        && all.iter().all(|outcome| outcome.mark != Mark::Failed)
        && let Some(first) = all.first_mut()
    {
        *first = first.check.failed(why);
    }
    all
}

fn exit(hosts: &[Examined]) -> Exit {
    let checked = hosts.iter().filter(|host| host.state == State::Checked).count();
    let failed = |host: &Examined| host.checks.iter().any(|outcome| outcome.mark == Mark::Failed);
    if checked == 0 {
        Exit::NothingUsable
    } else if checked < hosts.len() {
        Exit::Partial
    } else if hosts.iter().any(failed) {
        Exit::Invalid
    } else {
        Exit::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(state: State, mark: Option<Mark>) -> Examined {
        let text = String::new();
        let checks = mark.map(|mark| CheckOutcome { check: Check::Disk, mark, text });
        Examined { host: None, state, why: None, checks: checks.into_iter().collect() }
    }

    #[test]
    fn missing_hosts_and_failed_checks_have_different_exit_codes() {
        let well = host(State::Checked, Some(Mark::Warning));
        let failed = host(State::Checked, Some(Mark::Failed));
        let absent = host(State::NeverJoined, None);
        let silent = host(State::NoAnswer, None);
        assert_eq!(exit(std::slice::from_ref(&well)), Exit::Ok);
        assert_eq!(exit(&[well.clone(), failed.clone()]), Exit::Invalid);
        assert_eq!(exit(&[well, failed, absent.clone()]), Exit::Partial);
        assert_eq!(exit(&[absent, silent]), Exit::NothingUsable);
    }

    #[test]
    fn checks_of_an_older_agent_are_unknown_except_its_refusal() {
        let all = complete(&[], Some("no engine answers"));
        assert_eq!(all.len(), Check::ALL.len());
        assert_eq!((all[0].mark, all[0].text.as_str()), (Mark::Failed, "no engine answers"));
        assert!(all[1..].iter().all(|outcome| outcome.mark == Mark::Unknown));
    }
}
