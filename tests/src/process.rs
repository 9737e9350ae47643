//! Runs programs and watches what they print.
//!
//! A [`Program`] is what to run; [`Running`] is a process that is ended, by its pid, when dropped.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use regatta_types::time::MonoNs;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A program with its arguments and a home folder of its own.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    home: Arc<TempDir>,
    /// Where it runs, below its home.
    folder: PathBuf,
}

/// How a process ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

/// The two streams a program prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Data.
    Out,
    /// Talk and progress.
    Err,
}

/// `regatta`, as built beside the tests.
#[must_use]
pub fn regatta() -> Program {
    Program::built("regatta")
}

/// `regatta-agent`, as built beside the tests.
#[must_use]
pub fn regatta_agent() -> Program {
    Program::built("regatta-agent")
}

impl Program {
    /// A program of the workspace.
    ///
    /// # Panics
    /// When it was not built.
    #[must_use]
    pub fn built(name: &str) -> Self {
        let path = crate::build_dir().join(name);
        assert!(path.exists(), "{} is not built; run `cargo xtask test`", path.display());
        Self::at(path)
    }

    /// Any program.
    ///
    /// # Panics
    /// When there is no room for temporary folders.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let home = Arc::new(TempDir::new().expect("a temporary folder"));
        Self { path: path.into(), args: Vec::new(), env: Vec::new(), home, folder: PathBuf::new() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable. Of the test's own environment only `PATH` is passed on.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Runs it in a folder below its home.
    #[must_use]
    pub fn in_folder(mut self, folder: &str) -> Self {
        self.folder = folder.into();
        self
    }

    /// Shares the home folder of another program: its state, and where it runs.
    #[must_use]
    pub fn home_of(mut self, other: &Self) -> Self {
        self.home = Arc::clone(&other.home);
        self
    }

    /// The folder it is at home in: current folder, `HOME`, and default place of its state.
    #[must_use]
    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self) -> Running {
        let mut command = Command::new(&self.path);
        command
            .args(&self.args)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
            .env("HOME", self.home())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home().join(&self.folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        let said = Arc::new(Said::default());
        listen(child.stdout.take().expect("piped"), Stream::Out, &said);
        listen(child.stderr.take().expect("piped"), Stream::Err, &said);
        let stdin = child.stdin.take();
        Running { child, _stdin: stdin, said, _home: Arc::clone(&self.home) }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end within `limit`.
    #[must_use]
    pub fn run(&self, limit: Duration) -> Finished {
        self.start().wait(limit)
    }
}

/// A process. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Held open; some programs end when it closes.
    _stdin: Option<ChildStdin>,
    said: Arc<Said>,
    _home: Arc<TempDir>,
}

impl Running {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .expect("a process that was not waited for");
    }

    /// Waits until a line of `stream` contains `text`, and returns that line.
    ///
    /// # Panics
    /// When none does within `limit`, or the stream ends before.
    #[must_use]
    pub fn line_with(&self, stream: Stream, text: &str, limit: Duration) -> String {
        self.line_with_all(stream, &[text], limit)
    }

    /// Waits until a line of `stream` contains all of `texts`, and returns that line.
    ///
    /// # Panics
    /// When none does within `limit`, or the stream ends before.
    #[must_use]
    pub fn line_with_all(&self, stream: Stream, texts: &[&str], limit: Duration) -> String {
        let find = |output: &Output| {
            let mut lines = output.of(stream).text.split_inclusive('\n');
            let all = |line: &&str| line.ends_with('\n') && texts.iter().all(|t| line.contains(t));
            lines.find(all).map(str::to_owned)
        };
        let mut line = None;
        self.said.wait(limit, |output| {
            line = find(output);
            line.is_some() || output.of(stream).ended
        });
        let Some(line) = line else {
            panic!("no line with {texts:?} within {limit:?}; so far:\n{}", self.said.all())
        };
        line.trim_end().to_owned()
    }

    /// Everything said so far.
    #[must_use]
    pub fn said(&self, stream: Stream) -> String {
        let output = self.said.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.of(stream).text.clone()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come within `limit`.
    #[must_use]
    pub fn wait(mut self, limit: Duration) -> Finished {
        // Both streams end when the process does, or, rarely, a little before.
        self.said.wait(limit, |output| output.out.ended && output.err.ended);
        let deadline = MonoNs::now().after(limit);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("an own child") {
                break status;
            }
            assert!(MonoNs::now() < deadline, "no end within {limit:?}:\n{}", self.said.all());
            thread::sleep(Duration::from_millis(2));
        };
        Finished {
            code: status.code(),
            signal: status.signal(),
            stdout: self.said(Stream::Out),
            stderr: self.said(Stream::Err),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either may fail only when the process was already waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has said. A mutex and not a channel, because tests look at the whole again and
/// again: a line that came before the test asked for it counts.
#[derive(Debug, Default)]
struct Said {
    output: Mutex<Output>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Output {
    out: Captured,
    err: Captured,
}

#[derive(Debug, Default)]
struct Captured {
    text: String,
    ended: bool,
}

impl Output {
    fn of(&self, stream: Stream) -> &Captured {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    fn of_mut(&mut self, stream: Stream) -> &mut Captured {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }
}

impl Said {
    /// Waits until `done` holds or `limit` is over.
    fn wait(&self, limit: Duration, mut done: impl FnMut(&Output) -> bool) {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.more.wait_timeout_while(output, limit, |output| !done(output)));
    }

    fn all(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        format!("-- stdout\n{}-- stderr\n{}", output.out.text, output.err.text)
    }
}

/// Reads a stream to its end, in a thread that ends with the process.
fn listen(mut from: impl Read + Send + 'static, stream: Stream, said: &Arc<Said>) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        let mut bytes = Vec::new();
        loop {
            let n = from.read(&mut buffer).unwrap_or(0);
            bytes.extend_from_slice(&buffer[..n]);
            let mut output = said.output.lock().unwrap_or_else(PoisonError::into_inner);
            let captured = output.of_mut(stream);
            // All of it again: a character may have been cut by the last read.
            captured.text = String::from_utf8_lossy(&bytes).into_owned();
            captured.ended = n == 0;
            said.more.notify_all();
            if n == 0 {
                return;
            }
        }
    });
}
