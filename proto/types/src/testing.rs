//! Values for tests: small, valid and the same in every crate. A test sets what it is about.

mod gpu;
mod run;
mod trace;

use crate::attempt::{AttemptOutcome, AttemptReport};
use crate::engine::EngineWatch;
use crate::facts::{HostDetails, HostFacts};
use crate::gpu::GpuWindow;
use crate::ids::{
    AttemptKey, AttemptNo, BootId, CaseId, CellKey, Epoch, HostId, InstanceId, Repetition, RunId,
    SuiteName,
};
use crate::margin::Margins;
use crate::reading::Reading;
use crate::record::{ExpectedHosts, RunHeader};
use crate::suite::{
    Case, Length, Load, Message, Prompt, Ramp, Role, Slo, StartMode, StopRule, Suite, Timeouts,
};
use crate::time::{ClockAnchor, MonoNs, UnixNs};

pub use run::{RunBuilder, TestHost, WholeRun, lose};
pub use trace::{Timing, request, trace};

/// A case of one short request on one stream, once.
///
/// # Panics
/// When `id` is no case id.
#[must_use]
pub fn case(id: &str) -> Case {
    Case {
        id: CaseId::new(id).expect("a case id"),
        title: id.to_owned(),
        prompt: Prompt::Messages(vec![Message { role: Role::User, content: "hello".to_owned() }]),
        max_tokens: 8,
        min_max_tokens: 8,
        length: Length::Natural,
        temperature: 0.0,
        seed: None,
        stop: StopRule { requests: Some(1), duration: None },
        repetitions: 1,
        warmup: 0,
        load: Load::Closed { streams: 1, ramp: Ramp::None },
        sweep: None,
        slo: Slo::default(),
        solo_of: None,
        timeouts: Timeouts::default(),
    }
}

/// A suite of these cases.
///
/// # Panics
/// Never: its name is one.
#[must_use]
pub fn suite(cases: Vec<Case>) -> Suite {
    let name = SuiteName::new("quick").expect("a suite name");
    Suite { name, description: String::new(), cases, active_weights: None }
}

/// What was asked for: these cases, on one host.
#[must_use]
pub fn header(cases: Vec<Case>) -> RunHeader {
    RunHeader {
        run: attempt_key("chat").run,
        suite: suite(cases),
        seed: 1,
        created: UnixNs(0),
        start: StartMode::Together,
        stagger: None,
        expected: ExpectedHosts::Count(1),
        coordinator_version: "0.1.0".to_owned(),
        insecure: false,
        keep_text: false,
        command: "regatta run quick".to_owned(),
        assume_equal: Vec::new(),
        tariff: None,
        margins: Margins::default(),
    }
}

/// The first attempt at the first repetition of a case, on `gpu-01` in the run `night`.
///
/// # Panics
/// When `case` is no case id.
#[must_use]
pub fn attempt_key(case: &str) -> AttemptKey {
    let cell = CellKey {
        host: HostId::new("gpu-01").expect("a host name"),
        case: CaseId::new(case).expect("a case id"),
        repetition: Repetition(1),
    };
    AttemptKey { run: RunId::new("night").expect("a run id"), cell, attempt: AttemptNo(1) }
}

/// A completed attempt without a request.
#[must_use]
pub fn report(key: AttemptKey, epoch: Epoch) -> AttemptReport {
    AttemptReport {
        key,
        epoch,
        instance: InstanceId::nil(),
        boot: BootId("boot".to_owned()),
        outcome: AttemptOutcome::Completed,
        anchor: ClockAnchor::default(),
        planned_start: None,
        began: MonoNs(1),
        finished: MonoNs(2),
        traces: Vec::new(),
        gpu: GpuWindow::missing("test"),
        engine: EngineWatch::default(),
        findings: Vec::new(),
        client_cpu: None,
    }
}

/// A machine of which only the name is known.
#[must_use]
pub fn facts(hostname: &str) -> HostFacts {
    HostFacts {
        hostname: hostname.to_owned(),
        kernel: Reading::missing("test"),
        distribution: Reading::missing("test"),
        cpu_model: Reading::missing("test"),
        cpus: Reading::missing("test"),
        memory_total: Reading::missing("test"),
        agent_version: "0.1.0".to_owned(),
        details: HostDetails::default(),
    }
}
