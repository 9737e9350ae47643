//! `regatta demo`: three simulated hosts, one of them slow, through the whole program.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use regatta_agent::endpoint::EndpointOptions;
use regatta_agent::gpu::{GpuSource, Sampler, SamplerOptions};
use regatta_agent::run::Local;
use regatta_sim::gpu_script::GpuScript;
use regatta_sim::{SimOptions, SimServer};
use regatta_types::assignment::EngineWarmup;
use regatta_types::exit::Exit;
use regatta_types::ids::HostId;
use regatta_types::margin::Margins;
use regatta_types::record::ExpectedHosts;
use regatta_types::time::WallClock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::dry_run::dry_run;
use super::history::given_baseline;
use super::{command_line, started, state_dir};
use crate::cli::DemoArgs;
use crate::command_error::CommandError;
use crate::execute::{Embedded, RunSpec, execute};
use crate::run::{Orders, RunPolicy};
use crate::suite::{self, Overrides};

const HOSTS: u32 = 3;
/// What a simulated host is set to. Small enough for a demo of well under a minute.
const TTFT: Duration = Duration::from_millis(60);
const INTER_TOKEN: Duration = Duration::from_millis(6);
/// Spread of a request's times: what a quiet host shows between repetitions.
const JITTER: f64 = 0.004;

pub(super) async fn demo(args: DemoArgs, wall: Arc<dyn WallClock>) -> Result<Exit, CommandError> {
    let overrides = Overrides { repetitions: Some(args.repetitions), ..Overrides::default() };
    let (suite, start) = started(suite::load("quick", &overrides)?, args.start)?;
    if args.output.dry_run {
        return dry_run(&suite, start, args.seed, &args.output);
    }
    let baseline = given_baseline(args.output.baseline.as_deref(), &args.output.store)?;
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let stop = CancellationToken::new();
    let mut sims = JoinSet::new();
    let mut embedded: Vec<Embedded> = Vec::new();
    let mut names = Vec::new();
    for index in 1..=HOSTS {
        let options = SimOptions {
            ttft: TTFT,
            inter_token: INTER_TOKEN,
            jitter: JITTER,
            slow_percent: if index == HOSTS { args.slow } else { 0.0 },
            seed: seed.wrapping_add(index.into()),
            ..SimOptions::default()
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let failed = |e| CommandError::unexpected(format!("cannot start a simulated host: {e}"));
        let server = SimServer::bind(address, options).await.map_err(failed)?;
        let url = server.local_addr().to_string();
        sims.spawn(server.serve(stop.clone()));
        let host = HostId::new(format!("sim-{index}"))
            .map_err(|e| CommandError::unexpected(e.to_string()))?;
        names.push(host.clone());
        embedded.push(agent(host, index, url, wall.clone())?);
    }
    let exit = execute(RunSpec {
        suite,
        expected: ExpectedHosts::Named(names),
        start,
        seed: Some(seed),
        orders: Orders { model: None, engine_warmup: EngineWarmup::UntilSteady, check_only: false },
        policy: RunPolicy::default(),
        listen: None,
        launch: None,
        embedded,
        state: state_dir(&args.output.store)?,
        out: args.output.out,
        json: args.output.json,
        keep_text: args.output.keep_text,
        redact: args.output.redact,
        baseline,
        command: command_line(),
        assume_equal: Vec::new(),
        tariff: None,
        margins: Margins::default(),
        wall,
    })
    .await;
    stop.cancel();
    while sims.join_next().await.is_some() {}
    exit
}

fn agent(
    host: HostId,
    index: u32,
    url: String,
    wall: Arc<dyn WallClock>,
) -> Result<Embedded, CommandError> {
    let endpoint = EndpointOptions { url: Some(url), ..EndpointOptions::default() };
    let gpu = Sampler::start(
        GpuSource::Simulated(GpuScript::blackwell(index)),
        SamplerOptions::default(),
    );
    let local = Local::simulated(host, gpu).map_err(|e| CommandError::unexpected(e.to_string()))?;
    Ok(Box::new(move |connector| local.embedded(connector, endpoint, wall)))
}
