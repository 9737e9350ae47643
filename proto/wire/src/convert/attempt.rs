//! attempt.proto: keys, the report around its requests, findings.

use std::time::Duration;

use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::ids::{AttemptKey, AttemptNo, BootId, CellKey, Epoch, Repetition};
use regatta_types::time::{ClockAnchor, MonoNs, UnixNs};
use regatta_types::validity::{Finding, FindingCode, Validity};

use crate::error::{ConvertError, Problem};
use crate::field::{
    Checked, Numbered, cut, encoded, instance, list, nanos, numbered, optional, required, slug,
    text, told, within,
};
use crate::limits::{FINDINGS_MAX, NAME_MAX, REQUESTS_MAX, TEXT_MAX};
use crate::v1;
use regatta_types::assignment::Lease;

numbered!(Validity = v1::Validity { Valid, Degraded, Invalid });

impl TryFrom<v1::CellKey> for CellKey {
    type Error = ConvertError;
    fn try_from(m: v1::CellKey) -> Checked<Self> {
        Ok(Self {
            host: slug("host", m.host)?,
            case: slug("case_id", m.case_id)?,
            repetition: Repetition(m.repetition),
        })
    }
}

impl From<&CellKey> for v1::CellKey {
    fn from(cell: &CellKey) -> Self {
        Self {
            host: cell.host.to_string(),
            case_id: cell.case.to_string(),
            repetition: cell.repetition.0,
        }
    }
}

impl TryFrom<v1::AttemptKey> for AttemptKey {
    type Error = ConvertError;
    fn try_from(m: v1::AttemptKey) -> Checked<Self> {
        Ok(Self {
            run: slug("run", m.run)?,
            cell: required("cell", m.cell)?,
            attempt: AttemptNo(within("attempt", m.attempt, 1.., "at least 1")?),
        })
    }
}

impl From<&AttemptKey> for v1::AttemptKey {
    fn from(key: &AttemptKey) -> Self {
        Self { run: key.run.to_string(), cell: Some((&key.cell).into()), attempt: key.attempt.0 }
    }
}

impl TryFrom<v1::Lease> for Lease {
    type Error = ConvertError;
    fn try_from(m: v1::Lease) -> Checked<Self> {
        Ok(Self { key: required("key", m.key)?, epoch: Epoch(m.epoch) })
    }
}

impl From<&Lease> for v1::Lease {
    fn from(lease: &Lease) -> Self {
        Self { key: Some((&lease.key).into()), epoch: lease.epoch.0 }
    }
}

impl TryFrom<v1::ClockAnchor> for ClockAnchor {
    type Error = ConvertError;
    fn try_from(m: v1::ClockAnchor) -> Checked<Self> {
        Ok(Self { mono: MonoNs(m.mono_ns), unix: UnixNs(m.unix_ns) })
    }
}

impl From<&ClockAnchor> for v1::ClockAnchor {
    fn from(anchor: &ClockAnchor) -> Self {
        Self { mono_ns: anchor.mono.0, unix_ns: anchor.unix.0 }
    }
}

impl TryFrom<v1::AttemptReport> for AttemptReport {
    type Error = ConvertError;
    fn try_from(m: v1::AttemptReport) -> Checked<Self> {
        let Lease { key, epoch } = required("lease", m.lease)?;
        Ok(Self {
            key,
            epoch,
            instance: instance("instance", &m.instance)?,
            boot: BootId(text("boot", m.boot, NAME_MAX)?),
            outcome: outcome(m.status, m.reason)?,
            anchor: required("anchor", m.anchor)?,
            planned_start: m.planned_start_ns.map(MonoNs),
            began: MonoNs(m.began_ns),
            finished: MonoNs(m.finished_ns),
            traces: list("traces", m.traces, REQUESTS_MAX)?,
            gpu: required("gpu", m.gpu)?,
            findings: list("findings", m.findings, FINDINGS_MAX)?,
            engine: optional("engine", m.engine)?.unwrap_or_default(),
            client_cpu: m.client_cpu_ns.map(Duration::from_nanos),
        })
    }
}

impl From<&AttemptReport> for v1::AttemptReport {
    fn from(report: &AttemptReport) -> Self {
        let (status, reason) = match &report.outcome {
            AttemptOutcome::Completed => (v1::AttemptStatus::Completed, String::new()),
            AttemptOutcome::Cancelled => (v1::AttemptStatus::Cancelled, String::new()),
            AttemptOutcome::Interrupted => (v1::AttemptStatus::Interrupted, String::new()),
            AttemptOutcome::Failed(why) => (v1::AttemptStatus::Failed, cut(why, TEXT_MAX)),
        };
        Self {
            lease: Some((&Lease { key: report.key.clone(), epoch: report.epoch }).into()),
            instance: report.instance.to_string(),
            boot: cut(&report.boot.0, NAME_MAX),
            status: status.into(),
            reason,
            anchor: Some((&report.anchor).into()),
            planned_start_ns: report.planned_start.map(|t| t.0),
            began_ns: report.began.0,
            finished_ns: report.finished.0,
            traces: encoded(&report.traces),
            gpu: Some((&report.gpu).into()),
            findings: encoded(&report.findings),
            engine: told(&report.engine),
            client_cpu_ns: report.client_cpu.map(nanos),
        }
    }
}

fn outcome(status: i32, reason: String) -> Checked<AttemptOutcome> {
    match v1::AttemptStatus::try_from(status) {
        Ok(v1::AttemptStatus::Completed) => Ok(AttemptOutcome::Completed),
        Ok(v1::AttemptStatus::Cancelled) => Ok(AttemptOutcome::Cancelled),
        Ok(v1::AttemptStatus::Interrupted) => Ok(AttemptOutcome::Interrupted),
        Ok(v1::AttemptStatus::Failed) => {
            Ok(AttemptOutcome::Failed(text("reason", reason, TEXT_MAX)?))
        }
        Ok(v1::AttemptStatus::Unspecified) | Err(_) => {
            Err(ConvertError::new("status", Problem::Enum(status)))
        }
    }
}

impl TryFrom<v1::Finding> for Finding {
    type Error = ConvertError;
    fn try_from(m: v1::Finding) -> Checked<Self> {
        Ok(Self {
            code: FindingCode::from(text("code", m.code, NAME_MAX)?.as_str()),
            validity: Validity::read("validity", m.validity)?,
            evidence: text("evidence", m.evidence, TEXT_MAX)?,
            advice: text("advice", m.advice, TEXT_MAX)?,
        })
    }
}

impl From<&Finding> for v1::Finding {
    fn from(finding: &Finding) -> Self {
        Self {
            code: cut(finding.code.as_str(), NAME_MAX),
            validity: finding.validity.number(),
            evidence: cut(&finding.evidence, TEXT_MAX),
            advice: cut(&finding.advice, TEXT_MAX),
        }
    }
}
