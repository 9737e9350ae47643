//! `regatta sim`: a simulated GPU host until interrupted.

use std::time::Duration;

use regatta_agent::signals::Interrupts;
use regatta_sim::{SimError, SimOptions, SimServer, UsagePolicy};
use regatta_types::exit::Exit;
use tokio_util::sync::CancellationToken;

use crate::cli::{SimArgs, Usage};
use crate::command_error::CommandError;
use crate::output::say;

pub(super) async fn sim(args: SimArgs) -> Result<Exit, CommandError> {
    let listen = args.listen;
    let server = SimServer::bind(listen, options(args)).await.map_err(|e| match e {
        SimError::Options(_) | SimError::Bind { .. } => CommandError::usage(e.to_string()),
        SimError::Log { .. } => CommandError::with(Exit::Storage, &e),
    })?;
    let stop = CancellationToken::new();
    let interrupts = Interrupts::listen().map_err(|e| CommandError::unexpected(e.to_string()))?;
    let interrupted = async {
        interrupts.nth(1).await;
        stop.cancel();
    };
    say(&format!("simulated host on http://{}/v1 (interrupt to stop)", server.local_addr()));
    tokio::join!(server.serve(stop.clone()), interrupted);
    Ok(Exit::Ok)
}

fn options(args: SimArgs) -> SimOptions {
    let usual = SimOptions::default();
    let inter_token = if args.flood.is_some() { Duration::ZERO } else { usual.inter_token };
    SimOptions {
        model: args.model,
        version: args.engine_version.unwrap_or(usual.version),
        ttft: args.ttft,
        prefill_tps: args.prefill_tps,
        inter_token: args.inter_token.unwrap_or(inter_token),
        first_chunk: args.first_chunk,
        tokens_per_chunk: args.tokens_per_chunk,
        flood: args.flood,
        parallel: args.parallel,
        decode_capacity: args.decode_capacity,
        freeze: args.freeze,
        jitter: args.jitter / 100.0,
        slow_percent: args.slow,
        stop_after: args.stop_after,
        forced_length: !args.ignore_eos_ignored,
        reasoning_tokens: args.reasoning,
        context_length: args.context_length,
        prefix_cache: args.prefix_cache,
        token_ids: !args.no_token_ids,
        usage: match args.usage {
            Usage::Asked => UsagePolicy::AsAsked,
            Usage::Final => UsagePolicy::Final,
            Usage::Never => UsagePolicy::Never,
        },
        refuse: args.refuse,
        faults: args.fault,
        seed: args.seed,
        api_key: None,
        log: args.log,
    }
}
