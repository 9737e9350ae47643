//! GPU telemetry of attempt.proto.

use std::collections::BTreeMap;

use regatta_types::gpu::{
    Attribution, CallCost, ClockReasons, EnergyReading, GpuProcess, GpuSample, GpuSeries,
    GpuWindow, ProcessMemory, ProcessOwner, TelemetryEnd, TelemetryGap,
};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;
use regatta_types::units::Bytes;

use crate::error::{At, ConvertError, Problem};
use crate::field::{Checked, Numbered, cut, encoded, finite, list, numbered, optional, text};
use crate::limits::{
    ENERGY_MAX, GAPS_MAX, GPUS_MAX, NAME_MAX, PROCESS_STEPS_MAX, PROCESSES_MAX, QUIET_MAX,
    TEXT_MAX, UNAVAILABLE_MAX,
};
use crate::v1;

numbered!(ProcessOwner = v1::ProcessOwner { Engine, Foreign, Unknown });

impl TryFrom<v1::GpuSample> for GpuSample {
    type Error = ConvertError;
    fn try_from(m: v1::GpuSample) -> Checked<Self> {
        Ok(Self {
            at: MonoNs(m.at_ns),
            memory_used: m.memory_used.map(Bytes),
            power_w: m.power_w.map(|w| finite("power_w", w)).transpose()?,
            power_usage_w: m.power_usage_w.map(|w| finite("power_usage_w", w)).transpose()?,
            reasons: m.reasons.map(ClockReasons),
            host_memory_available: m.host_memory_available.map(Bytes),
            temperature_c: m.temperature_c,
            utilization_pct: m.utilization_pct,
            clock_sm_mhz: m.clock_sm_mhz,
            clock_memory_mhz: m.clock_memory_mhz,
            performance_state: m.performance_state,
            pcie_gen: m.pcie_gen,
            pcie_width: m.pcie_width,
            ecc_corrected: m.ecc_corrected,
            ecc_uncorrected: m.ecc_uncorrected,
            power_violation_ns: m.power_violation_ns,
            thermal_violation_ns: m.thermal_violation_ns,
        })
    }
}

impl From<&GpuSample> for v1::GpuSample {
    fn from(sample: &GpuSample) -> Self {
        Self {
            at_ns: sample.at.0,
            memory_used: sample.memory_used.map(|b| b.0),
            power_w: sample.power_w,
            power_usage_w: sample.power_usage_w,
            reasons: sample.reasons.map(|r| r.0),
            host_memory_available: sample.host_memory_available.map(|b| b.0),
            temperature_c: sample.temperature_c,
            utilization_pct: sample.utilization_pct,
            clock_sm_mhz: sample.clock_sm_mhz,
            clock_memory_mhz: sample.clock_memory_mhz,
            performance_state: sample.performance_state,
            pcie_gen: sample.pcie_gen,
            pcie_width: sample.pcie_width,
            ecc_corrected: sample.ecc_corrected,
            ecc_uncorrected: sample.ecc_uncorrected,
            power_violation_ns: sample.power_violation_ns,
            thermal_violation_ns: sample.thermal_violation_ns,
        }
    }
}

impl TryFrom<v1::EnergyReading> for EnergyReading {
    type Error = ConvertError;
    fn try_from(m: v1::EnergyReading) -> Checked<Self> {
        Ok(Self { at: MonoNs(m.at_ns), millijoules: m.millijoules })
    }
}

impl From<&EnergyReading> for v1::EnergyReading {
    fn from(reading: &EnergyReading) -> Self {
        Self { at_ns: reading.at.0, millijoules: reading.millijoules }
    }
}

impl TryFrom<v1::ProcessMemory> for ProcessMemory {
    type Error = ConvertError;
    fn try_from(m: v1::ProcessMemory) -> Checked<Self> {
        Ok(Self { at: MonoNs(m.at_ns), used: m.used.map(Bytes) })
    }
}

impl From<&ProcessMemory> for v1::ProcessMemory {
    fn from(memory: &ProcessMemory) -> Self {
        Self { at_ns: memory.at.0, used: memory.used.map(|b| b.0) }
    }
}

impl TryFrom<v1::GpuProcess> for GpuProcess {
    type Error = ConvertError;
    fn try_from(m: v1::GpuProcess) -> Checked<Self> {
        Ok(Self {
            pid: m.pid,
            name: text("name", m.name, NAME_MAX)?,
            owner: ProcessOwner::read("owner", m.owner)?,
            memory: list("memory", m.memory, PROCESS_STEPS_MAX)?,
            last_seen: MonoNs(m.last_seen_ns),
        })
    }
}

impl From<&GpuProcess> for v1::GpuProcess {
    fn from(process: &GpuProcess) -> Self {
        Self {
            pid: process.pid,
            name: cut(&process.name, NAME_MAX),
            owner: process.owner.number(),
            memory: encoded(&process.memory),
            last_seen_ns: process.last_seen.0,
        }
    }
}

impl From<v1::CallCost> for CallCost {
    fn from(m: v1::CallCost) -> Self {
        Self { calls: m.calls, total_ns: m.total_ns, max_ns: m.max_ns }
    }
}

impl From<&CallCost> for v1::CallCost {
    fn from(cost: &CallCost) -> Self {
        Self { calls: cost.calls, total_ns: cost.total_ns, max_ns: cost.max_ns }
    }
}

impl TryFrom<v1::TelemetryEnd> for TelemetryEnd {
    type Error = ConvertError;
    fn try_from(m: v1::TelemetryEnd) -> Checked<Self> {
        Ok(Self { at: MonoNs(m.at_ns), reason: text("reason", m.reason, TEXT_MAX)? })
    }
}

impl From<&TelemetryEnd> for v1::TelemetryEnd {
    fn from(end: &TelemetryEnd) -> Self {
        Self { at_ns: end.at.0, reason: cut(&end.reason, TEXT_MAX) }
    }
}

impl TryFrom<v1::GpuSeries> for GpuSeries {
    type Error = ConvertError;
    fn try_from(m: v1::GpuSeries) -> Checked<Self> {
        Ok(Self {
            uuid: text("uuid", m.uuid, NAME_MAX)?,
            serves: m.serves,
            baseline: optional("baseline", m.baseline)?,
            samples: list("samples", m.samples, usize::MAX)?,
            quiet: list("quiet", m.quiet, QUIET_MAX)?,
            energy: list("energy", m.energy, ENERGY_MAX)?,
            processes: list("processes", m.processes, PROCESSES_MAX)?,
            costs: named("costs", m.costs, |cost| Ok(CallCost::from(cost)))?,
            ended: optional("ended", m.ended)?,
            unavailable: named("unavailable", m.unavailable, |why| {
                text("unavailable", why, TEXT_MAX)
            })?,
        })
    }
}

/// Something for each kind of reading.
fn named<M, T>(
    field: &str,
    map: BTreeMap<String, M>,
    read: impl Fn(M) -> Checked<T>,
) -> Checked<BTreeMap<String, T>> {
    let len = map.len();
    if len > UNAVAILABLE_MAX {
        return Err(ConvertError::new(field, Problem::TooMany { len, max: UNAVAILABLE_MAX }));
    }
    map.into_iter().map(|(name, value)| Ok((text(field, name, NAME_MAX)?, read(value)?))).collect()
}

impl From<&GpuSeries> for v1::GpuSeries {
    fn from(series: &GpuSeries) -> Self {
        Self {
            uuid: cut(&series.uuid, NAME_MAX),
            serves: series.serves,
            baseline: series.baseline.as_ref().map(Into::into),
            samples: encoded(&series.samples),
            quiet: encoded(&series.quiet),
            energy: encoded(&series.energy),
            processes: encoded(&series.processes),
            costs: series.costs.iter().map(|(k, v)| (cut(k, NAME_MAX), v.into())).collect(),
            ended: series.ended.as_ref().map(Into::into),
            unavailable: series
                .unavailable
                .iter()
                .map(|(name, why)| (cut(name, NAME_MAX), cut(why, TEXT_MAX)))
                .collect(),
        }
    }
}

impl TryFrom<v1::Attribution> for Attribution {
    type Error = ConvertError;
    fn try_from(m: v1::Attribution) -> Checked<Self> {
        use v1::attribution::By;
        match m.by {
            Some(By::Named(_)) => Ok(Self::Named),
            Some(By::PortOwner(_)) => Ok(Self::PortOwner),
            Some(By::OnlyProcess(_)) => Ok(Self::OnlyProcess),
            Some(By::Unattributed(why)) => {
                Ok(Self::Unattributed { reason: text("unattributed", why, TEXT_MAX)? })
            }
            None => Err(ConvertError::new("by", Problem::Missing)),
        }
    }
}

impl From<&Attribution> for v1::Attribution {
    fn from(attribution: &Attribution) -> Self {
        use v1::attribution::{By, Nothing};
        let by = match attribution {
            Attribution::Named => By::Named(Nothing {}),
            Attribution::PortOwner => By::PortOwner(Nothing {}),
            Attribution::OnlyProcess => By::OnlyProcess(Nothing {}),
            Attribution::Unattributed { reason } => By::Unattributed(cut(reason, TEXT_MAX)),
        };
        Self { by: Some(by) }
    }
}

impl TryFrom<v1::TelemetryGap> for TelemetryGap {
    type Error = ConvertError;
    fn try_from(m: v1::TelemetryGap) -> Checked<Self> {
        Ok(Self {
            from: MonoNs(m.from_ns),
            until: MonoNs(m.until_ns),
            reason: text("reason", m.reason, TEXT_MAX)?,
        })
    }
}

impl From<&TelemetryGap> for v1::TelemetryGap {
    fn from(gap: &TelemetryGap) -> Self {
        Self { from_ns: gap.from.0, until_ns: gap.until.0, reason: cut(&gap.reason, TEXT_MAX) }
    }
}

impl TryFrom<v1::GpuWindow> for GpuWindow {
    type Error = ConvertError;
    fn try_from(m: v1::GpuWindow) -> Checked<Self> {
        use v1::gpu_window::Reading as Sent;
        let series = match m.reading {
            Some(Sent::Known(known)) => {
                Reading::Known(list("series", known.series, GPUS_MAX).at("known")?)
            }
            Some(Sent::NotAvailable(why)) => {
                Reading::missing(text("not_available", why, TEXT_MAX)?)
            }
            None => return Err(ConvertError::new("reading", Problem::Missing)),
        };
        Ok(Self {
            series,
            period_ms: m.period_ms,
            attribution: optional("attribution", m.attribution)?,
            gaps: list("gaps", m.gaps, GAPS_MAX)?,
            rounds_left_out: m.rounds_left_out,
        })
    }
}

impl From<&GpuWindow> for v1::GpuWindow {
    fn from(window: &GpuWindow) -> Self {
        use v1::gpu_window::Reading as Sent;
        let reading = match &window.series {
            Reading::Known(series) => Sent::Known(v1::GpuSeriesList { series: encoded(series) }),
            Reading::NotAvailable { not_available } => {
                Sent::NotAvailable(cut(not_available, TEXT_MAX))
            }
        };
        Self {
            period_ms: window.period_ms,
            reading: Some(reading),
            attribution: window.attribution.as_ref().map(Into::into),
            gaps: encoded(&window.gaps),
            rounds_left_out: window.rounds_left_out,
        }
    }
}
