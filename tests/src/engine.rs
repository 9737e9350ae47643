//! A real engine: llama.cpp's own HTTP server with a tiny model of random weights.
//!
//! It makes about 2,800 tokens a second on one core, always exactly as many as were asked for. The
//! first start sets it up from the package registry, which `cargo xtask test` does beforehand.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::{Program, Running, Stream};
use crate::{build_dir, free_port, http, repository};

/// Longest wait for a set-up engine to listen.
const START: Duration = Duration::from_secs(60);

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct LlamaCpp {
    /// The process, for tests that kill it.
    pub process: Running,
    /// `http://127.0.0.1:PORT/v1`.
    pub base_url: String,
    /// Its port on loopback.
    pub port: u16,
    /// The one model it serves.
    pub model: String,
}

impl LlamaCpp {
    /// Starts a server whose model is called `tiny`.
    #[must_use]
    pub fn start() -> Self {
        Self::start_as("tiny")
    }

    /// Starts a server whose model has the given name. Several may run, each on its own port.
    ///
    /// # Panics
    /// When it cannot be set up or does not listen within a minute.
    #[must_use]
    pub fn start_as(model: &str) -> Self {
        let engine = set_up();
        let port = free_port();
        let process = Program::at(engine.join("venv/bin/python"))
            .args([repository().join("tests/engine/serve.py"), engine.join("tiny.gguf")])
            .args(["--port", &port.to_string(), "--alias", model])
            .start();
        let _ = process.line_with(Stream::Out, "listening at", START);
        let base_url = format!("http://127.0.0.1:{port}/v1");
        Self { process, base_url, port, model: model.to_owned() }
    }

    /// Tokens made since the start, by the server's own counter.
    ///
    /// # Panics
    /// When the server does not say.
    #[must_use]
    pub fn tokens_predicted_total(&self) -> u64 {
        let metrics = http::get(self.port, "/metrics");
        let value =
            metrics.lines().find_map(|l| l.strip_prefix("llamacpp:tokens_predicted_total "));
        value.and_then(|v| v.trim().parse().ok()).expect("a counter of whole tokens")
    }
}

/// Where the engine lies, made ready if it is not.
fn set_up() -> PathBuf {
    let engine = build_dir().parent().expect("target/PROFILE lies in target").join("engine");
    let script = repository().join("tests/engine/setup.py");
    let done = Command::new("python3").arg(script).arg(&engine).status();
    assert!(
        done.as_ref().is_ok_and(std::process::ExitStatus::success),
        "the test engine could not be set up ({done:?}); it needs python3 with venv"
    );
    engine
}
