//! The one thread that owns the store, and the handle by which async code reaches it.
//!
//! Writes that wait together are committed together: one flush for many. A reply comes only after
//! the commit, so it may be passed on as an acknowledgement.

use std::io;
use std::thread::JoinHandle;

use regatta_types::ids::RunId;
use tokio::sync::{mpsc, oneshot};

use super::{Loaded, RunSummary, Store, StoreError, Stored, Write};

/// Commands that may wait. A waiting report is in memory, so this bounds memory too.
const QUEUE: usize = 64;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Command {
    Write(Vec<Write>, Reply<Vec<Stored>>),
    Load(RunId, Reply<Box<Loaded>>),
    Runs(Reply<Vec<RunSummary>>),
    Close,
}

/// The writer thread.
#[derive(Debug)]
pub struct Writer {
    handle: StoreHandle,
    thread: JoinHandle<Box<dyn Store>>,
}

/// Reaches the store from async code.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    commands: mpsc::Sender<Command>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(store: Box<dyn Store>) -> io::Result<Self> {
        let (commands, queue) = mpsc::channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(|| serve(store, queue))?;
        Ok(Self { handle: StoreHandle { commands }, thread })
    }

    /// A handle to the store.
    #[must_use]
    pub fn handle(&self) -> StoreHandle {
        self.handle.clone()
    }

    /// Ends the thread after everything that was sent before, and gives the store back. Handles
    /// that are left answer [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError::Closed`] when the thread has panicked.
    pub async fn close(self) -> Result<Box<dyn Store>, StoreError> {
        // A closed queue means that the thread has ended already.
        let _ = self.handle.commands.send(Command::Close).await;
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await;
        joined.map_err(|_| StoreError::Closed)?.map_err(|_| StoreError::Closed)
    }
}

impl StoreHandle {
    /// Applies all of `writes` or none; returns after they are on disk.
    ///
    /// # Errors
    /// As [`Store::write`], or [`StoreError::Closed`].
    pub async fn write(&self, writes: Vec<Write>) -> Result<Vec<Stored>, StoreError> {
        self.submit(writes).await?.await.map_err(|_| StoreError::Closed)?
    }

    /// Puts `writes` into the queue, in order, and returns where their result will come.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn submit(
        &self,
        writes: Vec<Write>,
    ) -> Result<oneshot::Receiver<Result<Vec<Stored>, StoreError>>, StoreError> {
        self.send(|reply| Command::Write(writes, reply)).await
    }

    /// [`Store::load`].
    ///
    /// # Errors
    /// As [`Store::load`], or [`StoreError::Closed`].
    pub async fn load(&self, run: RunId) -> Result<Loaded, StoreError> {
        let reply = self.send(|reply| Command::Load(run, reply)).await?;
        reply.await.map_err(|_| StoreError::Closed)?.map(|loaded| *loaded)
    }

    /// [`Store::runs`].
    ///
    /// # Errors
    /// As [`Store::runs`], or [`StoreError::Closed`].
    pub async fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        self.send(Command::Runs).await?.await.map_err(|_| StoreError::Closed)?
    }

    async fn send<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }
}

/// Sends a reply. The receiver may no longer be waiting, which is not an error.
fn reply<T>(to: Reply<T>, result: Result<T, StoreError>) {
    let _ = to.send(result);
}

fn serve(mut store: Box<dyn Store>, mut queue: mpsc::Receiver<Command>) -> Box<dyn Store> {
    let mut next = queue.blocking_recv();
    while let Some(command) = next.take() {
        match command {
            Command::Write(writes, to) => {
                let mut group = vec![(writes, to)];
                while group.len() < QUEUE {
                    match queue.try_recv() {
                        Ok(Command::Write(writes, to)) => group.push((writes, to)),
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                commit(&mut *store, group);
            }
            Command::Load(run, to) => reply(to, store.load(&run).map(Box::new)),
            Command::Runs(to) => reply(to, store.runs()),
            Command::Close => break,
        }
        if next.is_none() {
            next = queue.blocking_recv();
        }
    }
    store
}

/// Commits a group at once. If one of them is refused, each is tried on its own, so that it fails
/// alone; if the storage failed, the first gets the reason.
fn commit(store: &mut dyn Store, mut group: Vec<(Vec<Write>, Reply<Vec<Stored>>)>) {
    if group.len() > 1 {
        let sizes: Vec<usize> = group.iter().map(|(writes, _)| writes.len()).collect();
        let all: Vec<Write> =
            group.iter_mut().flat_map(|(writes, _)| std::mem::take(writes)).collect();
        match store.write(&all) {
            Ok(stored) => {
                let mut stored = stored.into_iter();
                for ((_, to), n) in group.into_iter().zip(sizes) {
                    reply(to, Ok(stored.by_ref().take(n).collect()));
                }
                return;
            }
            Err(error) => {
                let mut all = all.into_iter();
                for ((writes, _), n) in group.iter_mut().zip(sizes) {
                    *writes = all.by_ref().take(n).collect();
                }
                if error.is_storage_failure() {
                    let (_, to) = group.remove(0);
                    reply(to, Err(error));
                }
            }
        }
    }
    for (writes, to) in group {
        let result = store.write(&writes);
        reply(to, result);
    }
}
