//! The outcome of each cell of a run, and of the run as a whole.

use regatta_types::event::EventKind;
use regatta_types::ids::HostId;
use regatta_types::record::RunRecord;
use serde::Serialize;

use crate::hosts::{CellState, HostAnalysis};

/// How complete a run is, from best to worst. The exit code of a run follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// Every cell has a counted attempt and none of them is invalid.
    Complete,
    /// No cell is missing, but some counted attempts are invalid.
    SomeInvalid,
    /// At least one cell is missing.
    Partial,
    /// Not one usable cell.
    NothingUsable,
}

/// Numbers of cells. `planned = counted + skipped + missing + open`, and `invalid <= counted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Cells {
    /// Hosts, absent ones included, times cases times repetitions.
    pub planned: u32,
    /// With a counted attempt.
    pub counted: u32,
    /// Counted, but degraded.
    pub degraded: u32,
    /// Counted, but invalid: kept and not compared.
    pub invalid: u32,
    /// Skipped for a reason, as the suite specifies: not missing.
    pub skipped: u32,
    /// Without a counted attempt, for a known reason.
    pub missing: u32,
    /// Without an end: the run is open or was abandoned.
    pub open: u32,
}

impl Cells {
    pub fn of(record: &RunRecord, hosts: &[HostAnalysis<'_>]) -> Self {
        use regatta_types::validity::Validity;

        let per_host: u32 = record.header.suite.cases.iter().map(|c| c.repetitions).sum();
        let absent = per_host.saturating_mul(record.absent);
        let mut out = Self { planned: absent, missing: absent, ..Self::default() };
        for (_, cell) in hosts.iter().flat_map(HostAnalysis::cells) {
            out.planned += 1;
            match &cell.state {
                CellState::Counted(counted) => {
                    out.counted += 1;
                    out.degraded += u32::from(counted.validity() == Validity::Degraded);
                    out.invalid += u32::from(counted.validity() == Validity::Invalid);
                }
                CellState::Skipped(_) => out.skipped += 1,
                CellState::Missing(_) => out.missing += 1,
                CellState::Open => out.open += 1,
            }
        }
        out
    }

    pub fn completeness(&self) -> Completeness {
        if self.counted == self.invalid {
            Completeness::NothingUsable
        } else if self.missing + self.open > 0 {
            Completeness::Partial
        } else if self.invalid > 0 {
            Completeness::SomeInvalid
        } else {
            Completeness::Complete
        }
    }
}

/// Hosts that never joined and were excluded from the run, each with the reason.
pub fn left_out(record: &RunRecord) -> impl Iterator<Item = (&HostId, &str)> {
    record.events.iter().filter_map(|event| {
        let EventKind::HostLeftOut { host, why } = &event.kind else { return None };
        Some((host, why.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_thing_that_happened_decides() {
        let of = |counted, invalid, missing, open| {
            Cells { planned: 9, counted, degraded: 1, invalid, skipped: 3, missing, open }
                .completeness()
        };
        assert_eq!(of(9, 0, 0, 0), Completeness::Complete);
        assert_eq!(of(9, 2, 0, 0), Completeness::SomeInvalid);
        assert_eq!(of(8, 2, 1, 0), Completeness::Partial);
        assert_eq!(of(8, 0, 0, 1), Completeness::Partial);
        assert_eq!(of(0, 0, 9, 0), Completeness::NothingUsable);
        assert_eq!(of(3, 3, 6, 0), Completeness::NothingUsable);
    }
}
