//! `regatta report`, `regatta export` and `regatta runs`: stored runs.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use regatta_report::Out;
use regatta_types::exit::Exit;
use regatta_types::ids::RunId;
use regatta_types::units::quantity;

use super::history::given_baseline;
use super::state_dir;
use crate::cli::{ExportArgs, ReportArgs, RunsArgs};
use crate::command_error::CommandError;
use crate::execute::{Delivery, conclude, tell_damage};
use crate::output::{print, print_file, say};
use crate::reports;
use crate::store::{RunSummary, SqliteStore, Store as _, StoreError, StoredRun};

pub(super) fn report(args: ReportArgs) -> Result<Exit, CommandError> {
    let baseline = given_baseline(args.baseline.as_deref(), &args.store)?;
    let mut store = SqliteStore::open_to_read(&state_dir(&args.store)?)?;
    let run = named(&args.run, &store.runs()?)?;
    if baseline.as_ref().is_some_and(|baseline| baseline.run == run) {
        return Err(CommandError::usage(format!(
            "run {run} cannot be its own baseline. Choose an earlier run"
        )));
    }
    let out = args.out.unwrap_or_else(|| PathBuf::from("reports").join(run.as_str()));
    let run = StoredRun::open(&mut store, &run)?;
    conclude(&run, baseline, Delivery { out: &out, json: false, redact: args.redact })
}

pub(super) fn export(args: ExportArgs) -> Result<Exit, CommandError> {
    let to_stdout = args.out.as_os_str() == "-";
    if to_stdout && args.format.is_binary() && io::stdout().is_terminal() {
        return Err(CommandError::usage("cannot write Parquet to a terminal. Set --out FILE"));
    }
    let mut store = SqliteStore::open_to_read(&state_dir(&args.store)?)?;
    let run = named(&args.run, &store.runs()?)?;
    let run = StoredRun::open(&mut store, &run)?;
    let redacted = args.redact.then(|| regatta_report::redact(&run)).transpose()?;
    let mut content = |out: &mut Out<'_>| match &redacted {
        Some(redacted) => regatta_report::export(redacted, args.format, out),
        None => regatta_report::export(&run, args.format, out),
    };
    let written = if to_stdout {
        print_file(&mut content)
    } else {
        reports::write_one(&args.out, &mut content)
    };
    tell_damage(&run);
    written.map_err(|source| CommandError {
        exit: Exit::Storage,
        text: if to_stdout {
            "cannot write to stdout".to_owned()
        } else {
            format!("cannot write `{}`", args.out.display())
        },
        source: Some(source),
    })?;
    Ok(Exit::Ok)
}

/// Resolves a run id or `latest`.
pub(super) fn named(text: &str, runs: &[RunSummary]) -> Result<RunId, CommandError> {
    let found = if text == "latest" {
        runs.first()
    } else {
        runs.iter().find(|run| run.run.as_str() == text)
    };
    found.map(|run| run.run.clone()).ok_or_else(|| {
        let text = regatta_types::clean::excerpt(text, 80);
        CommandError::usage(if runs.is_empty() {
            format!("no run `{text}`: the store is empty")
        } else {
            format!("no run `{text}`. List the stored runs with `regatta runs`")
        })
    })
}

pub(super) fn runs(args: &RunsArgs) -> Result<Exit, CommandError> {
    let runs = match SqliteStore::open_to_read(&state_dir(&args.store)?) {
        Ok(store) => store.runs()?,
        Err(StoreError::Empty(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut text = String::new();
    for run in runs.into_iter().take(usize::try_from(args.last).unwrap_or(usize::MAX)) {
        let created = jiff::Timestamp::from_nanosecond(run.created.0.into())
            .map_or_else(|_| "?".to_owned(), |at| format!("{at:.0}"));
        let state = if run.sealed.is_some() { "finished" } else { "unfinished" };
        let line = if args.json {
            serde_json::json!({
                "run": run.run, "suite": run.suite, "created_unix_ns": run.created, "finished": run.sealed.is_some(),
                "hosts": run.hosts, "attempts": run.attempts,
            })
            .to_string()
        } else {
            format!(
                "{:<40} {created}  {state:<10}  {}, {}",
                run.run,
                quantity(run.hosts, "host"),
                quantity(run.attempts, "attempt")
            )
        };
        text.push_str(&line);
        text.push('\n');
    }
    if text.is_empty() {
        say("no stored runs yet. `regatta demo` makes one in under a minute");
    }
    print(&text);
    Ok(Exit::Ok)
}
