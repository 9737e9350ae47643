//! `regatta run`: wait for agents, run a suite on all of them, write the reports.

use std::sync::Arc;

use regatta_types::exit::Exit;
use regatta_types::time::WallClock;

use super::dry_run::dry_run;
use super::history::given_baseline;
use super::{FleetArgs, command_line, load, orders, started, state_dir};
use crate::cli::RunArgs;
use crate::command_error::CommandError;
use crate::execute::{RunSpec, execute};
use crate::run::RunPolicy;

pub(super) async fn run(args: RunArgs, wall: Arc<dyn WallClock>) -> Result<Exit, CommandError> {
    let (suite, start) = started(load(&args.suite, &args.workload)?, args.start)?;
    if args.output.dry_run {
        return dry_run(&suite, start, args.workload.seed, &args.output);
    }
    let baseline = given_baseline(args.output.baseline.as_deref(), &args.output.store)?;
    let fleet = FleetArgs {
        expect: args.expect,
        hosts: args.hosts,
        listen: args.listen,
        insecure: args.insecure,
        ssh: &args.ssh,
    };
    let fleet = fleet.check(args.lost_after)?;
    let policy = RunPolicy {
        wait: args.wait,
        late: args.late,
        lost_after: args.lost_after,
        allow_missing: args.allow_missing,
        ..RunPolicy::default()
    };
    execute(RunSpec {
        suite,
        expected: fleet.expected,
        start,
        seed: args.workload.seed,
        orders: orders(args.model, args.workload.warmup),
        policy,
        listen: fleet.listen,
        launch: fleet.launch,
        embedded: Vec::new(),
        state: state_dir(&args.output.store)?,
        out: args.output.out,
        json: args.output.json,
        keep_text: args.output.keep_text,
        redact: args.output.redact,
        baseline,
        command: command_line(),
        assume_equal: args.assume_equal,
        tariff: args.output.tariff,
        margins: args.margin.unwrap_or_default(),
        wall,
    })
    .await
}
