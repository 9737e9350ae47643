//! The sweeps of a host: at which level its endpoint gave no more.

use std::collections::BTreeMap;

use regatta_types::event::SkipReason;
use regatta_types::ids::CaseId;
use regatta_types::suite::Case;
use serde::Serialize;

use super::{CaseAnalysis, Cell};
use crate::sweep::{LevelVerdict, SweepLevel, Unjudged};

#[derive(Debug, Serialize)]
pub struct SweepEnd<'a> {
    /// The id that its levels share.
    pub of: &'a CaseId,
    /// Where it ended; `None`: no level that was judged brought so little.
    pub saturated: Option<SaturatedLevel<'a>>,
    /// Levels below that that could not be judged.
    pub unjudged: Vec<UnjudgedLevel<'a>>,
    /// Levels above, which were not measured.
    pub skipped: usize,
    /// Levels that were judged not to be saturated.
    #[serde(skip)]
    pub served: usize,
}

/// A level that says nothing about saturation.
#[derive(Debug, Serialize)]
pub struct UnjudgedLevel<'a> {
    #[serde(serialize_with = "id")]
    pub at: &'a Case,
    pub why: Unjudged,
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
    levels.into_iter().map(|(of, levels)| end(of, &levels)).collect()
}

/// Each level by its first attempt that decides; the saturated one is that which the coordinator saw,
/// where it saw one.
fn end<'a>(of: &'a CaseId, levels: &[&CaseAnalysis<'a>]) -> SweepEnd<'a> {
    let skips = levels.iter().find_map(|level| level.skipped());
    let skipped = levels.iter().filter(|level| level.skipped().is_some()).count();
    let mut out = SweepEnd { of, saturated: None, unjudged: Vec::new(), skipped, served: 0 };
    let mut before: Option<&SweepLevel> = None;
    for (index, level) in levels.iter().enumerate() {
        let at = level.case;
        let seen = skips.and_then(|SkipReason::Saturated { at: seen, evidence }| {
            (*seen == at.id).then(|| evidence.clone())
        });
        let counted = || level.cells.iter().filter_map(Cell::counted);
        let now = counted().find_map(|counted| counted.level.as_deref());
        // The first of a closed loop is only what the next one is compared with.
        let is_base = index == 0 && at.concurrency().is_some();
        let verdict = match now {
            Some(_) if is_base => LevelVerdict::NotSaturated,
            Some(now) => now.verdict(&at.load, before),
            None if counted().next().is_some() => LevelVerdict::Unjudged(Unjudged::Invalid),
            None => LevelVerdict::Unjudged(Unjudged::Missing),
        };
        before = now.or(before);
        let evidence = match (seen, verdict, skips) {
            (Some(evidence), ..) => evidence,
            (None, LevelVerdict::Saturated(saturation), None) => saturation.to_string(),
            (None, LevelVerdict::Unjudged(why), _) => {
                out.unjudged.push(UnjudgedLevel { at, why });
                continue;
            }
            (None, LevelVerdict::NotSaturated | LevelVerdict::Saturated(_), _) => {
                out.served += usize::from(!is_base);
                continue;
            }
        };
        out.saturated = Some(SaturatedLevel { at, evidence });
        break;
    }
    out
}
