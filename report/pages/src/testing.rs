//! What is made of a run, in memory: for tests and for looking at a sample report.

use std::collections::BTreeMap;

use regatta_figures::history::Baseline;
use regatta_figures::source::{Cause, Run};

use crate::folder::{Content, Folder};
use crate::{Summary, render};

/// A folder in memory: content by path.
#[derive(Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Folder for Files {
    fn file(&mut self, path: &str, content: &mut Content<'_>) -> Result<(), Cause> {
        let mut bytes = Vec::new();
        content(&mut bytes)?;
        self.0.insert(path.to_owned(), bytes);
        Ok(())
    }
}

/// The files of a report and its answer, with what changed since an earlier run.
///
/// # Panics
/// When attempts cannot be read.
pub fn rendered(
    run: &impl Run,
    baseline: Option<&Baseline>,
) -> (BTreeMap<String, Vec<u8>>, Summary) {
    let mut files = Files::default();
    let summary = render(run, baseline, &mut files).expect("a run in memory can be read");
    (files.0, summary)
}

/// The files of a report.
///
/// # Panics
/// When attempts cannot be read.
pub fn files(run: &impl Run) -> BTreeMap<String, Vec<u8>> {
    rendered(run, None).0
}
