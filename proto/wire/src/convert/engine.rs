//! attempt.proto: what was seen of the engine.

use regatta_types::engine::{EngineSample, EngineWatch, EngineWindow};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;

use crate::error::{At, ConvertError, Problem};
use crate::field::{Checked, cut, encoded, finite, list, required, text};
use crate::limits::{ENGINE_SAMPLES_MAX, TEXT_MAX};
use crate::v1;

impl TryFrom<v1::EngineWatch> for EngineWatch {
    type Error = ConvertError;
    fn try_from(m: v1::EngineWatch) -> Checked<Self> {
        Ok(Self {
            before: required("before", m.before)?,
            after: required("after", m.after)?,
            metrics: required("metrics", m.metrics)?,
        })
    }
}

impl From<&EngineWatch> for v1::EngineWatch {
    fn from(watch: &EngineWatch) -> Self {
        Self {
            before: Some((&watch.before).into()),
            after: Some((&watch.after).into()),
            metrics: Some((&watch.metrics).into()),
        }
    }
}

impl TryFrom<v1::EngineWindow> for EngineWindow {
    type Error = ConvertError;
    fn try_from(m: v1::EngineWindow) -> Checked<Self> {
        use v1::engine_window::Reading as Sent;
        let samples = match m.reading {
            Some(Sent::Known(known)) => {
                Reading::Known(list("samples", known.samples, ENGINE_SAMPLES_MAX).at("known")?)
            }
            Some(Sent::NotAvailable(why)) => {
                Reading::missing(text("not_available", why, TEXT_MAX)?)
            }
            None => return Err(ConvertError::new("reading", Problem::Missing)),
        };
        Ok(Self { samples, period_ms: m.period_ms, failed: m.failed })
    }
}

impl From<&EngineWindow> for v1::EngineWindow {
    fn from(window: &EngineWindow) -> Self {
        use v1::engine_window::Reading as Sent;
        let reading = match &window.samples {
            Reading::Known(samples) => Sent::Known(v1::EngineSamples { samples: encoded(samples) }),
            Reading::NotAvailable { not_available } => {
                Sent::NotAvailable(cut(not_available, TEXT_MAX))
            }
        };
        Self { reading: Some(reading), period_ms: window.period_ms, failed: window.failed }
    }
}

impl TryFrom<v1::EngineSample> for EngineSample {
    type Error = ConvertError;
    fn try_from(m: v1::EngineSample) -> Checked<Self> {
        let number = |field, value: Option<f64>| value.map(|v| finite(field, v)).transpose();
        Ok(Self {
            at: MonoNs(m.at_ns),
            running: number("running", m.running)?,
            waiting: number("waiting", m.waiting)?,
            kv_use: number("kv_use", m.kv_use)?,
            prefix_queries: number("prefix_queries", m.prefix_queries)?,
            prefix_hits: number("prefix_hits", m.prefix_hits)?,
            preemptions: number("preemptions", m.preemptions)?,
            queue_s: number("queue_s", m.queue_s)?,
            queued: number("queued", m.queued)?,
            drafted: number("drafted", m.drafted)?,
            accepted: number("accepted", m.accepted)?,
        })
    }
}

impl From<&EngineSample> for v1::EngineSample {
    fn from(sample: &EngineSample) -> Self {
        Self {
            at_ns: sample.at.0,
            running: sample.running,
            waiting: sample.waiting,
            kv_use: sample.kv_use,
            prefix_queries: sample.prefix_queries,
            prefix_hits: sample.prefix_hits,
            preemptions: sample.preemptions,
            queue_s: sample.queue_s,
            queued: sample.queued,
            drafted: sample.drafted,
            accepted: sample.accepted,
        }
    }
}
