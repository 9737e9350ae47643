//! One connection: hyper reads a request and writes a short reply, or hands over to an
//! [`Answer`], which writes to the socket itself; then it is hyper's turn again.

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::host::Host;
use crate::socket::{LastRead, Socket};

/// Serves a connection until either side ends it. There are no limits on connections, idle time
/// or a slow request: the clients are Regatta's own, and a limit would show up in their figures.
pub(crate) async fn serve(tcp: TcpStream, host: Host, stop: CancellationToken) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "connection closed before the first request");
        return;
    }
    let last_read = LastRead::default();
    let mut socket = Socket::new(tcp, last_read.clone());
    while let Some((answer, mut taken)) = tokio::select! {
        () = stop.cancelled() => None,
        request = next_answer(socket, &host, &last_read) => request,
    } {
        let written = tokio::select! {
            () = stop.cancelled() => return,
            written = answer.write(&mut taken) => written,
        };
        match written {
            Ok(true) => socket = taken,
            Ok(false) => return,
            Err(error) => {
                tracing::debug!(%error, "connection closed during a response");
                return;
            }
        }
    }
}

/// Lets hyper serve until a request needs an answer with timing; with the socket to write it to.
/// `None`: the connection has ended.
async fn next_answer(
    socket: Socket,
    host: &Host,
    last_read: &LastRead,
) -> Option<(Answer, Socket)> {
    // One at a time: hyper reads no request before the last one is answered.
    let (hand_over, mut handed) = mpsc::channel(1);
    let service = service_fn(|request| host.answer(request, last_read, &hand_over));
    let mut served = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
    let answer = tokio::select! {
        biased;
        ended = &mut served => {
            if let Err(error) = ended {
                tracing::debug!(%error, "connection closed");
            }
            return None;
        }
        answer = handed.recv() => answer?,
    };
    let parts = served.into_parts();
    // A client that does not wait for its answer is not ours; its next request would be lost.
    parts.read_buf.is_empty().then(|| (answer, parts.io.into_inner()))
}
