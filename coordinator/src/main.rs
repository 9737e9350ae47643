//! `regatta`: the control node's program.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use regatta_agent::logging;
use regatta_agent::wall::SystemClock;
use regatta_coordinator::cli::{Cli, Command};
use regatta_coordinator::commands;
use regatta_coordinator::output::say;
use regatta_types::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // An agent is a service: its log is what one sees of it.
    let least = u8::from(matches!(cli.command, Command::Agent(_)));
    logging::init(cli.verbose.max(least), cli.log_json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: cannot start the async runtime: {error}"));
            return Exit::Unexpected.into();
        }
    };
    let exit = match runtime.block_on(commands::dispatch(cli, Arc::new(SystemClock))) {
        Ok(exit) => exit,
        Err(problem) => {
            logging::last_words(&problem);
            problem.exit
        }
    };
    // Nothing is left to wait for: a blocked system call must not delay the exit.
    runtime.shutdown_background();
    exit.into()
}
