//! Strategies for every value that crosses the wire, within the ranges the contract states.

mod attempt;
mod facts;
mod frames;
mod gpu;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use regatta_types::assignment::{Assignment, ContextNeed, EngineWarmup, Lease, Preparation, Wants};
use regatta_types::check::{Check, CheckOutcome, Mark};
use regatta_types::comparability::ClassFact;
use regatta_types::ids::{
    AttemptKey, AttemptNo, BootId, CaseId, CellKey, Epoch, HostId, InstanceId, Repetition, RunId,
    SuiteName,
};
use regatta_types::record::{ExpectedHosts, HostRecord, RunHeader};
use regatta_types::suite::{
    Arrivals, Case, Length, Load, Message, Prompt, Ramp, Role, Slo, StartMode, StopRule, Suite,
    Sweep, TextPrompt, Timeouts,
};
use regatta_types::time::{ClockOffset, MonoNs, UnixNs};
use regatta_types::units::Bytes;
use std::time::Duration;

pub(crate) use attempt::{report, started};
pub(crate) use facts::{engine, host_facts};
pub(crate) use frames::{agent_frame, coordinator_frame};
pub(crate) use gpu::{gpu_facts_reading, gpu_window, sample};

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
    let length = prop_oneof![Just(Length::Natural), Just(Length::Fixed)];
    let answer = (1_u32.., any::<u32>(), length).prop_map(|(max, least, length)| {
        let least = 1 + least % max;
        (least, max, length)
    });
    let sampling = (0.0..=2.0, option::of(any::<i64>()));
    let times = (1_u32..=1_000, any::<u32>(), stop_rule(), timeouts());
    let sweep = (slug(), any::<u32>())
        .prop_map(|(of, level)| Sweep { of: CaseId::new(of).expect("a slug"), level });
    let slo = (option::of(duration()), option::of(duration()), option::of(duration()))
        .prop_map(|(ttft, tpot, e2e)| Slo { ttft, tpot, e2e });
    let what = (slug(), text(), prompt(), answer, sampling);
    let place = (option::of(sweep), option::of(slug()));
    (what, load(), times, place, slo).prop_map(|(what, load, times, (sweep, solo_of), slo)| {
        let (id, title, prompt, (min_max_tokens, max_tokens, length), (temperature, seed)) = what;
        let (repetitions, warmup, stop, timeouts) = times;
        let id = CaseId::new(id).expect("a slug");
        Case {
            id,
            title,
            prompt,
            max_tokens,
            min_max_tokens,
            length,
            temperature,
            seed,
            stop,
            repetitions,
            warmup,
            load,
            sweep,
            slo,
            solo_of: solo_of.map(|id| CaseId::new(id).expect("a slug")),
            timeouts,
        }
    })
}

fn text_prompt() -> impl Strategy<Value = TextPrompt> {
    (1_u32.., any::<u32>())
        .prop_map(|(tokens, shared)| TextPrompt { tokens, shared: shared % tokens })
}

fn prompt() -> impl Strategy<Value = Prompt> {
    let messages =
        || vec((role(), text()).prop_map(|(role, content)| Message { role, content }), 0..4);
    prop_oneof![
        messages().prop_map(Prompt::Messages),
        text_prompt().prop_map(Prompt::Text),
        (messages(), vec(text(), 2..4))
            .prop_map(|(opening, turns)| Prompt::Conversation { opening, turns }),
    ]
}

fn load() -> impl Strategy<Value = Load> {
    let ramp = prop_oneof![Just(Ramp::None), Just(Ramp::Service)];
    let arrivals = prop_oneof![
        Just(Arrivals::Constant),
        Just(Arrivals::Poisson),
        (0.01..=1_000.0).prop_map(|shape| Arrivals::Gamma { shape }),
    ];
    prop_oneof![
        (1_u32..=4_096, ramp).prop_map(|(streams, ramp)| Load::Closed { streams, ramp }),
        (0.001..=10_000.0, arrivals, 1_u32..=4_096).prop_map(|(rate, arrivals, max_in_flight)| {
            Load::Open { rate, arrivals, max_in_flight }
        }),
    ]
}

pub(crate) fn assignment() -> impl Strategy<Value = Assignment> {
    (lease(), case(), mono(), any::<bool>(), any::<u64>()).prop_map(
        |(mut lease, case, start, keep_text, seed)| {
            lease.key.cell.case = case.id.clone();
            Assignment { key: lease.key, epoch: lease.epoch, case, start, keep_text, seed }
        },
    )
}

pub(crate) fn preparation() -> impl Strategy<Value = Preparation> {
    let engine_warmup =
        prop_oneof![Just(EngineWarmup::UntilSteady), any::<u32>().prop_map(EngineWarmup::Requests)];
    let need = (1..u32::MAX, any::<u32>())
        .prop_map(|(least, more)| ContextNeed { least, most: least.saturating_add(more) });
    let prompts = (vec(text_prompt(), 0..4), vec(case(), 0..3));
    let wants = (prompts, any::<bool>(), any::<u32>(), option::of(need)).prop_map(
        |((texts, shapes), fixed_length, overhead_streams, context)| Wants {
            texts,
            shapes,
            fixed_length,
            overhead_streams,
            context,
        },
    );
    let way = (1..9_u32, any::<bool>());
    (run(), "[0-9a-f]{64}", option::of(text()), engine_warmup, timeouts(), wants, way).prop_map(
        |(run, suite_hash, model, engine_warmup, timeouts, wants, (attempt, check_only))| {
            Preparation {
                run,
                suite_hash,
                model,
                engine_warmup,
                timeouts,
                wants,
                attempt: AttemptNo(attempt),
                check_only,
            }
        },
    )
}

pub(crate) fn header() -> impl Strategy<Value = RunHeader> {
    let suite = (slug(), text(), vec(case(), 0..3), any::<Option<std::num::NonZeroU64>>());
    let suite = suite.prop_map(|(name, description, cases, weights)| Suite {
        name: SuiteName::new(name).expect("a slug"),
        description,
        cases,
        active_weights: weights.map(|bytes| Bytes(bytes.get())),
    });
    let expected = prop_oneof![
        any::<u32>().prop_map(ExpectedHosts::Count),
        vec(host(), 0..4).prop_map(ExpectedHosts::Named),
    ];
    let flags = (any::<bool>(), any::<bool>());
    let assumed = proptest::sample::subsequence(ClassFact::ALL.to_vec(), 0..3);
    let margins = proptest::sample::select(vec!["", "3%", "ttft=7.25%", "2%,e2e=0.5%"]);
    let margins = margins.prop_map(|text| text.parse().unwrap_or_default());
    let start = proptest::sample::select(StartMode::ALL.to_vec());
    let how = (flags, assumed, margins, start);
    (run(), suite, any::<u64>(), unix(), expected, how, text(), text()).prop_map(
        |(
            run,
            suite,
            seed,
            created,
            expected,
            (flags, assume_equal, margins, start),
            version,
            command,
        )| {
            let (insecure, keep_text) = flags;
            RunHeader {
                run,
                suite,
                seed,
                created,
                start,
                stagger: (start == StartMode::Staggered).then_some(Duration::from_millis(1)),
                expected,
                coordinator_version: version,
                insecure,
                keep_text,
                command,
                assume_equal,
                tariff: keep_text.then_some(0.31),
                margins,
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
        option::of(host_facts().boxed()),
        gpu_facts_reading().boxed(),
        engine().boxed(),
        vec(clock, 0..3),
        option::of(text()),
        any::<bool>(),
        checks(),
    )
        .prop_map(|(host, facts, gpus, engine, clocks, refused, simulated, checks)| {
            HostRecord { host, facts, gpus, engine, clocks, refused, simulated, checks }
        })
}

/// Some of the checks.
pub(crate) fn checks() -> impl Strategy<Value = Vec<CheckOutcome>> {
    let mark = || {
        prop_oneof![Just(Mark::Ok), Just(Mark::Unknown), Just(Mark::Warning), Just(Mark::Failed)]
    };
    proptest::sample::subsequence(Check::ALL.to_vec(), 0..Check::ALL.len()).prop_flat_map(
        move |checks| {
            let outcome = |check| {
                (mark(), text()).prop_map(move |(mark, text)| CheckOutcome { check, mark, text })
            };
            checks.into_iter().map(outcome).collect::<Vec<_>>()
        },
    )
}
