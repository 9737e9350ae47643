//! Logging of both programs to stderr, as text or JSON lines. Not meant to be parsed.

use std::env::VarError;
use std::error::Error;
use std::io::{IsTerminal as _, Write as _};

use tracing_subscriber::EnvFilter;

/// Starts logging. `REGATTA_LOG` overrides the flags.
pub fn init(verbose: u8, json: bool) {
    let level = match verbose {
        0 => "warn",
        1 => "regatta=info,regatta_agent=info,regatta_coordinator=info,regatta_sim=info,warn",
        _ => "regatta=debug,regatta_agent=debug,regatta_coordinator=debug,regatta_sim=debug,info",
    };
    let from_env = EnvFilter::try_from_env("REGATTA_LOG");
    let ignored =
        from_env.as_ref().err().filter(|e| e.source().is_some_and(|s| !s.is::<VarError>()));
    let ignored = ignored.map(ToString::to_string);
    let filter = from_env.unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A closed stderr would panic by default.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // In tests, a second call in one process keeps the first subscriber.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    if let Some(error) = ignored {
        tracing::warn!(error, "invalid REGATTA_LOG ignored");
    }
}

/// Prints the final error of a program with its causes. Ignores a closed stderr.
pub fn last_words(error: &dyn Error) {
    let mut words = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!("  caused by: {error}\n"));
        cause = error.source();
    }
    let _ = std::io::stderr().write_all(words.as_bytes());
}
