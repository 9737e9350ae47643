//! `regatta bench`: this machine, with an agent in this process.

use std::sync::Arc;

use regatta_agent::run::{Local, endpoint_options};
use regatta_types::exit::Exit;
use regatta_types::margin::Margins;
use regatta_types::record::ExpectedHosts;
use regatta_types::time::WallClock;

use super::dry_run::dry_run;
use super::history::given_baseline;
use super::{command_line, load, orders, state_dir};
use crate::cli::BenchArgs;
use crate::command_error::CommandError;
use crate::execute::{RunSpec, Starting, execute};
use crate::run::RunPolicy;

pub(super) async fn bench(args: BenchArgs, wall: Arc<dyn WallClock>) -> Result<Exit, CommandError> {
    let default = if args.workload.shapes_load() { "text" } else { "quick" };
    let suite = load(args.suite.as_deref().unwrap_or(default), &args.workload)?;
    if args.output.dry_run {
        return dry_run(&suite, Starting::default(), args.workload.seed, &args.output);
    }
    let baseline = given_baseline(args.output.baseline.as_deref(), &args.output.store)?;
    let model = args.local.model.clone();
    let endpoint =
        endpoint_options(args.url, &args.local).map_err(|e| CommandError::usage(e.to_string()))?;
    let local = Local::of_this_machine(None, &args.local)
        .map_err(|e| CommandError::usage(e.to_string()))?;
    let host = local.host.clone();
    let agent_wall = wall.clone();
    execute(RunSpec {
        suite,
        expected: ExpectedHosts::Named(vec![host]),
        start: Starting::default(),
        seed: args.workload.seed,
        orders: orders(model, args.workload.warmup),
        policy: RunPolicy::default(),
        listen: None,
        launch: None,
        embedded: vec![Box::new(move |connector| local.embedded(connector, endpoint, agent_wall))],
        state: state_dir(&args.output.store)?,
        out: args.output.out,
        json: args.output.json,
        keep_text: args.output.keep_text,
        redact: args.output.redact,
        baseline,
        command: command_line(),
        assume_equal: Vec::new(),
        tariff: args.output.tariff,
        margins: Margins::default(),
        wall,
    })
    .await
}
