//! Each chunk has the stamp of the read that completed it.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::*;
use crate::endpoint::arrival::Arrivals;

#[tokio::test]
async fn chunks_written_apart_have_stamps_apart() {
    let go = Arc::new(Notify::new());
    let server = Server::always(vec![
        stream(&[&content("a")]),
        Step::Wait(Arc::clone(&go)),
        Step::Write((content("b") + &content("c") + &event(FINISH) + "0\r\n\r\n").into()),
    ])
    .await;
    let endpoint = server.endpoint();
    let prepared = prepared(&endpoint, patient());
    let released = Mutex::new(None);
    let mut connection = endpoint.connection();
    connection.ensure_connected(prepared.connect_limit()).await.unwrap();
    let (_stopper, mut stop) = Stop::new();
    let chunks = AtomicU64::new(0);
    let trace = RequestTrace::new(0, 0, Phase::Measured);
    let sending = Sending {
        built: prepared.build(ConversationTurn::first(0)),
        trace,
        stop: &mut stop,
        chunks: &chunks,
    };
    let releasing = async {
        while chunks.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        *released.lock().unwrap() = Some(MonoNs::now());
        go.notify_one();
    };
    let (trace, ()) =
        within("the request", async { tokio::join!(connection.send(sending), releasing) }).await;
    let released = released.lock().unwrap().unwrap();
    let at: Vec<MonoNs> = trace.chunks.iter().map(|chunk| chunk.at).collect();
    assert!(at[0] <= released && released <= at[1] && at[1] <= at[2], "{at:?} {released:?}");
}

/// Hands out one piece a read, as often as it is asked, and notes when.
#[derive(Debug)]
struct Pieces {
    pieces: std::vec::IntoIter<Vec<u8>>,
    reads: Arc<Mutex<Vec<MonoNs>>>,
    written: bool,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A response before its request would be a protocol error.
        if self.written
            && let Some(piece) = self.pieces.next()
        {
            buf.put_slice(&piece);
            self.reads.lock().unwrap().push(MonoNs::now());
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl Arrivals for Pieces {}

impl AsyncWrite for Pieces {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written = true;
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The socket always has more to read, so that a connection that ran ahead of the body's reader
/// would give every chunk a later read's stamp.
#[tokio::test]
async fn each_chunk_has_the_stamp_of_the_read_that_completed_it() {
    let cut = content("cut in two");
    let (head, tail) = cut.split_at(cut.len() / 2);
    let pieces: Vec<String> = vec![
        STREAM_HEAD.to_owned() + &content("with the head"),
        content("alone"),
        content("two") + &content("in one read"),
        head.to_owned(),
        tail.to_owned() + &content("behind it"),
        content("alone again"),
        event(FINISH) + &event("[DONE]") + "0\r\n\r\n",
    ];
    let reads_of_chunks = [0, 1, 2, 2, 4, 4, 5];
    let reads = Arc::new(Mutex::new(Vec::new()));
    let io = Pieces {
        pieces: pieces.into_iter().map(String::into_bytes).collect::<Vec<_>>().into_iter(),
        reads: Arc::clone(&reads),
        written: false,
    };
    let endpoint = endpoint_at((Ipv4Addr::LOCALHOST, 1).into());
    let prepared = prepared(&endpoint, patient());
    let mut connection = StreamConnection::over(Arc::clone(endpoint.target()), io).await;
    let trace = request(&mut connection, &prepared).await;
    assert_eq!(trace.outcome, Outcome::Ok);
    let reads = reads.lock().unwrap();
    assert_eq!(trace.chunks.len(), reads_of_chunks.len());
    for (chunk, read) in trace.chunks.iter().zip(reads_of_chunks) {
        assert!(
            reads[read] <= chunk.at && chunk.at <= reads[read + 1],
            "{read}: {:?}",
            trace.chunks
        );
    }
    let same = |a: usize, b: usize| trace.chunks[a].at == trace.chunks[b].at;
    assert!(same(2, 3) && same(4, 5) && !same(1, 2) && !same(3, 4));
}
