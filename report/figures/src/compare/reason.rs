//! Why a host, a case or a run is not compared.

use regatta_types::comparability::Code;
use regatta_types::event::MissingReason;
use regatta_types::ids::HostId;
use regatta_types::suite::StartMode;
use regatta_types::validity::FindingCode;
use serde::Serialize;

use crate::facts::FactChange;
use crate::metrics::SharedBy;

/// Why something has no part in a comparison, or no verdict. Where several hold, the first of this
/// order is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The hosts are of different classes, with the label of the other one.
    OtherClass {
        facts: Vec<FactChange>,
        label: String,
    },

    // A host.
    /// It is the same machine as a host before it.
    SameMachine {
        first: HostId,
        by: SharedBy,
    },
    /// The engine gives no token counts: chunks were counted.
    ChunksCounted,
    /// Token counts come from another source than on most hosts.
    TokenSource {
        own: &'static str,
        usual: &'static str,
    },
    /// Chunks of a stream are joined on their way, on this side only.
    Coalesced,
    /// Tokens do not arrive, on this side only.
    Hidden,
    /// No cached prompt tokens are reported, on other hosts they are.
    CachedUntold,
    /// Cached prompt tokens are reported, on most hosts they are not.
    CachedTold,

    // A case.
    /// Fewer repetitions are planned than of other cases.
    PlannedFewer {
        own: u32,
        planned: u32,
    },
    /// Its sweep was saturated before, on all or on some hosts.
    Skipped {
        on_all: bool,
    },
    /// Every attempt is invalid, for these reasons.
    Invalid(Vec<FindingCode>),
    NoAttempt,
    /// No chunk of the answers has a stamp.
    NotStamped,
    /// Answers too short for a decode speed.
    TooShort,
    /// Streams were buffered on their way.
    Buffered,
    NoText,
    NoSteadyWindow,
    NoEnergy,
    LengthsDiffer,
    CutUnequally,
    CachedToldForSome,
    CachedDiffer,
    /// Fewer repetitions than a verdict needs are measured solo and together.
    FewBothWays,
    /// Every case is excluded.
    EveryCase(Vec<Reason>),

    // A run against an earlier one.
    StartModes {
        is: StartMode,
        was: StartMode,
    },
    /// The hosts differ in what makes a class.
    FactsDiffer(Vec<FactChange>),
    /// No host of the earlier run is equal to it; the nearest one, and how that differs.
    NoneEqual {
        nearest: HostId,
        facts: Vec<FactChange>,
    },
    NoHost,
    /// Nothing usable was measured: the host was refused, or its cells are missing.
    Refused(String),
    Missing(MissingReason),
    NothingUsable(Box<Reason>),
    TokenSourceBefore {
        is: String,
        was: String,
    },
    NotInLaterSuite,
    NotInEarlierSuite,
    OtherWork,
    /// The later run has no value, with the reason where it is known.
    NoValue(Option<Box<Reason>>),
    NoValueBefore,
    NoCase(Vec<Reason>),
    /// Too few complete repetitions for a verdict.
    TooFewRepetitions,
    SweepSaturated,
    /// No usable attempt has a value.
    NoneHasOne,
    OnlySome {
        have: usize,
        of: usize,
    },
    /// No repetition has all cases.
    NeverAll,
    /// Answers begin with their first token.
    SameAsFirstToken,

    // A host that is compared and has no verdict.
    /// It has enough repetitions, but shares fewer than three with the others.
    TooFewShared,
    /// No other host of its class can be judged.
    Alone,
    /// No majority of the hosts agrees, so that none of them is the slow or the fast one.
    TwoGroups,
}

impl Reason {
    /// The code of docs/reports.md; `None`: it is not about comparability.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::OtherClass { facts, .. } | Self::FactsDiffer(facts) => facts.first()?.code,
            Self::LengthsDiffer => Some(Code::C6),
            Self::CutUnequally => Some(Code::C7),
            Self::CachedUntold
            | Self::CachedTold
            | Self::CachedToldForSome
            | Self::CachedDiffer => Some(Code::C8),
            Self::ChunksCounted | Self::TokenSource { .. } | Self::TokenSourceBefore { .. } => {
                Some(Code::C9)
            }
            Self::TooFewRepetitions | Self::TooFewShared => Some(Code::C11),
            Self::StartModes { .. } => Some(Code::C12),
            Self::EveryCase(reasons) => reasons.iter().find_map(Self::code),
            Self::SameMachine { .. }
            | Self::PlannedFewer { .. }
            | Self::Skipped { .. }
            | Self::Invalid(_)
            | Self::NoAttempt
            | Self::NotStamped
            | Self::TooShort
            | Self::Buffered
            | Self::Coalesced
            | Self::Hidden
            | Self::NoText
            | Self::NoSteadyWindow
            | Self::NoEnergy
            | Self::FewBothWays
            | Self::NoneEqual { .. }
            | Self::NoHost
            | Self::Refused(_)
            | Self::Missing(_)
            | Self::NothingUsable(_)
            | Self::NotInLaterSuite
            | Self::NotInEarlierSuite
            | Self::OtherWork
            | Self::NoValue(_)
            | Self::NoValueBefore
            | Self::NoCase(_)
            | Self::SweepSaturated
            | Self::NoneHasOne
            | Self::OnlySome { .. }
            | Self::NeverAll
            | Self::SameAsFirstToken
            | Self::Alone
            | Self::TwoGroups => None,
        }
    }
}
