//! `regatta-agent`: the small program that goes to the GPU hosts.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use regatta_agent::cli::Cli;
use regatta_agent::wall::SystemClock;
use regatta_agent::{logging, run};
use regatta_types::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::init(cli.verbose.max(1), cli.log_json);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error, Exit::Unexpected),
        };
    let result = runtime.block_on(run::run(cli.agent, Arc::new(SystemClock)));
    // A blocked system call must not hold the exit.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error, error.exit()),
    }
}

fn fail(error: &dyn std::error::Error, exit: Exit) -> ExitCode {
    logging::last_words(error);
    exit.into()
}
