//! The service on a listener or an in-memory pipe, with its limits.

use std::time::Duration;

use regatta_wire::limits::MAX_MESSAGE;
use regatta_wire::v1::fleet_server::FleetServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::Hub;

/// How often an idle connection is probed, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3));
/// Streams one connection may have open; an agent needs one.
const STREAMS: u32 = 16;
/// Largest request head, bytes.
const HEAD: u32 = 16 << 10;

/// Serves `hub` to every connection of `incoming` until `stop` is cancelled.
///
/// # Errors
/// When the transport fails.
pub async fn serve<I, IO, E>(
    hub: Hub,
    incoming: I,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error>
where
    I: Stream<Item = Result<IO, E>> + Send,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = FleetServer::new(hub)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .http2_max_header_list_size(HEAD)
        .max_concurrent_streams(STREAMS)
        .concurrency_limit_per_connection(8)
        .load_shed(true)
        .add_service(service)
        .serve_with_incoming(incoming);
    // Not a graceful shutdown of the transport: that waits for streams which only end with us.
    tokio::select! {
        result = server => result,
        () = stop.cancelled() => Ok(()),
    }
}
