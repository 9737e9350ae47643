//! Reports of damaged or unusual stores.

use regatta_figures::source::{Cause, Run};
use regatta_types::ids::AttemptNo;
use regatta_types::record::RunRecord;

use super::*;
use crate::redact;

/// A run with rows of one more host, none of them readable.
struct Haunted {
    run: WholeRun,
    ghost: HostId,
}

impl Run for Haunted {
    fn record(&self) -> &RunRecord {
        self.run.record()
    }

    fn hosts(&self) -> Vec<&HostId> {
        let mut hosts = self.run.hosts();
        hosts.push(&self.ghost);
        hosts
    }

    fn attempts(&self, host: &HostId) -> Result<Vec<AttemptRecord>, Cause> {
        self.run.attempts(host)
    }
}

fn redacted_paths(run: &impl Run) -> Vec<String> {
    files(&redact(run).unwrap()).into_keys().collect()
}

#[test]
fn a_host_with_only_damaged_rows_is_ignored_redacted_or_not() {
    let run = three_hosts();
    let haunted = Haunted { run: run.clone(), ghost: HostId::new("gpu-99").unwrap() };
    assert_eq!(files(&haunted), files(&run));
    assert_eq!(redacted_paths(&haunted), redacted_paths(&run));
}

#[test]
fn a_second_counted_attempt_of_a_cell_has_its_own_figures_and_no_validity() {
    let mut run = three_hosts();
    let mut second = counted(&mut run).next().unwrap().clone();
    second.report.key.attempt = AttemptNo(2);
    second.report.traces.clear();
    let host = second.report.key.cell.host.clone();
    run.attempts.push(second);
    let page = page(&run, &format!("hosts/{host}.md"));
    let rows: Vec<Vec<&str>> = page
        .lines()
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.get(4) == Some(&"counted"))
        .collect();
    let of_attempt = |number: &str| rows.iter().find(|cells| cells[3] == number).unwrap();
    let (first, second) = (of_attempt("1"), of_attempt("2"));
    assert_eq!((first[6], second[6]), ("valid", "-"));
    assert_ne!(first[7], "0");
    assert_eq!((second[7], second[10]), ("0", "-"));
}
