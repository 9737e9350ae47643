//! Solo counterparts of cases: the same work again, on one host at a time.

use std::collections::BTreeSet;

use super::{Case, Suite, Sweep};
use crate::ids::{CaseId, SLUG_MAX};

/// Suffix of the id of a solo counterpart.
const SOLO: &str = ".solo";

/// Why a suite cannot be measured solo and together in one run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwinError {
    /// The id of a solo counterpart is taken.
    #[error(
        "`--start both` adds `{case}{SOLO}` for case `{case}`, but the suite already uses this id. \
         Rename it"
    )]
    Taken {
        /// The case.
        case: CaseId,
    },
    /// No id can be so long.
    #[error(
        "`--start both` adds `{case}{SOLO}` for case `{case}`, but this id is too long. Shorten \
         `{case}` to {max} characters",
        max = SLUG_MAX - SOLO.len()
    )]
    TooLong {
        /// The case.
        case: CaseId,
    },
}

impl Suite {
    /// The suite with a solo counterpart before every case, which repeats it on one host at a time.
    ///
    /// # Errors
    /// If the id of a solo counterpart is taken, or would be too long.
    pub fn with_solo_twins(self) -> Result<Self, TwinError> {
        let ids = |case: &Case| [Some(case.id.clone()), case.sweep.as_ref().map(|s| s.of.clone())];
        let taken: BTreeSet<CaseId> = self.cases.iter().flat_map(ids).flatten().collect();
        let mut cases = Vec::with_capacity(self.cases.len() * 2);
        for case in self.cases {
            let twin = case.solo_twin()?;
            if ids(&twin).iter().flatten().any(|id| taken.contains(id)) {
                return Err(TwinError::Taken { case: case.id });
            }
            cases.extend([twin, case]);
        }
        Ok(Self { cases, ..self })
    }
}

impl Case {
    /// The same work for one host at a time.
    ///
    /// # Errors
    /// When its id would be too long.
    fn solo_twin(&self) -> Result<Self, TwinError> {
        let twin = |id: &CaseId| {
            CaseId::new(format!("{id}{SOLO}")).map_err(|_| TwinError::TooLong { case: id.clone() })
        };
        let sweep = |sweep: &Sweep| Ok(Sweep { of: twin(&sweep.of)?, level: sweep.level });
        Ok(Self {
            id: twin(&self.id)?,
            title: format!("{} (solo)", self.title),
            sweep: self.sweep.as_ref().map(sweep).transpose()?,
            solo_of: Some(self.id.clone()),
            ..self.clone()
        })
    }
}
