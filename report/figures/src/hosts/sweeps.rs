//! The sweeps of a host: at which level its endpoint gave no more.

use std::collections::BTreeMap;

use regatta_types::event::SkipReason;
use regatta_types::ids::CaseId;
use regatta_types::suite::Case;
use serde::Serialize;

use super::{CaseAnalysis, Cell};
use crate::sweep::SweepLevel;

#[derive(Debug, Serialize)]
pub struct SweepEnd<'a> {
    /// The id that its levels share.
    pub of: &'a CaseId,
    /// Where it ended; `None`: no level that was measured brought so little.
    pub saturated: Option<SaturatedLevel<'a>>,
    /// Levels above, which were not measured.
    pub skipped: usize,
}

/// The level that brought no more than the one before it.
#[derive(Debug, Serialize)]
pub struct SaturatedLevel<'a> {
    #[serde(serialize_with = "id")]
    pub at: &'a Case,
    /// The figures it rests on.
    pub evidence: String,
}

fn id<S: serde::Serializer>(case: &&Case, serializer: S) -> Result<S::Ok, S::Error> {
    case.id.serialize(serializer)
}

/// The sweeps among the cases of a host, by their ids.
pub(super) fn sweeps<'a>(cases: &[CaseAnalysis<'a>]) -> Vec<SweepEnd<'a>> {
    let mut levels: BTreeMap<&'a CaseId, Vec<&CaseAnalysis<'a>>> = BTreeMap::new();
    for case in cases {
        if let Some(sweep) = &case.case.sweep {
            levels.entry(&sweep.of).or_default().push(case);
        }
    }
    let end = |(of, levels): (&'a CaseId, Vec<&CaseAnalysis<'a>>)| SweepEnd {
        of,
        saturated: saturated(&levels),
        skipped: levels.iter().filter(|level| level.skipped().is_some()).count(),
    };
    levels.into_iter().map(end).collect()
}

/// The level that the coordinator saw saturated; else the first one that its first usable
/// repetition shows so.
fn saturated<'a>(levels: &[&CaseAnalysis<'a>]) -> Option<SaturatedLevel<'a>> {
    if let Some(SkipReason::Saturated { at, evidence }) = levels.iter().find_map(|l| l.skipped()) {
        let at = levels.iter().find(|level| level.case.id == *at)?;
        return Some(SaturatedLevel { at: at.case, evidence: evidence.clone() });
    }
    let mut before: Option<&SweepLevel> = None;
    for level in levels {
        let Some(counted) = level.cells.iter().find_map(Cell::usable) else { continue };
        let Some(now) = &counted.level else { continue };
        if let Some(saturation) = now.ends_sweep(&level.case.load, before) {
            return Some(SaturatedLevel { at: level.case, evidence: saturation.to_string() });
        }
        before = Some(now);
    }
    None
}
