//! What commands print: data to stdout, talk to stderr. The only module (with the display) that
//! prints.

use std::error::Error as StdError;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use regatta_report::{Cause, Completeness, Content, Summary};
use regatta_types::exit::Exit;

/// Talk.
#[expect(clippy::print_stderr, reason = "talk goes to stderr, and this is where it does")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Data. A reader that has gone is no error of ours.
pub fn print(text: &str) {
    let _ = print_file(&mut |out| Ok(out.write_all(text.as_bytes())?));
}

/// A whole file as data. A reader that has gone is no error of ours.
///
/// # Errors
/// What `content` says, or when what stdout leads to takes no more.
pub fn print_file(content: &mut Content<'_>) -> Result<(), Cause> {
    let mut out = BufWriter::new(io::stdout());
    match content(&mut out).and_then(|()| Ok(out.flush()?)) {
        Err(error) if is_gone(&*error) => {
            // What is left in the buffer is for nobody.
            let _ = out.into_parts();
            Ok(())
        }
        result => result,
    }
}

fn is_gone(error: &(dyn StdError + Send + Sync + 'static)) -> bool {
    error.downcast_ref().is_some_and(|e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe)
}

/// The answer first, then where the report is. With `--json` stdout belongs to the events.
pub fn verdict(summary: &Summary, out: &Path, json: bool) {
    for line in &summary.verdict_lines {
        if json {
            say(line);
        } else {
            print(&format!("{line}\n"));
        }
    }
    say(&format!("report: {}", out.join("report.md").display()));
}

/// The exit code of a run.
#[must_use]
pub fn exit_of(completeness: Completeness) -> Exit {
    match completeness {
        Completeness::Complete => Exit::Ok,
        Completeness::SomeInvalid => Exit::Invalid,
        Completeness::Partial => Exit::Partial,
        Completeness::NothingUsable => Exit::NothingUsable,
    }
}
