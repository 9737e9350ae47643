//! What commands print: data to stdout, talk to stderr. The only module (with the display) that
//! prints.

use std::io;
use std::path::Path;

use regatta_report::{Completeness, Summary};
use regatta_types::exit::Exit;

/// Talk.
#[expect(clippy::print_stderr, reason = "talk goes to stderr, and this is where it does")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Data. A reader that has gone is no error of ours.
pub fn print(text: &str) {
    let _ = print_file(text.as_bytes());
}

/// A whole file as data. A reader that has gone is no error of ours.
///
/// # Errors
/// When what stdout leads to takes no more.
pub fn print_file(bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
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
