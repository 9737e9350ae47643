//! Where the files of a report go.

use std::io::Write;

use regatta_figures::source::{Cause, Error};

/// Where the files of a report go.
pub trait Folder {
    /// Lets `content` write one file, as a whole. Paths have `/` and never leave the folder:
    /// `report.md`, `hosts/<host>.md`, `report.html`, `run.json`, `requests.jsonl`, `plots/*.svg`.
    ///
    /// # Errors
    /// What the disk or `content` says.
    fn file(&mut self, path: &str, content: &mut Content<'_>) -> Result<(), Cause>;
}

/// Writes a file.
pub type Content<'a> = dyn FnMut(&mut Out<'_>) -> Result<(), Cause> + 'a;

/// Where the bytes of a file go.
pub type Out<'a> = dyn Write + Send + 'a;

/// Puts a file into a folder.
pub(crate) fn put(
    folder: &mut impl Folder,
    path: &str,
    mut content: impl FnMut(&mut Out<'_>) -> Result<(), Cause>,
) -> Result<(), Error> {
    folder.file(path, &mut content).map_err(|source| Error::Write { path: path.to_owned(), source })
}
