//! Comparisons as `run.json` and `--json` have them: reasons in words.

use std::collections::BTreeMap;

use regatta_figures::compare::{
    ClassReport, Contention, DriftRow, Later, MetricReport, Reason, SoloAndTogether,
};
use regatta_figures::facts::{Fact, FactChange};
use regatta_figures::history::{Changes, HostChanges, MetricChange};
use regatta_types::comparability::stored_name;
use regatta_types::ids::HostId;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::words::absent::why;
use crate::words::reason::{at_first, change, reason};

/// Version of the layout of [`changes_json`]. Fields may be added without a new one.
const SCHEMA: u32 = 1;

fn left_out<T>(all: &[(T, Reason)]) -> Vec<(&T, String)> {
    all.iter().map(|(what, why)| (what, reason(why))).collect()
}

/// A result as the files have it.
pub(super) struct Written<'a, T>(pub(super) &'a T);

pub(super) fn each<T>(all: &[T]) -> Vec<Written<'_, T>> {
    all.iter().map(Written).collect()
}

impl Serialize for Written<'_, ClassReport> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ClassReport { class, metrics, quarters, .. } = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("label", &class.label)?;
        object.serialize_entry("fingerprint", &class.fingerprint)?;
        object.serialize_entry("hosts", &class.hosts)?;
        object.serialize_entry("facts", &each(&class.facts))?;
        let assumed: Vec<&str> = class.assumed.iter().map(|name| stored_name(name)).collect();
        object.serialize_entry("assumed", &assumed)?;
        object.serialize_entry("metrics", &each(metrics))?;
        object.serialize_entry("quarters", quarters)?;
        object.end()
    }
}

impl Serialize for Written<'_, Fact> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Known<'a> {
            #[serde(flatten)]
            fact: &'a Fact,
            #[serde(skip_serializing_if = "Option::is_none")]
            not_available: Option<String>,
        }
        let not_available = self.0.not_available.as_ref().map(why);
        Known { fact: self.0, not_available }.serialize(serializer)
    }
}

impl Serialize for Written<'_, DriftRow> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Known<'a> {
            #[serde(flatten)]
            row: &'a DriftRow,
            not_available: BTreeMap<&'a HostId, String>,
        }
        let not_available = self.0.not_available.iter().map(|(host, absent)| (host, why(absent)));
        Known { row: self.0, not_available: not_available.collect() }.serialize(serializer)
    }
}

impl Serialize for Written<'_, MetricReport> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("metric", &report.metric)?;
        object.serialize_entry("margin", &report.margin)?;
        object.serialize_entry("cases", &report.series.cases)?;
        object.serialize_entry("cases_left_out", &left_out(&report.series.cases_left_out))?;
        object.serialize_entry("hosts_left_out", &left_out(&report.series.hosts_left_out))?;
        object.serialize_entry("planned_repetitions", &report.series.planned_repetitions)?;
        object.serialize_entry("outcome", &report.outcome)?;
        object.serialize_entry("detectable_log", &report.detectable_log)?;
        object.serialize_entry("ranks", &report.ranks)?;
        object.serialize_entry("outliers", &report.outliers)?;
        object.serialize_entry("by_case", &report.by_case)?;
        object.end()
    }
}

impl Serialize for Written<'_, Later> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let later = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("host", &later.host)?;
        object.serialize_entry("label", &later.label)?;
        object.serialize_entry("fingerprint", &later.fingerprint)?;
        object.serialize_entry("from", &later.from)?;
        object.serialize_entry("cells", &later.cells)?;
        object.serialize_entry("change", &at_first(&later.change))?;
        object.end()
    }
}

impl Serialize for Written<'_, Contention> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("metric", &self.0.metric)?;
        object.serialize_entry("margin", &self.0.margin)?;
        object.serialize_entry("hosts", &each(&self.0.hosts))?;
        object.end()
    }
}

impl Serialize for Written<'_, SoloAndTogether> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let host = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("host", &host.host)?;
        object.serialize_entry("cases", &host.cases)?;
        object.serialize_entry("cases_left_out", &left_out(&host.cases_left_out))?;
        object.serialize_entry("solo_log", &host.solo_log)?;
        object.serialize_entry("together_log", &host.together_log)?;
        object.serialize_entry("effect", &host.effect)?;
        object.serialize_entry("adjusted_p", &host.adjusted_p)?;
        object.serialize_entry("verdict", &host.verdict)?;
        object.end()
    }
}

impl Serialize for Written<'_, Changes> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("schema", &SCHEMA)?;
        object.serialize_entry("before", &self.0.before)?;
        object.serialize_entry("after", &self.0.after)?;
        object.serialize_entry("hosts", &each(&self.0.hosts))?;
        object.serialize_entry("absent", &self.0.absent)?;
        object.end()
    }
}

impl Serialize for Written<'_, HostChanges> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let host = self.0;
        let facts = |facts: &[FactChange]| facts.iter().map(change).collect::<Vec<_>>();
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("host", &host.host)?;
        object.serialize_entry("with", &host.with)?;
        object.serialize_entry("not_comparable", &host.not_comparable.as_ref().map(reason))?;
        object.serialize_entry("metrics", &each(&host.metrics))?;
        object.serialize_entry("other_facts", &facts(&host.other_facts))?;
        object.serialize_entry("allowed", &facts(&host.allowed))?;
        object.end()
    }
}

impl Serialize for Written<'_, MetricChange> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let change = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("metric", &change.metric)?;
        object.serialize_entry("solo", &change.solo)?;
        object.serialize_entry("cases", &change.cases)?;
        object.serialize_entry("cases_left_out", &left_out(&change.cases_left_out))?;
        object.serialize_entry("cases_lost", &change.cases_lost)?;
        object.serialize_entry("is_due", &change.is_due)?;
        object.serialize_entry("before", &change.before)?;
        object.serialize_entry("after", &change.after)?;
        object.serialize_entry("change", &change.change)?;
        object.serialize_entry("verdict", &change.verdict.verdict())?;
        object.serialize_entry("why_not", &change.verdict.why_not().map(reason))?;
        object.end()
    }
}

/// What changed as JSON, indented, with a newline at its end.
#[must_use]
pub fn changes_json(found: &Changes) -> String {
    // String keys only, and a number that is not finite becomes null: this cannot fail.
    let mut json = serde_json::to_string_pretty(&Written(found)).unwrap_or_default();
    json.push('\n');
    json
}
