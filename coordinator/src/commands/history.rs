//! `regatta compare`, `check` and `baseline`: comparison with earlier runs.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use regatta_figures::history::{Baseline, Changes, changes};
use regatta_report::{change_lines, change_page, changes_json};
use regatta_types::clean;
use regatta_types::exit::Exit;
use regatta_types::units::quantity;

use super::state_dir;
use super::stored::named;
use crate::cli::{BaselineArgs, CheckArgs, CompareArgs, StoreArgs, TermsArgs};
use crate::command_error::CommandError;
use crate::execute::tell_damage;
use crate::output::{print, say};
use crate::store::{RunSummary, SqliteStore, Store as _, StoreError, StoredRun};

/// Maximum size of a baseline file: a hundred times that of a fleet of 200 hosts.
const FILE_MAX: u64 = 256 << 20;

pub(super) fn compare(args: CompareArgs) -> Result<Exit, CommandError> {
    let mut kept = Kept::open(&args.terms.store)?;
    let (before, after) = (kept.run_or_file(&args.before)?, kept.run_or_file(&args.after)?);
    let found = changes(&before, &after, &args.terms.terms(args.margin));
    show(&found, &args.terms)?;
    Ok(if found.is_judged() { Exit::Ok } else { Exit::CannotJudge })
}

pub(super) fn check(args: CheckArgs) -> Result<Exit, CommandError> {
    let mut kept = Kept::open(&args.terms.store)?;
    let (before, after) = (kept.run_or_file(&args.baseline)?, kept.run(&args.run)?);
    let found = changes(&before, &after, &args.terms.terms(args.max_regress));
    show(&found, &args.terms)?;
    let open = args.strict && found.is_inconclusive();
    let gone = !args.allow_absent && !found.absent.is_empty();
    Ok(if found.is_regression() {
        Exit::Regression
    } else if open || gone || !found.is_all_judged() {
        Exit::CannotJudge
    } else {
        Exit::Ok
    })
}

pub(super) fn baseline(args: BaselineArgs) -> Result<Exit, CommandError> {
    let baseline = Kept::open(&args.store)?.run(&args.run)?;
    if baseline.hosts.is_empty() {
        let run = &baseline.run;
        return Err(CommandError {
            exit: Exit::NothingUsable,
            text: format!("run {run} has no usable results to save as a baseline"),
            source: None,
        });
    }
    match args.out {
        None => print(&baseline.to_toml()),
        Some(out) => {
            write(&out, &baseline.to_toml())?;
            let hosts = quantity(baseline.hosts.len(), "host");
            say(&format!("baseline of {hosts} from {} written to {}", baseline.run, out.display()));
        }
    }
    Ok(Exit::Ok)
}

/// The baseline of `--baseline`, if given.
pub(super) fn given_baseline(
    given: Option<&str>,
    store: &StoreArgs,
) -> Result<Option<Baseline>, CommandError> {
    let Some(given) = given else { return Ok(None) };
    Kept::open(store)?.run_or_file(given).map(Some)
}

fn show(found: &Changes, terms: &TermsArgs) -> Result<(), CommandError> {
    if terms.json {
        print(&changes_json(found));
        return Ok(());
    }
    let Some(out) = &terms.out else {
        print(&change_page(found));
        return Ok(());
    };
    write(out, &change_page(found))?;
    for line in change_lines(found) {
        print(&format!("{line}\n"));
    }
    say(&format!("comparison written to {}", out.display()));
    Ok(())
}

/// Writes a file atomically: under a temporary name, then renamed.
fn write(out: &Path, text: &str) -> Result<(), CommandError> {
    let folder = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = (|| {
        use std::io::Write as _;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        // The temporary file is private, but a baseline is meant to be shared.
        let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644);
        file.as_file().set_permissions(mode)?;
        file.persist(out).map_err(|error| error.error)?;
        Ok::<(), io::Error>(())
    })();
    written.map_err(|error| CommandError {
        exit: Exit::Storage,
        text: format!("cannot write `{}`", out.display()),
        source: Some(error.into()),
    })
}

/// The stored runs; a baseline file needs no store.
struct Kept {
    store: Option<SqliteStore>,
    runs: Vec<RunSummary>,
}

impl Kept {
    fn open(args: &StoreArgs) -> Result<Self, CommandError> {
        match SqliteStore::open_to_read(&state_dir(args)?) {
            Ok(store) => Ok(Self { runs: store.runs()?, store: Some(store) }),
            Err(StoreError::Empty(_)) => Ok(Self { store: None, runs: Vec::new() }),
            Err(error) => Err(error.into()),
        }
    }

    fn run(&mut self, text: &str) -> Result<Baseline, CommandError> {
        let run = named(text, &self.runs)?;
        let store =
            self.store.as_mut().ok_or_else(|| CommandError::usage("the store has no runs"))?;
        let run = StoredRun::open(store, &run)?;
        let baseline = Baseline::of(&run)?;
        tell_damage(&run);
        Ok(baseline)
    }

    fn run_or_file(&mut self, text: &str) -> Result<Baseline, CommandError> {
        let is_run = text == "latest" || self.runs.iter().any(|run| run.run.as_str() == text);
        if is_run {
            return self.run(text);
        }
        let read = || {
            let mut content = String::new();
            fs::File::open(text)?.take(FILE_MAX).read_to_string(&mut content)?;
            Ok::<String, io::Error>(content)
        };
        let shown = clean::excerpt(text, 80);
        let content = read().map_err(|error| CommandError {
            exit: Exit::Usage,
            text: if error.kind() == io::ErrorKind::NotFound {
                format!(
                    "`{shown}` is neither a stored run nor a file. List the stored runs with \
                     `regatta runs`"
                )
            } else {
                format!("cannot read `{shown}`")
            },
            source: (error.kind() != io::ErrorKind::NotFound).then(|| error.into()),
        })?;
        Baseline::parse(&content)
            .map_err(|error| CommandError::usage(format!("`{shown}`: {error}")))
    }
}
