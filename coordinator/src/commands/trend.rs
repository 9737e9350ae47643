//! `regatta runs --host`: history of one host.

use regatta_figures::history::{Baseline, trend as rows};
use regatta_report::{trend_json, trend_line};
use regatta_types::exit::Exit;
use regatta_types::ids::HostId;
use regatta_types::units::quantity;

use super::state_dir;
use crate::cli::RunsArgs;
use crate::command_error::CommandError;
use crate::execute::tell_damage;
use crate::output::{print, say};
use crate::store::{SqliteStore, Store as _, StoreError, StoredRun};

pub(super) fn trend(host: &HostId, args: &RunsArgs) -> Result<Exit, CommandError> {
    let last = usize::try_from(args.last).unwrap_or(usize::MAX);
    let mut runs = Vec::new();
    match SqliteStore::open_to_read(&state_dir(&args.store)?) {
        Ok(mut store) => {
            // One run at a time: raw traces are large, a baseline is small.
            for summary in store.runs()?.iter().take(last).rev() {
                let run = StoredRun::open(&mut store, &summary.run)?;
                runs.push(Baseline::of(&run)?);
                tell_damage(&run);
            }
        }
        Err(StoreError::Empty(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let rows = rows(host, &runs);
    if rows.is_empty() {
        say(&format!(
            "no usable results for {host} in the newest {}",
            quantity(runs.len(), "stored run")
        ));
    }
    for row in rows {
        if args.json {
            print(&trend_json(&row));
            print("\n");
        } else {
            print(&format!("{}\n", trend_line(&row)));
        }
    }
    Ok(Exit::Ok)
}
