//! `regatta hosts`: facts of each host, without a run.

use std::sync::Arc;

use regatta_types::exit::Exit;
use regatta_types::record::ExpectedHosts;
use regatta_types::time::WallClock;

use super::launch;
use crate::cli::HostsArgs;
use crate::command_error::CommandError;
use crate::doctor::{Doctor, hosts as preflight};
use crate::run::RunPolicy;

pub(super) async fn hosts(args: HostsArgs, wall: Arc<dyn WallClock>) -> Result<Exit, CommandError> {
    let policy = RunPolicy { wait: args.wait, ..RunPolicy::default() };
    let launch = launch(&args.ssh, policy.lost_after)?;
    let expected = launch.as_ref().map(crate::launch::Launch::hosts).unwrap_or_default();
    preflight(Doctor {
        suite: None,
        expected: ExpectedHosts::Named(expected),
        model: args.model,
        policy,
        listen: None,
        launch,
        embedded: Vec::new(),
        json: args.json,
        wall,
    })
    .await
}
