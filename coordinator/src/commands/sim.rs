//! `regatta sim`: a simulated GPU host until interrupted.

use std::time::Duration;

use regatta_agent::signals::Interrupts;
use regatta_sim::{SimError, SimOptions, SimServer, TokensPerChunk};
use regatta_types::exit::Exit;
use tokio_util::sync::CancellationToken;

use super::Problem;
use crate::cli::SimArgs;
use crate::output::say;

pub(super) async fn sim(args: SimArgs) -> Result<Exit, Problem> {
    let listen = args.listen;
    let server = SimServer::bind(listen, options(args)?).await.map_err(|e| match e {
        SimError::Options(_) | SimError::Bind { .. } => Problem::usage(e.to_string()),
        SimError::Log { .. } => Problem::with(Exit::Storage, e),
    })?;
    let stop = CancellationToken::new();
    let interrupts = Interrupts::listen().map_err(|e| Problem::unexpected(e.to_string()))?;
    let interrupted = async {
        interrupts.nth(1).await;
        stop.cancel();
    };
    say(&format!("simulated host on http://{}/v1 (interrupt to stop)", server.local_addr()));
    tokio::join!(server.serve(stop.clone()), interrupted);
    Ok(Exit::Ok)
}

fn options(args: SimArgs) -> Result<SimOptions, Problem> {
    let usual = SimOptions::default();
    let inter_token = if args.flood.is_some() { Duration::ZERO } else { usual.inter_token };
    Ok(SimOptions {
        model: args.model,
        ttft: args.ttft,
        inter_token: args.inter_token.unwrap_or(inter_token),
        tokens_per_chunk: tokens_per_chunk(&args.tokens_per_chunk)?,
        jitter: args.jitter / 100.0,
        slow_percent: args.slow,
        seed: args.seed,
        reasoning_tokens: args.reasoning,
        parallel: args.parallel,
        flood: args.flood,
        log: args.log,
        ..usual
    })
}

fn tokens_per_chunk(text: &str) -> Result<TokensPerChunk, Problem> {
    let wrong =
        || Problem::usage(format!("--tokens-per-chunk `{text}`: give a number, or random:N"));
    match text.strip_prefix("random:") {
        Some(max) => Ok(TokensPerChunk::Random { max: max.parse().map_err(|_| wrong())? }),
        None => Ok(TokensPerChunk::Fixed(text.parse().map_err(|_| wrong())?)),
    }
}
