//! Logging of both programs: fields on stderr, as text or JSON lines. Nothing parses it.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging. `REGATTA_LOG` overrides the flags.
pub fn init(verbose: u8, json: bool) {
    let level = match verbose {
        0 => "warn",
        1 => "regatta=info,regatta_agent=info,regatta_coordinator=info,regatta_sim=info,warn",
        _ => "regatta=debug,regatta_agent=debug,regatta_coordinator=debug,regatta_sim=debug,info",
    };
    let filter = EnvFilter::try_from_env("REGATTA_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second subscriber in one process (tests) keeps the first.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
