//! What commands print: data to stdout, talk to stderr. The only module (with the display) that
//! prints.

use std::error::Error as StdError;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use regatta_figures::completeness::Completeness;
use regatta_figures::source::Cause;
use regatta_report::{Content, Summary};
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

/// Whether a broken pipe is behind it; writers of files wrap what the disk said.
fn is_gone(error: &(dyn StdError + 'static)) -> bool {
    let is_pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(is_pipe) || error.source().is_some_and(is_gone)
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
