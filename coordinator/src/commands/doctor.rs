//! `regatta doctor`: this machine with an agent in this process, or a fleet as `regatta run` has it.

use std::sync::Arc;

use regatta_agent::run::{Local, endpoint_options};
use regatta_types::exit::Exit;
use regatta_types::record::ExpectedHosts;
use regatta_types::time::WallClock;

use super::FleetArgs;
use crate::cli::DoctorArgs;
use crate::command_error::CommandError;
use crate::doctor::{Doctor, doctor};
use crate::run::RunPolicy;
use crate::suite::{self, Overrides};

pub(super) async fn preflight(
    args: DoctorArgs,
    wall: Arc<dyn WallClock>,
) -> Result<Exit, CommandError> {
    let load = |name: &str| suite::load(name, &Overrides::default());
    let suite = args.suite.as_deref().map(load).transpose()?;
    let policy = RunPolicy { wait: args.wait, ..RunPolicy::default() };
    let is_fleet = args.expect.is_some() || !args.hosts.is_empty() || args.ssh.is_used();
    let model = args.local.model.clone();
    let mut plan = Doctor {
        suite,
        expected: ExpectedHosts::Count(1),
        model,
        policy,
        listen: None,
        launch: None,
        embedded: Vec::new(),
        json: args.json,
        wall: wall.clone(),
    };
    if is_fleet {
        let fleet = FleetArgs {
            expect: args.expect,
            hosts: args.hosts,
            listen: args.listen,
            insecure: args.insecure,
            ssh: &args.ssh,
        };
        let fleet = fleet.check(plan.policy.lost_after)?;
        plan.expected = fleet.expected;
        plan.listen = fleet.listen;
        plan.launch = fleet.launch;
    } else {
        let usage = |e: regatta_agent::run::RunError| CommandError::usage(e.to_string());
        let endpoint = endpoint_options(args.url, &args.local).map_err(usage)?;
        let local = Local::of_this_machine(None, &args.local).map_err(usage)?;
        plan.expected = ExpectedHosts::Named(vec![local.host.clone()]);
        plan.embedded = vec![Box::new(move |connector| local.embedded(connector, endpoint, wall))];
    }
    doctor(plan).await
}
