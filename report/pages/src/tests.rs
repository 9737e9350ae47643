//! Whole reports: golden pages, order of the rows, hostile text.

mod compared;
mod consistency;
mod contention;
mod golden;
mod history;
pub(crate) mod hostile;
mod html;
mod left_out;
mod loads;
mod machine;
mod pictures;
mod reference;
mod stored;
mod words;

use regatta_types::event::MissingReason;
use regatta_types::record::AttemptRecord;

use crate::testing::{RunBuilder, TestHost, WholeRun, completeness};
use regatta_figures::completeness::Completeness;

/// Three hosts, the last one 20 % slower.
fn three_hosts() -> WholeRun {
    RunBuilder::new(&["Backend system", "Debug task"], 5)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02"))
        .host(TestHost::new("gpu-03").slower_by(0.25))
        .build()
}

fn attempts_of<'a>(
    record: &'a mut WholeRun,
    host: &'a str,
) -> impl Iterator<Item = &'a mut AttemptRecord> {
    record.attempts.iter_mut().filter(move |a| {
        let cell = &a.report.key.cell;
        cell.host.as_str() == host && !cell.case.is_engine_warmup()
    })
}

fn page(record: &WholeRun, path: &str) -> String {
    let bytes = crate::testing::files(record).remove(path).expect("the report has this file");
    String::from_utf8(bytes).expect("reports are UTF-8")
}

#[test]
fn shuffled_rows_give_the_same_bytes() {
    let record = three_hosts();
    let mut shuffled = record.clone();
    shuffled.attempts.reverse();
    shuffled.attempts.swap(3, 17);
    shuffled.hosts.reverse();
    let (one, other) = (crate::testing::files(&record), crate::testing::files(&shuffled));
    assert!(one.keys().eq(other.keys()));
    for (path, content) in &one {
        assert!(other[path] == *content, "{path} depends on the order of the rows");
    }
}

#[test]
fn a_gap_that_was_filled_later_is_no_gap() {
    let mut record = three_hosts();
    let filled = record.attempts[5].report.key.cell.clone();
    record.missing.push((filled, MissingReason::Cancelled));
    assert_eq!(completeness(&record), Completeness::Complete);
}
