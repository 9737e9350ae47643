//! Output of the commands: data to stdout, messages to stderr. Only this module and the progress
//! display print.

use std::error::Error as StdError;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use regatta_figures::completeness::Completeness;
use regatta_figures::source::Cause;
use regatta_report::{Content, Summary};
use regatta_types::exit::Exit;

/// Prints a message to stderr.
#[expect(clippy::print_stderr, reason = "the only place that prints messages")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Prints data to stdout. A closed pipe is not an error.
pub fn print(text: &str) {
    let _ = print_file(&mut |out| Ok(out.write_all(text.as_bytes())?));
}

/// Writes a file to stdout. A closed pipe is not an error.
///
/// # Errors
/// The error of `content`, or if stdout cannot be written.
pub fn print_file(content: &mut Content<'_>) -> Result<(), Cause> {
    let mut out = BufWriter::new(io::stdout());
    match content(&mut out).and_then(|()| Ok(out.flush()?)) {
        Err(error) if is_gone(&*error) => {
            // The rest of the buffer has no reader.
            let _ = out.into_parts();
            Ok(())
        }
        result => result,
    }
}

/// Whether the cause is a broken pipe; file writers wrap the I/O error.
fn is_gone(error: &(dyn StdError + 'static)) -> bool {
    let is_pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(is_pipe) || error.source().is_some_and(is_gone)
}

/// Prints the summary and the path of the report. With `--json`, stdout is reserved for events.
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

#[cfg(test)]
mod tests {
    use regatta_report::Out;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("writing failed")]
    struct Wrapped(#[source] io::Error);

    #[test]
    fn a_reader_that_has_gone_is_known_behind_other_errors_too() {
        let content = |kind: io::ErrorKind| move |_: &mut Out<'_>| Err(Wrapped(kind.into()).into());
        assert!(print_file(&mut content(io::ErrorKind::BrokenPipe)).is_ok());
        assert!(print_file(&mut content(io::ErrorKind::StorageFull)).is_err());
        assert!(
            print_file(&mut |_| Err(io::Error::from(io::ErrorKind::BrokenPipe).into())).is_ok()
        );
    }
}
