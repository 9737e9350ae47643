//! `regatta run`: wait for agents, run a suite on all of them, write the reports.

use std::sync::Arc;

use regatta_types::exit::Exit;
use regatta_types::time::WallClock;

use super::dry_run::dry_run;
use super::{Problem, check_listen, command_line, expected, load, orders, state_dir};
use crate::cli::RunArgs;
use crate::conduct::{Conduct, conduct};
use crate::run::RunPolicy;

pub(super) async fn run(args: RunArgs, wall: Arc<dyn WallClock>) -> Result<Exit, Problem> {
    let suite = load(&args.suite, &args.workload)?;
    if args.output.dry_run {
        return dry_run(&suite, args.workload.seed, &args.output);
    }
    check_listen(args.listen, args.insecure)?;
    let policy = RunPolicy {
        wait: args.wait,
        late: args.late,
        lost_after: args.lost_after,
        ..RunPolicy::default()
    };
    conduct(Conduct {
        suite,
        expected: expected(args.expect, args.hosts),
        seed: args.workload.seed,
        orders: orders(args.model, args.workload.warmup),
        policy,
        listen: Some(args.listen),
        embedded: Vec::new(),
        state: state_dir(&args.output.store)?,
        out: args.output.out,
        json: args.output.json,
        keep_text: args.output.keep_text,
        command: command_line(),
        assume_equal: args.assume_equal,
        tariff: args.output.tariff,
        margins: args.margin.unwrap_or_default(),
        wall,
    })
    .await
}
