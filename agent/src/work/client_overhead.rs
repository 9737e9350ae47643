//! Client overhead: the load of a suite against an endpoint in the agent's own process.
//!
//! The endpoint answers immediately and sends a token every 20 ms. Any additional time is the
//! overhead of the client (and of this endpoint) on this machine. The result is an attempt of the
//! reserved case. The report computes the overhead from it.

use std::net::Ipv4Addr;
use std::time::Duration;

use regatta_sim::{SimOptions, SimServer};
use regatta_types::assignment::{Assignment, Preparation};
use regatta_types::ids::{AttemptKey, CaseId, Epoch};
use regatta_types::suite::{
    Case, Length, Load, Message, Prompt, Ramp, Role, Slo, StopRule, Timeouts,
};
use regatta_types::time::MonoNs;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::endpoint::{Endpoint, EndpointOptions};

/// Between two tokens.
const GAP: Duration = Duration::from_millis(20);
/// Tokens of an answer.
const TOKENS: u32 = 32;
/// Limits of streams and requests, so that it takes about 2 s for any suite.
const STREAMS: u32 = 1_024;
const REQUESTS_PER_STREAM: u32 = 3;
const REQUESTS: u32 = 2_048;
/// Until the first request, and for each connection to be opened before it.
const LEAD: Duration = Duration::from_millis(100);
const PER_STREAM: Duration = Duration::from_millis(1);

/// The null endpoint, until it is dropped.
pub(super) struct Null {
    pub(super) endpoint: Endpoint,
    _stop: DropGuard,
}

/// Starts it on a separate thread.
///
/// # Errors
/// If it cannot start.
pub(super) async fn start() -> Result<Null, String> {
    let options = SimOptions { ttft: Duration::ZERO, inter_token: GAP, ..SimOptions::default() };
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let (told, address) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("null-endpoint".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(serve(options, stop, told)),
                Err(error) => drop(told.send(Err(error.to_string()))),
            }
        })
        .map_err(|error| error.to_string())?;
    let address = address.await.map_err(|_| "the thread ended".to_owned())??;
    let options = EndpointOptions { url: Some(address), ..EndpointOptions::default() };
    let endpoint = Endpoint::discover(&options).await.map_err(|error| error.to_string())?;
    let endpoint = endpoint.unasked();
    Ok(Null { endpoint, _stop: guard })
}

async fn serve(
    options: SimOptions,
    stop: CancellationToken,
    told: tokio::sync::oneshot::Sender<Result<String, String>>,
) {
    match SimServer::bind((Ipv4Addr::LOCALHOST, 0).into(), options).await {
        Ok(server) => {
            let _ = told.send(Ok(format!("http://{}", server.local_addr())));
            server.serve(stop).await;
        }
        Err(error) => drop(told.send(Err(error.to_string()))),
    }
}

/// The assignment of the attempt.
pub(super) fn assignment(key: AttemptKey, preparation: &Preparation) -> Assignment {
    let streams = preparation.wants.overhead_streams.clamp(1, STREAMS);
    let requests = (streams * REQUESTS_PER_STREAM).min(REQUESTS);
    let lead = LEAD + PER_STREAM * streams;
    let prompt = Message { role: Role::User, content: "Nothing.".to_owned() };
    Assignment {
        key,
        epoch: Epoch(0),
        case: Case {
            id: CaseId::client_overhead(),
            title: "Client overhead".to_owned(),
            prompt: Prompt::Messages(vec![prompt]),
            max_tokens: TOKENS,
            min_max_tokens: TOKENS,
            length: Length::Natural,
            temperature: 0.0,
            seed: None,
            stop: StopRule { requests: Some(requests.max(streams)), duration: None },
            repetitions: 1,
            warmup: 0,
            load: Load::Closed { streams, ramp: Ramp::None },
            sweep: None,
            slo: Slo::default(),
            solo_of: None,
            timeouts: Timeouts::default(),
        },
        start: MonoNs::now().after(lead),
        keep_text: false,
        seed: 0,
    }
}
