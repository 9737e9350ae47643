//! One ssh process: its input, output and exit.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use regatta_types::clean;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;
use tracing::debug;

use crate::timer::sleep_until;

/// Exit code of ssh for its own failures; other codes are from the remote command.
const SSH_FAILED: i32 = 255;
/// After the exit, its streams are read for this long: a persistent connection (`ControlPersist`)
/// can hold them open.
const REST: Duration = Duration::from_secs(1);
/// Maximum number of stderr lines that are kept, and their maximum length.
const LINES_KEPT: usize = 8;
const LINE_MAX: usize = 300;
/// Longer lines are split.
const BUFFER: usize = 16 << 10;
const SSH: [&str; 9] = [
    // No prompts, no terminal, no X11, no ssh agent: the session is non-interactive.
    "-oBatchMode=yes",
    "-T",
    "-x",
    "-a",
    "-oConnectTimeout=15",
    // Detects a lost connection within a minute.
    "-oServerAliveInterval=15",
    "-oServerAliveCountMax=3",
    "-oRemoteCommand=none",
    // Forwards from the user's configuration may be in use by another ssh.
    "-oExitOnForwardFailure=no",
];

/// A running ssh process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Call {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Input that is left to write; `None`: stdin stays open.
    input: Option<Bytes>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    out: BytesMut,
    err: BytesMut,
    complaints: VecDeque<String>,
    ended: Option<(ExitStatus, Instant)>,
}

/// An event of a call.
#[derive(Debug)]
pub(super) enum CallEvent {
    /// A line on stdout.
    Line(String),
    /// The process exited.
    Ended(Ended),
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Ended {
    code: Option<i32>,
    complaints: VecDeque<String>,
}

enum Next {
    Out(io::Result<usize>),
    Err(io::Result<usize>),
    Fed(io::Result<usize>),
    Exit(io::Result<ExitStatus>),
    Rest,
}

impl Call {
    /// Starts `program` as ssh with additional arguments. `input` is written to stdin, which is
    /// then closed. Without input, stdin stays open.
    pub(super) fn start<S: AsRef<OsStr>>(
        program: &OsStr,
        arguments: impl IntoIterator<Item = S>,
        input: Option<Bytes>,
    ) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(SSH)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in the terminal must reach only this program, which stops the agents cleanly.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Ok(Self {
            child,
            stdin,
            input,
            stdout,
            stderr,
            out: BytesMut::new(),
            err: BytesMut::new(),
            complaints: VecDeque::new(),
            ended: None,
        })
    }

    /// Closes stdin, which makes the remote command exit.
    pub(super) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The next event. Cancel-safe.
    pub(super) async fn next(&mut self) -> CallEvent {
        loop {
            if let Some(line) = take_line(&mut self.out, self.stdout.is_none()) {
                return CallEvent::Line(line);
            }
            while let Some(line) = take_line(&mut self.err, self.stderr.is_none()) {
                debug!(line, "ssh");
                // JSON lines are the agent's log, not an error message of ssh.
                if line.is_empty() || line.starts_with('{') {
                    continue;
                }
                if self.complaints.len() == LINES_KEPT {
                    self.complaints.pop_front();
                }
                self.complaints.push_back(line);
            }
            if let Some((status, at)) = self.ended
                && (Instant::now() >= at + REST || (self.stdout.is_none() && self.stderr.is_none()))
            {
                let complaints = std::mem::take(&mut self.complaints);
                return CallEvent::Ended(Ended { code: status.code(), complaints });
            }
            let rest = self.ended.map(|(_, at)| at + REST);
            let next = tokio::select! {
                n = read(&mut self.stdout, &mut self.out) => Next::Out(n),
                n = read(&mut self.stderr, &mut self.err) => Next::Err(n),
                n = feed(&mut self.stdin, self.input.as_ref()) => Next::Fed(n),
                status = self.child.wait(), if self.ended.is_none() => Next::Exit(status),
                () = sleep_until(rest) => Next::Rest,
            };
            self.take(next);
        }
    }

    fn take(&mut self, next: Next) {
        match next {
            Next::Out(Ok(1..)) | Next::Err(Ok(1..)) | Next::Rest => {}
            Next::Out(Ok(0) | Err(_)) => self.stdout = None,
            Next::Err(Ok(0) | Err(_)) => self.stderr = None,
            Next::Fed(Ok(n)) => {
                let input = self.input.as_mut();
                if input.is_some_and(|input| {
                    input.advance(n);
                    input.is_empty()
                }) {
                    self.stdin = None;
                }
            }
            // The remote command exited before it read all input and reports the reason itself.
            Next::Fed(Err(_)) => self.stdin = None,
            Next::Exit(Ok(status)) => self.ended = Some((status, Instant::now())),
            Next::Exit(Err(error)) => {
                // No one else waits for the child processes.
                self.complaints.push_back(error.to_string());
                self.ended = Some((ExitStatus::default(), Instant::now()));
            }
        }
    }
}

impl Ended {
    /// Whether it succeeded.
    pub(super) fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// Whether ssh itself failed, not the remote command.
    pub(super) fn is_ssh_failure(&self) -> bool {
        self.code.is_none_or(|code| code == SSH_FAILED)
    }

    /// Its error message.
    pub(super) fn why(&self) -> String {
        let error = self.complaints.iter().rev().find_map(|line| line.strip_prefix("error: "));
        match (error, self.complaints.back(), self.code) {
            (Some(error), _, _) => error.to_owned(),
            (None, Some(last), _) => {
                // Some error messages of ssh start with its name.
                last.strip_prefix("ssh: ").unwrap_or(last).trim_end_matches('.').to_owned()
            }
            (None, None, Some(SSH_FAILED)) => {
                "connection lost without an error message from ssh".to_owned()
            }
            (None, None, Some(code)) => format!("exit code {code} without an error message"),
            (None, None, None) => "ssh was killed".to_owned(),
        }
    }
}

/// Reads more; pending forever without a stream.
async fn read(
    stream: &mut Option<impl tokio::io::AsyncRead + Unpin>,
    buffer: &mut BytesMut,
) -> io::Result<usize> {
    match stream {
        Some(stream) => stream.read_buf(buffer).await,
        None => std::future::pending().await,
    }
}

/// Writes some of the input; pending forever without input.
async fn feed(stdin: &mut Option<ChildStdin>, input: Option<&Bytes>) -> io::Result<usize> {
    match (stdin, input) {
        (Some(stdin), Some(input)) => stdin.write(input).await,
        (Some(_), None) | (None, _) => std::future::pending().await,
    }
}

/// A complete line, or the rest at the end of the stream.
fn take_line(buffer: &mut BytesMut, closed: bool) -> Option<String> {
    let end = buffer.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
    let cut = (closed && !buffer.is_empty() || buffer.len() >= BUFFER).then_some(buffer.len());
    let line = buffer.split_to(end.or(cut)?);
    Some(clean::excerpt(&String::from_utf8_lossy(&line), LINE_MAX))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A shell in the place of ssh: the last argument is its script.
    struct Shell(tempfile::TempDir);

    impl Shell {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let text = "#!/bin/sh\nfor script; do :; done\nexec sh -c \"$script\"\n";
            std::fs::write(dir.path().join("ssh"), text).unwrap();
            let mode = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(dir.path().join("ssh"), mode).unwrap();
            Self(dir)
        }

        fn call(&self, script: &str, input: Option<&'static [u8]>) -> Call {
            let program = self.0.path().join("ssh");
            Call::start(program.as_os_str(), [script], input.map(Bytes::from_static)).unwrap()
        }
    }

    async fn all(mut call: Call) -> (Vec<String>, Ended) {
        let mut lines = Vec::new();
        loop {
            match call.next().await {
                CallEvent::Line(line) => lines.push(line),
                CallEvent::Ended(ended) => return (lines, ended),
            }
        }
    }

    #[tokio::test]
    async fn lines_arrive_one_by_one_and_the_last_stderr_line_is_the_reason() {
        let script = "cat; printf 'no end'; echo 'Warning: one' >&2; echo 'Denied.' >&2; exit 3";
        let (lines, ended) = all(Shell::new().call(script, Some(b"a\nb\n"))).await;
        assert_eq!(lines, ["a", "b", "no end"]);
        assert_eq!((ended.why().as_str(), ended.is_ssh_failure()), ("Denied", false));
        let script = "echo 'error: no engine' >&2; echo '{\"level\":\"INFO\"}' >&2; exit 255";
        let (_, ended) = all(Shell::new().call(script, None)).await;
        assert_eq!((ended.why().as_str(), ended.is_ssh_failure()), ("no engine", true));
        let (_, ended) = all(Shell::new().call("echo '{}' >&2; exit 255", None)).await;
        assert_eq!(ended.why(), "connection lost without an error message from ssh");
    }

    #[tokio::test]
    async fn commands_end_with_unread_input_or_at_the_end_of_input() {
        let shell = Shell::new();
        let much: &'static [u8] = &[b'x'; 1 << 20];
        let (_, ended) = all(shell.call("echo full >&2; exit 1", Some(much))).await;
        assert_eq!(ended.why(), "full");
        let mut call = shell.call("echo up; cat; echo down", None);
        assert!(matches!(call.next().await, CallEvent::Line(line) if line == "up"));
        call.hang_up();
        let (lines, ended) = all(call).await;
        assert_eq!((lines.as_slice(), ended.is_success()), (["down".to_owned()].as_slice(), true));
    }

    #[tokio::test]
    async fn streams_held_open_by_another_process_do_not_block() {
        let (_, ended) = all(Shell::new().call("sleep 5 & exit 0", None)).await;
        assert!(ended.is_success());
    }
}
