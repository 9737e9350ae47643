//! The launch of one host, from the first connection to the exit of its agent.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use regatta_types::ids::HostId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Launch;
use super::call::{Call, CallEvent, Ended};
use super::remote::{self, Answer};
use super::target::Target;
use crate::run::{Input, LaunchStep, Message};
use crate::timer::sleep_until;

/// Timeouts for a connection with its answer, and for a copy of the agent.
const ANSWER: Duration = Duration::from_secs(30);
const COPY: Duration = Duration::from_secs(300);
/// At the end: time for the agent to exit, and for its exit after a request.
const LEAVING: Duration = Duration::from_secs(3);
const ASKED: Duration = Duration::from_secs(15);
/// Time to clean up after a failed start.
const TIDYING: Duration = Duration::from_secs(10);

/// Whether a start left its directory on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leftover {
    /// No directory, or the agent started there and removes it on exit.
    Gone,
    Maybe,
}

/// The launch of one host.
pub(super) struct HostLaunch {
    pub(super) launch: Arc<Launch>,
    pub(super) target: Target,
    /// Local socket for the agent's connection.
    pub(super) socket: PathBuf,
    /// Limits concurrent launches.
    pub(super) permits: Arc<Semaphore>,
    /// To the run.
    pub(super) messages: mpsc::Sender<Message>,
    /// Cancelled when the run ends.
    pub(super) leave: CancellationToken,
}

impl HostLaunch {
    pub(super) async fn run(self) {
        let Some(Ok(permit)) =
            self.leave.run_until_cancelled(Arc::clone(&self.permits).acquire_owned()).await
        else {
            return;
        };
        let room = remote::room();
        let ended = match self.leave.run_until_cancelled(self.prepare(&room)).await {
            Some(Ok((program, subcommand))) => {
                self.attend(permit, &room, &program, subcommand).await
            }
            Some(Err(failed)) => Err(failed),
            None => Err(("the run has ended".to_owned(), Leftover::Maybe)),
        };
        if let Err((why, there)) = ended {
            self.tell(Input::LaunchEnded { host: self.host(), why }).await;
            if there == Leftover::Maybe {
                self.tidy(&[], &remote::clear(&room)).await;
            }
        }
    }

    fn host(&self) -> HostId {
        self.target.host.clone()
    }

    async fn tell(&self, input: Input) {
        // Fails only after the end of the run, when no one needs it.
        let _ = self.messages.send(Message::Input(input)).await;
    }

    async fn step(&self, step: LaunchStep) {
        self.tell(Input::Launching { host: self.host(), step }).await;
    }

    /// Prepares the binary and a private directory on the host. Returns the path of the binary and
    /// whether it needs the subcommand.
    async fn prepare(&self, room: &str) -> Result<(String, bool), (String, Leftover)> {
        self.step(LaunchStep::Connect).await;
        let binaries = &self.launch.binaries;
        let script = Bytes::from_static(remote::PROBE.as_bytes());
        let maybe = |why| (why, Leftover::Maybe);
        let lines =
            self.ask(&remote::probe(room, binaries), script, ANSWER).await.map_err(maybe)?;
        let lines = lines.map_err(|ended| {
            // Without a login, a cleanup would fail too.
            let there = if ended.is_ssh_failure() { Leftover::Gone } else { Leftover::Maybe };
            (self.failed("cannot inspect the host", &ended), there)
        })?;
        let answer = Answer::read(&lines);
        let binary = answer.choose(binaries).map_err(maybe)?;
        if !answer.has(binary) {
            self.step(LaunchStep::Copy).await;
            let token = format!("{:08x}", rand::random::<u32>());
            let command = remote::copy(binary, &token);
            let copied = self.ask(&command, binary.content.clone(), COPY).await.map_err(maybe)?;
            copied.map_err(|ended| maybe(self.failed("cannot copy the agent", &ended)))?;
        }
        Ok((format!("{}/{}", answer.cache, binary.name()), binary.subcommand))
    }

    /// Runs a command and returns its output lines.
    async fn ask(
        &self,
        command: &str,
        input: Bytes,
        limit: Duration,
    ) -> Result<Result<Vec<String>, Ended>, String> {
        let mut call = self.call(&[], command, Some(input))?;
        let mut lines = Vec::new();
        let ended = tokio::time::timeout(limit, async {
            loop {
                match call.next().await {
                    // Limits the output of login scripts.
                    CallEvent::Line(line) if lines.len() < 1_000 => lines.push(line),
                    CallEvent::Line(_) => {}
                    CallEvent::Ended(ended) => return ended,
                }
            }
        });
        let ended = ended
            .await
            .map_err(|_| format!("ssh: command did not finish within {} s", limit.as_secs()))?;
        Ok(if ended.is_success() { Ok(lines) } else { Err(ended) })
    }

    fn call(&self, options: &[&str], command: &str, input: Option<Bytes>) -> Result<Call, String> {
        let last = ["--", &self.target.destination, command];
        let arguments = options.iter().chain(&last).filter(|word| !word.is_empty());
        let program = &self.launch.program;
        Call::start(program, arguments, input)
            .map_err(|e| format!("cannot run `{}`: {e}", program.display()))
    }

    /// The message for a failed call.
    fn failed(&self, what: &str, ended: &Ended) -> String {
        let why = ended.why();
        if ended.is_ssh_failure() {
            format!("ssh: {why}. Test the login with `ssh {} true`", self.target.destination)
        } else {
            format!("{what}: {why}")
        }
    }

    /// Runs the agent until it exits or the run ends. On an error, the host leaves the run.
    async fn attend(
        &self,
        permit: OwnedSemaphorePermit,
        room: &str,
        program: &str,
        subcommand: bool,
    ) -> Result<(), (String, Leftover)> {
        self.step(LaunchStep::Start).await;
        let seconds = self.launch.alone.as_secs().max(1);
        let mut flags = vec![
            format!("--coordinator=unix:{room}/s"),
            format!("--attached={seconds}"),
            format!("--name={}", self.target.host),
            "--log-json".to_owned(),
        ];
        flags.extend(self.target.flags.iter().cloned());
        let forward = format!("{room}/s:{}", self.socket.display());
        let command = remote::start(room, program, subcommand, &flags);
        let mut call =
            self.call(&["-R", &forward], &command, None).map_err(|why| (why, Leftover::Maybe))?;
        let started = self.started(&mut call).await;
        drop(permit);
        let ended = match started {
            Ok(()) => self.watch(&mut call).await.map_err(|why| (why, Leftover::Gone)),
            Err(why) => Err((why, Leftover::Maybe)),
        };
        drop(call);
        // On a persistent connection of the user's ssh, the forward would remain.
        self.tidy(&["-O", "cancel", "-R", &forward], "").await;
        ended
    }

    async fn started(&self, call: &mut Call) -> Result<(), String> {
        let said = async {
            loop {
                match call.next().await {
                    CallEvent::Line(line) if line == remote::STARTED => return Ok(()),
                    CallEvent::Line(_) => {}
                    CallEvent::Ended(ended) => {
                        return Err(self.failed("the agent did not start", &ended));
                    }
                }
            }
        };
        tokio::select! {
            said = tokio::time::timeout(ANSWER, said) => {
                said.map_err(|_| format!("ssh: no answer within {} s", ANSWER.as_secs()))?
            }
            () = self.leave.cancelled() => Ok(()),
        }
    }

    async fn watch(&self, call: &mut Call) -> Result<(), String> {
        let mut leaving: Option<Instant> = None;
        let mut asked = false;
        loop {
            let said = tokio::select! {
                said = call.next() => Some(said),
                () = self.leave.cancelled(), if leaving.is_none() => None,
                () = sleep_until(leaving) => None,
            };
            match (said, leaving) {
                (Some(CallEvent::Line(_)), _) => {}
                (Some(CallEvent::Ended(_)), Some(_)) => return Ok(()),
                (Some(CallEvent::Ended(ended)), None) if ended.is_ssh_failure() => {
                    return Err(format!("ssh connection lost: {}", ended.why()));
                }
                (Some(CallEvent::Ended(ended)), None) => {
                    return Err(format!("agent exited: {}", ended.why()));
                }
                (None, None) => leaving = Some(Instant::now() + LEAVING),
                (None, Some(_)) if !asked => {
                    call.hang_up();
                    asked = true;
                    leaving = Some(Instant::now() + ASKED);
                }
                // Dropping the call ends ssh, which stops the agent.
                (None, Some(_)) => return Ok(()),
            }
        }
    }

    /// Runs a best-effort cleanup command.
    async fn tidy(&self, options: &[&str], command: &str) {
        let Ok(mut call) = self.call(options, command, Some(Bytes::new())) else { return };
        let ended = tokio::time::timeout(TIDYING, async {
            loop {
                if let CallEvent::Ended(ended) = call.next().await {
                    return ended;
                }
            }
        });
        if let Ok(ended) = ended.await
            && !ended.is_success()
        {
            debug!(host = %self.target.host, reason = ended.why(), "cleanup failed");
        }
    }
}
