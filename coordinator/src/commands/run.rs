//! `regatta run`: wait for agents, run a suite on all of them, write the reports.

use std::sync::Arc;

use regatta_types::exit::Exit;
use regatta_types::record::ExpectedHosts;
use regatta_types::time::WallClock;

use super::dry_run::dry_run;
use super::{Problem, command_line, load, orders, state_dir};
use crate::cli::RunArgs;
use crate::conduct::{Conduct, conduct};
use crate::run::RunPolicy;

pub(super) async fn run(args: RunArgs, wall: Arc<dyn WallClock>) -> Result<Exit, Problem> {
    let suite = load(&args.suite, &args.workload)?;
    if args.output.dry_run {
        return dry_run(&suite, args.workload.seed, &args.output);
    }
    if !args.listen.ip().is_loopback() && !args.insecure {
        return Err(Problem::usage(format!(
            "--listen {} is beyond loopback, where prompts and results would travel in plain text; \
             on a network that only you can read, add --insecure here and at every agent",
            args.listen
        )));
    }
    let expected = match args.expect {
        Some(n) => ExpectedHosts::Count(n),
        None => {
            let mut hosts = args.hosts;
            hosts.sort();
            hosts.dedup();
            ExpectedHosts::Named(hosts)
        }
    };
    let policy = RunPolicy {
        wait: args.wait,
        late: args.late,
        lost_after: args.lost_after,
        ..RunPolicy::default()
    };
    conduct(Conduct {
        suite,
        expected,
        seed: args.workload.seed,
        orders: orders(args.model, args.workload.warmup),
        policy,
        listen: Some(args.listen),
        embedded: Vec::new(),
        state: state_dir(&args.output.store)?,
        out: args.output.out,
        json: args.output.json,
        keep_text: args.output.keep_text,
        redact: args.output.redact,
        command: command_line(),
        assume_equal: args.assume_equal,
        wall,
    })
    .await
}
