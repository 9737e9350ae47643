//! How the answers of a run ended.

use super::Analysis;
use crate::hosts::CaseAnalysis;
use crate::metrics::Requests;

/// How answers ended. Cut: finish reason `length`, by `max_tokens` or the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endings {
    /// None was cut, or there is none.
    NoneCut,
    /// Some were and some were not.
    SomeCut { truncated: u64, ok: u64 },
    /// All were, each with as many tokens as its case allows: their lengths are equal.
    AllAtLimit,
    /// All were, but not all at the limit of their case.
    AllCut,
}

impl Analysis<'_> {
    /// How the measured answers of all counted attempts ended.
    pub fn endings(&self) -> Endings {
        let sum = |f: fn(&Requests) -> u32| {
            self.hosts.iter().map(|h| u64::from(f(&h.requests))).sum::<u64>()
        };
        let (ok, truncated) = (sum(|r| r.ok), sum(|r| r.truncated));
        let full = |c: &CaseAnalysis<'_>| {
            let wanted = u64::from(c.requests.ok) * u64::from(c.case.max_tokens);
            c.requests.ok == 0 || c.tokens.completion.known() == Some(wanted)
        };
        if truncated == 0 {
            Endings::NoneCut
        } else if truncated < ok {
            Endings::SomeCut { truncated, ok }
        } else if self.hosts.iter().flat_map(|h| &h.cases).all(full) {
            Endings::AllAtLimit
        } else {
            Endings::AllCut
        }
    }
}
