//! Answers whose timing is set: written to the socket itself, each event in its own write.
//!
//! hyper has read the request and is out of the way until the next one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use regatta_types::time::MonoNs;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

use crate::alarm::Alarm;
use crate::fault::Fault;
use crate::faulty::write_faulty;
use crate::flood::Flood;
use crate::http::{response, stream_head};
use crate::log::Line;
use crate::metrics::Working;
use crate::socket::Socket;
use crate::stream::{Stream, StreamWriter, until};

/// An accepted request's answer, to be written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What is sent, and when.
    pub(crate) content: Content,
    /// Told of every write; its line is complete when the answer is.
    pub(crate) line: Line,
    /// Its place among the requests worked on at once.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    /// Counts it among the requests worked on.
    pub(crate) working: Working,
    /// The client wants the connection closed afterwards.
    pub(crate) close: bool,
}

/// What is sent, and when.
#[derive(Debug)]
pub(crate) enum Content {
    /// Events, each at its instant.
    Stream(Box<Stream>),
    /// What a fault makes of them.
    Faulty(Fault, Box<Stream>),
    /// Everything at `due`: a JSON object for an answer that is not streamed.
    Whole { due: MonoNs, tokens: u32, body: Bytes },
    /// Events as fast as the client reads, or with a pause after each write.
    Flood { flood: Arc<Flood>, pause: Duration },
}

impl Answer {
    /// Writes all of it; whether another request may follow on the connection.
    ///
    /// # Errors
    /// The client has left.
    pub(crate) async fn write(mut self, socket: &mut Socket) -> io::Result<bool> {
        match self.content {
            Content::Stream(stream) => {
                StreamWriter::new(*stream, socket, &mut self.line)?.whole(self.close).await?;
            }
            Content::Faulty(fault, stream) => {
                // This one hits another connection.
                if fault != Fault::CloseAtAccept {
                    self.line.hit_by(fault);
                }
                let mut writer = StreamWriter::new(*stream, socket, &mut self.line)?;
                return write_faulty(fault, &mut writer, self.close).await;
            }
            Content::Whole { due, tokens, body } => {
                until(&mut Alarm::new()?, due, socket).await?;
                let begun = MonoNs::now();
                let whole = response("200 OK", "application/json", "", &body, self.close);
                socket.write_all(&whole).await?;
                self.line.wrote(begun, &[tokens]);
            }
            Content::Flood { flood, pause } => {
                socket.write_all(&stream_head(self.close)).await?;
                flood.write(pause, socket, &mut self.line).await?;
            }
        }
        self.line.end("ok");
        drop((self.permit, self.working));
        Ok(!self.close)
    }
}
