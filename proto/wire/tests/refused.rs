//! What a peer must not say is refused with the name of the field.

use prost::Message;
use regatta_wire::frame::{AgentFrame, CoordinatorFrame};
use regatta_wire::limits::{CASE_TEXT_MAX, CHUNK_MAX, HELD_MAX};
use regatta_wire::v1;
use regatta_wire::v1::agent_frame::Frame as Up;
use regatta_wire::v1::coordinator_frame::Frame as Down;

fn up(frame: Up) -> String {
    AgentFrame::try_from(v1::AgentFrame { frame: Some(frame) }).expect_err("a refusal").to_string()
}

fn down(frame: Down) -> String {
    CoordinatorFrame::try_from(v1::CoordinatorFrame { frame: Some(frame) })
        .expect_err("a refusal")
        .to_string()
}

fn lease() -> v1::Lease {
    let cell = v1::CellKey { host: "gpu-01".into(), case_id: "chat".into(), repetition: 1 };
    let key = v1::AttemptKey { run: "night".into(), cell: Some(cell), attempt: 1 };
    v1::Lease { key: Some(key), epoch: 1 }
}

fn welcome(held: Vec<v1::Lease>) -> v1::Welcome {
    let keep = |lease| v1::LeaseDecision { lease: Some(lease), fate: v1::LeaseFate::Keep.into() };
    v1::Welcome {
        protocol: 1,
        heartbeat_interval_ms: 1,
        held: held.into_iter().map(keep).collect(),
        ..v1::Welcome::default()
    }
}

fn heartbeat() -> v1::Heartbeat {
    v1::Heartbeat {
        counters: Some(v1::Counters::default()),
        phase: v1::AgentPhase::Idle.into(),
        gpus: Vec::new(),
    }
}

fn assignment() -> v1::CaseAssignment {
    v1::CaseAssignment {
        lease: Some(lease()),
        case_spec: Some(v1::Case {
            id: "chat".into(),
            max_tokens: 10,
            stop: Some(v1::StopRule { requests: Some(1), duration_ns: None }),
            repetitions: 1,
            concurrency: 1,
            timeouts: Some(v1::Timeouts::default()),
            ..v1::Case::default()
        }),
        start_ns: 1,
        keep_text: false,
        seed: 0,
    }
}

fn assign(change: impl FnOnce(&mut v1::CaseAssignment)) -> v1::CoordinatorFrame {
    let mut assignment = assignment();
    change(&mut assignment);
    let work = v1::assign::Work::CaseAssignment(assignment);
    v1::CoordinatorFrame { frame: Some(Down::Assign(v1::Assign { work: Some(work) })) }
}

fn assign_error(change: impl FnOnce(&mut v1::Case)) -> String {
    let frame = assign(|a| change(a.case_spec.as_mut().expect("a case")));
    CoordinatorFrame::try_from(frame).expect_err("a refusal").to_string()
}

#[test]
fn valid_samples_are_accepted() {
    let frame = v1::AgentFrame { frame: Some(Up::Heartbeat(heartbeat())) };
    assert!(AgentFrame::try_from(frame).is_ok());
    assert!(CoordinatorFrame::try_from(assign(|_| ())).is_ok());
}

#[test]
fn a_frame_of_an_unknown_type_is_missing() {
    // Field 99, as a later version might send it.
    let frame = v1::AgentFrame::decode(&[0x9a, 0x06, 0x00][..]).unwrap();
    assert_eq!(
        AgentFrame::try_from(frame).unwrap_err().to_string(),
        "frame: missing, or of a type unknown to this version"
    );
}

#[test]
fn errors_of_missing_fields_and_bad_ids_contain_the_path() {
    assert_eq!(
        up(Up::AttemptStarted(v1::AttemptStarted { lease: None })),
        "attempt_started.lease: missing, or of a type unknown to this version"
    );
    let mut foreign = lease();
    foreign.key.as_mut().unwrap().cell.as_mut().unwrap().host = "../etc".into();
    assert_eq!(
        down(Down::Welcome(welcome(vec![foreign]))),
        "welcome.held[0].lease.key.cell.host: `../etc` is not a valid host name: use 1 to 63 of a-z, \
         0-9, `.`, `_`, `-`, starting with a letter or digit"
    );
}

fn ready(checks: Vec<v1::CheckOutcome>) -> Up {
    let missing = |what: &str| what.to_owned();
    Up::Ready(v1::Ready {
        run: "night".into(),
        engine: Some(v1::EngineReading {
            reading: Some(v1::engine_reading::Reading::NotAvailable(missing("none"))),
        }),
        gpus: Some(v1::GpuInventoryReading {
            reading: Some(v1::gpu_inventory_reading::Reading::NotAvailable(missing("none"))),
        }),
        checks,
        ..v1::Ready::default()
    })
}

#[test]
fn checks_must_be_known_and_unique() {
    let disk = v1::CheckOutcome {
        check: v1::Check::Disk.into(),
        mark: v1::CheckMark::Ok.into(),
        text: "room".into(),
    };
    let twice = up(ready(vec![disk.clone(), disk.clone()]));
    assert_eq!(twice, "ready.checks: must be each check at most once");
    let unknown = v1::CheckOutcome { check: 4_711, ..disk.clone() };
    assert!(up(ready(vec![unknown])).starts_with("ready.checks[0].check: "));
    let unmarked = v1::CheckOutcome { mark: 0, ..disk };
    assert!(up(ready(vec![unmarked])).starts_with("ready.checks[0].mark: "));
}

#[test]
fn a_context_requirement_is_a_range_or_absent() {
    let prepare = |least, most| {
        down(Down::Prepare(v1::Prepare {
            run: "night".into(),
            engine_warmup: Some(v1::prepare::EngineWarmup::Requests(0)),
            timeouts: Some(v1::Timeouts::default()),
            attempt: 1,
            context_least: least,
            context_most: most,
            ..v1::Prepare::default()
        }))
    };
    assert!(prepare(9, 8).starts_with("prepare.context_most: "), "{}", prepare(9, 8));
    assert!(prepare(0, 8).starts_with("prepare.context_least: "), "{}", prepare(0, 8));
}

#[test]
fn unspecified_and_unknown_enum_values_are_refused() {
    for phase in [0, 77] {
        let beat = v1::Heartbeat { phase, ..heartbeat() };
        assert_eq!(
            up(Up::Heartbeat(beat)),
            format!("heartbeat.phase: unspecified or unknown value {phase}")
        );
    }
}

#[test]
fn non_finite_numbers_are_refused() {
    let counters = v1::Counters { tokens_per_second: Some(f64::NAN), ..v1::Counters::default() };
    let beat = v1::Heartbeat { counters: Some(counters), ..heartbeat() };
    assert_eq!(
        up(Up::Heartbeat(beat)),
        "heartbeat.counters.tokens_per_second: not a finite number"
    );
    let prefix = "assign.case_assignment.case_spec";
    assert_eq!(
        assign_error(|c| c.temperature = f64::INFINITY),
        format!("{prefix}.temperature: must be 0 to 2")
    );
    assert_eq!(
        assign_error(|c| c.concurrency = 5_000),
        format!("{prefix}.concurrency: must be 1 to 4,096")
    );
    assert_eq!(
        assign_error(|c| c.max_tokens = 0),
        format!("{prefix}.max_tokens: must be at least 1")
    );
    assert_eq!(
        assign_error(|c| c.stop = Some(v1::StopRule::default())),
        format!("{prefix}.stop.requests: missing, or of a type unknown to this version")
    );
}

#[test]
fn an_assignment_must_match_the_case_of_its_lease() {
    assert_eq!(
        assign_error(|c| c.id = "other".into()),
        "assign.case_assignment.case_spec.id: must be the case of the lease"
    );
}

#[test]
fn oversized_fields_are_refused() {
    assert_eq!(
        down(Down::Welcome(welcome(vec![lease(); HELD_MAX + 1]))),
        "welcome.held: 65 items exceed the maximum of 64"
    );
    assert_eq!(
        down(Down::Drain(v1::Drain { reason: "x".repeat(5_000) })),
        "drain.reason: 5000 bytes exceed the maximum of 4096"
    );
    let message =
        v1::Message { role: v1::Role::User.into(), content: "x".repeat(CASE_TEXT_MAX + 1) };
    assert_eq!(
        assign_error(|c| c.messages = vec![message]),
        "assign.case_assignment.case_spec.messages: 786433 bytes exceed the maximum of 786432"
    );
    for len in [0, CHUNK_MAX + 1] {
        let data = vec![0; len].into();
        assert_eq!(
            up(Up::ReportChunk(v1::ReportChunk { lease: Some(lease()), index: 0, data })),
            "report_chunk.data: must be 1 byte to 64 KiB long"
        );
    }
}

#[test]
fn columns_of_different_length_and_decreasing_timestamps_are_refused() {
    use regatta_wire::codec::decode_report;

    let report = |chunks| {
        let trace = v1::RequestTrace {
            phase: v1::Phase::Measured.into(),
            chunks: Some(chunks),
            status: v1::RequestStatus::Ok.into(),
            answer: Some(v1::Answer::default()),
            ..v1::RequestTrace::default()
        };
        let report = v1::AttemptReport {
            lease: Some(lease()),
            instance: "00000000-0000-0000-0000-000000000000".into(),
            status: v1::AttemptStatus::Completed.into(),
            anchor: Some(v1::ClockAnchor::default()),
            traces: vec![trace],
            ..v1::AttemptReport::default()
        };
        let error = decode_report(&report.encode_to_vec()).unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    };
    let kind = v1::ChunkKind::Answer.into();
    let chunks = v1::Chunks { delta_ns: vec![1, 2], kind: vec![kind], ..v1::Chunks::default() };
    assert_eq!(report(chunks), "traces[0].chunks.kind: 1 items, expected 2");
    let chunks = v1::Chunks {
        delta_ns: vec![5, u64::MAX],
        kind: vec![kind; 2],
        chars: vec![1, 1],
        tokens_plus_one: Vec::new(),
        late_us_plus_one: Vec::new(),
    };
    assert_eq!(report(chunks), "traces[0].chunks.delta_ns: must be in order of time");
}

#[test]
fn a_report_of_many_empty_messages_is_refused_before_allocation() {
    // Two bytes each: decoded they would take a hundred times as much.
    let report = [0x52, 0x00].repeat(250_001);
    let error = regatta_wire::codec::decode_report(&report).unwrap_err();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "traces: 250001 items exceed the maximum of 250000"
    );
}

#[test]
fn long_display_texts_are_truncated_by_the_sender() {
    let frame = AgentFrame::Goodbye("ä".repeat(5_000));
    let back = AgentFrame::try_from(v1::AgentFrame::from(frame)).unwrap();
    assert_eq!(back, AgentFrame::Goodbye("ä".repeat(2_048)));
}
