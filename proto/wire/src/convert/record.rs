//! record.proto.

use std::time::Duration;

use regatta_types::comparability::ClassFact;
use regatta_types::ids::{BootId, HostId};
use regatta_types::margin::Margins;
use regatta_types::record::{ExpectedHosts, HostRecord, RunHeader};
use regatta_types::suite::StartMode;
use regatta_types::time::{ClockOffset, MonoNs, UnixNs};

use super::checks;
use crate::error::{At, ConvertError, Problem};
use crate::field::{
    Checked, Numbered, cut, encoded, instance, list, nanos, numbered, optional, required, slug,
    text,
};
use crate::limits::{CLOCKS_MAX, HOSTS_MAX, LONG_TEXT_MAX, NAME_MAX, TEXT_MAX};
use crate::v1;
use regatta_types::attempt::Started;

numbered!(StartMode = v1::StartMode { Together, Staggered, Solo, Both });

impl TryFrom<v1::RunHeader> for RunHeader {
    type Error = ConvertError;
    fn try_from(m: v1::RunHeader) -> Checked<Self> {
        use v1::run_header::Expected;
        let expected = match m.expected {
            Some(Expected::Count(n)) => ExpectedHosts::Count(n),
            Some(Expected::Named(names)) => ExpectedHosts::Named(hosts(names).at("named")?),
            None => return Err(ConvertError::new("expected", Problem::Missing)),
        };
        Ok(Self {
            run: slug("run", m.run)?,
            suite: required("suite", m.suite)?,
            seed: m.seed,
            created: UnixNs(m.created_unix_ns),
            start: StartMode::read("start", m.start)?,
            stagger: (m.stagger_ns > 0).then(|| Duration::from_nanos(m.stagger_ns)),
            expected,
            coordinator_version: text("coordinator_version", m.coordinator_version, NAME_MAX)?,
            insecure: m.insecure,
            keep_text: m.keep_text,
            command: text("command", m.command, LONG_TEXT_MAX)?,
            assume_equal: facts(&m.assume_equal)?,
            tariff: Some(m.tariff).filter(|price| price.is_finite() && *price > 0.0),
            margins: margins(&m.margins)?,
        })
    }
}

impl From<&RunHeader> for v1::RunHeader {
    fn from(header: &RunHeader) -> Self {
        use v1::run_header::Expected;
        let expected = match &header.expected {
            ExpectedHosts::Count(n) => Expected::Count(*n),
            ExpectedHosts::Named(hosts) => Expected::Named(v1::HostNames {
                hosts: hosts.iter().map(ToString::to_string).collect(),
            }),
        };
        Self {
            run: header.run.to_string(),
            suite: Some((&header.suite).into()),
            seed: header.seed,
            created_unix_ns: header.created.0,
            start: header.start.number(),
            stagger_ns: header.stagger.map_or(0, nanos),
            expected: Some(expected),
            coordinator_version: cut(&header.coordinator_version, NAME_MAX),
            insecure: header.insecure,
            keep_text: header.keep_text,
            command: cut(&header.command, LONG_TEXT_MAX),
            assume_equal: header.assume_equal.iter().map(|fact| fact.stored()).collect(),
            tariff: header.tariff.unwrap_or(0.0),
            margins: header.margins.to_string(),
        }
    }
}

fn margins(text: &str) -> Checked<Margins> {
    if text.is_empty() {
        return Ok(Margins::default());
    }
    let bad = |_| ConvertError::new("margins", Problem::OutOfRange("margins"));
    text.parse().map_err(bad)
}

fn facts(names: &[String]) -> Checked<Vec<ClassFact>> {
    const FIELD: &str = "assume_equal";
    let (len, max) = (names.len(), ClassFact::ALL.len());
    if len > max {
        return Err(ConvertError::new(FIELD, Problem::TooMany { len, max }));
    }
    let known = |name: &String| {
        name.parse().map_err(|_| ConvertError::new(FIELD, Problem::OutOfRange("a fact's name")))
    };
    names.iter().map(known).collect()
}

fn hosts(names: v1::HostNames) -> Checked<Vec<HostId>> {
    let len = names.hosts.len();
    if len > HOSTS_MAX {
        return Err(ConvertError::new("hosts", Problem::TooMany { len, max: HOSTS_MAX }));
    }
    names.hosts.into_iter().map(|name| slug("hosts", name)).collect()
}

impl TryFrom<v1::HostRecord> for HostRecord {
    type Error = ConvertError;
    fn try_from(m: v1::HostRecord) -> Checked<Self> {
        Ok(Self {
            host: slug("host", m.host)?,
            facts: optional("facts", m.facts)?,
            gpus: required("gpus", m.gpus)?,
            engine: required("engine", m.engine)?,
            clocks: list("clocks", m.clocks, CLOCKS_MAX)?,
            refused: m.refused.map(|why| text("refused", why, TEXT_MAX)).transpose()?,
            simulated: m.simulated,
            checks: checks("checks", m.checks)?,
        })
    }
}

impl From<&HostRecord> for v1::HostRecord {
    fn from(record: &HostRecord) -> Self {
        Self {
            host: record.host.to_string(),
            facts: record.facts.as_ref().map(Into::into),
            gpus: Some((&record.gpus).into()),
            engine: Some((&record.engine).into()),
            clocks: encoded(&record.clocks),
            refused: record.refused.as_deref().map(|why| cut(why, TEXT_MAX)),
            simulated: record.simulated,
            checks: encoded(&record.checks),
        }
    }
}

impl TryFrom<v1::ClockOffset> for ClockOffset {
    type Error = ConvertError;
    fn try_from(m: v1::ClockOffset) -> Checked<Self> {
        Ok(Self {
            offset_ns: m.offset_ns,
            bound_ns: m.bound_ns,
            wall_offset_ns: m.wall_offset_ns,
            pings: m.pings,
            at: MonoNs(m.at_ns),
        })
    }
}

impl From<&ClockOffset> for v1::ClockOffset {
    fn from(offset: &ClockOffset) -> Self {
        Self {
            offset_ns: offset.offset_ns,
            bound_ns: offset.bound_ns,
            wall_offset_ns: offset.wall_offset_ns,
            pings: offset.pings,
            at_ns: offset.at.0,
        }
    }
}

impl TryFrom<v1::StartedMarker> for Started {
    type Error = ConvertError;
    fn try_from(m: v1::StartedMarker) -> Checked<Self> {
        Ok(Self {
            lease: required("lease", m.lease)?,
            instance: instance("instance", &m.instance)?,
            boot: BootId(text("boot", m.boot, NAME_MAX)?),
            anchor: required("anchor", m.anchor)?,
            planned_start: m.planned_start_ns.map(MonoNs),
        })
    }
}

impl From<&Started> for v1::StartedMarker {
    fn from(started: &Started) -> Self {
        Self {
            lease: Some((&started.lease).into()),
            instance: started.instance.to_string(),
            boot: cut(&started.boot.0, NAME_MAX),
            anchor: Some((&started.anchor).into()),
            planned_start_ns: started.planned_start.map(|t| t.0),
        }
    }
}
