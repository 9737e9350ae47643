//! Strategies for every value that crosses the wire, within the ranges the contract states.

mod attempt;
mod facts;
mod frames;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use regatta_types::assignment::{Assignment, Preparation, Settling};
use regatta_types::ids::{
    AttemptKey, AttemptNo, BootId, CaseId, CellKey, Epoch, HostId, InstanceId, Repetition, RunId,
    SuiteName,
};
use regatta_types::record::{ExpectedHosts, HostRecord, RunHeader};
use regatta_types::suite::{Case, Message, Role, StartMode, StopRule, Suite, Timeouts};
use regatta_types::time::{ClockOffset, MonoNs, UnixNs};
use regatta_wire::frame::Lease;
use std::time::Duration;

pub(crate) use attempt::{report, started};
pub(crate) use facts::{engine, gpu_facts_reading, host_facts};
pub(crate) use frames::{agent_frame, coordinator_frame};

/// Slugs with every kind of character, short enough to never repeat a dot by chance.
fn slug() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9_-]{0,8}(\\.[a-z0-9]{1,4})?"
}

pub(crate) fn host() -> impl Strategy<Value = HostId> {
    slug().prop_map(|s| HostId::new(s).expect("a slug"))
}

pub(crate) fn run() -> impl Strategy<Value = RunId> {
    slug().prop_map(|s| RunId::new(s).expect("a slug"))
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    "\\PC{0,24}"
}

pub(crate) fn mono() -> impl Strategy<Value = MonoNs> {
    any::<u64>().prop_map(MonoNs)
}

pub(crate) fn unix() -> impl Strategy<Value = UnixNs> {
    any::<i64>().prop_map(UnixNs)
}

pub(crate) fn boot() -> impl Strategy<Value = BootId> {
    "[0-9a-f-]{36}".prop_map(BootId)
}

pub(crate) fn instance() -> impl Strategy<Value = InstanceId> {
    "[0-9a-f]{32}".prop_map(|hex| hex.parse().expect("a UUID"))
}

pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

pub(crate) fn finite() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE
}

pub(crate) fn lease() -> impl Strategy<Value = Lease> {
    (run(), host(), slug(), any::<u32>(), 1_u32.., any::<u64>()).prop_map(
        |(run, host, case, repetition, attempt, epoch)| Lease {
            key: AttemptKey {
                run,
                cell: CellKey {
                    host,
                    case: CaseId::new(case).expect("a slug"),
                    repetition: Repetition(repetition),
                },
                attempt: AttemptNo(attempt),
            },
            epoch: Epoch(epoch),
        },
    )
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant)]
}

fn stop_rule() -> impl Strategy<Value = StopRule> {
    prop_oneof![
        (1_u32.., option::of(duration()))
            .prop_map(|(n, duration)| StopRule { requests: Some(n), duration }),
        duration().prop_map(|d| StopRule { requests: None, duration: Some(d) }),
    ]
}

pub(crate) fn timeouts() -> impl Strategy<Value = Timeouts> {
    (duration(), duration(), duration(), duration()).prop_map(
        |(connect, first_token, chunk, request)| Timeouts { connect, first_token, chunk, request },
    )
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let messages =
        vec((role(), text()).prop_map(|(role, content)| Message { role, content }), 0..4);
    let load = (1_u32..=1_000, any::<u32>(), 1_u32..=4_096);
    let sampling = (1_u32.., 0.0..=2.0, option::of(any::<i64>()));
    (slug(), text(), messages, sampling, stop_rule(), load, timeouts()).prop_map(
        |(id, title, messages, (max_tokens, temperature, seed), stop, load, timeouts)| Case {
            id: CaseId::new(id).expect("a slug"),
            title,
            messages,
            max_tokens,
            temperature,
            seed,
            stop,
            repetitions: load.0,
            warmup: load.1,
            concurrency: load.2,
            timeouts,
        },
    )
}

pub(crate) fn assignment() -> impl Strategy<Value = Assignment> {
    (lease(), case(), mono(), any::<bool>()).prop_map(|(mut lease, case, start, keep_text)| {
        lease.key.cell.case = case.id.clone();
        Assignment { key: lease.key, epoch: lease.epoch, case, start, keep_text }
    })
}

pub(crate) fn preparation() -> impl Strategy<Value = Preparation> {
    let settling =
        prop_oneof![Just(Settling::UntilSteady), any::<u32>().prop_map(Settling::Requests)];
    (run(), "[0-9a-f]{64}", option::of(text()), settling, timeouts(), 1..9_u32).prop_map(
        |(run, suite_hash, model, settling, timeouts, attempt)| Preparation {
            run,
            suite_hash,
            model,
            settling,
            timeouts,
            attempt: AttemptNo(attempt),
        },
    )
}

pub(crate) fn header() -> impl Strategy<Value = RunHeader> {
    let suite = (slug(), text(), vec(case(), 0..3)).prop_map(|(name, description, cases)| Suite {
        name: SuiteName::new(name).expect("a slug"),
        description,
        cases,
    });
    let expected = prop_oneof![
        any::<u32>().prop_map(ExpectedHosts::Count),
        vec(host(), 0..4).prop_map(ExpectedHosts::Named),
    ];
    let flags = (any::<bool>(), any::<bool>());
    (run(), suite, any::<u64>(), unix(), expected, flags, text(), text()).prop_map(
        |(run, suite, seed, created, expected, (insecure, keep_text), version, command)| {
            RunHeader {
                run,
                suite,
                seed,
                created,
                start: StartMode::Together,
                expected,
                coordinator_version: version,
                insecure,
                keep_text,
                command,
            }
        },
    )
}

pub(crate) fn host_record() -> impl Strategy<Value = HostRecord> {
    let clock = (any::<i64>(), any::<u64>(), any::<i64>(), any::<u32>(), mono()).prop_map(
        |(offset_ns, bound_ns, wall_offset_ns, pings, at)| ClockOffset {
            offset_ns,
            bound_ns,
            wall_offset_ns,
            pings,
            at,
        },
    );
    (
        host(),
        option::of(host_facts()),
        gpu_facts_reading(),
        engine(),
        vec(clock, 0..3),
        option::of(text()),
        any::<bool>(),
    )
        .prop_map(|(host, facts, gpus, engine, clocks, refused, simulated)| HostRecord {
            host,
            facts,
            gpus,
            engine,
            clocks,
            refused,
            simulated,
        })
}
