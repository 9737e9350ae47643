//! Bytes written by earlier versions are read for ever. The fixtures are hexadecimal text; a new
//! version of the contract adds a folder and keeps the old ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use prost::Message as _;
use regatta_types::assignment::{Assignment, Lease};
use regatta_types::attempt::{AttemptOutcome, AttemptReport, Started};
use regatta_types::engine::EngineWatch;
use regatta_types::facts::{
    EndpointLocation, EngineFacts, EngineProcess, EngineSettings, HostFacts,
};
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::gpu::{GpuFacts, GpuInventory, GpuSample, GpuSeries, GpuWindow};
use regatta_types::ids::{
    AttemptKey, AttemptNo, BootId, CaseId, CellKey, Epoch, HostId, InstanceId, Repetition, RunId,
};
use regatta_types::reading::Reading;
use regatta_types::record::{ExpectedHosts, HostRecord, RunHeader};
use regatta_types::suite::{Case, Load, Message, Prompt, Ramp, Role, StopRule, Suite};
use regatta_types::testing;
use regatta_types::time::{ClockAnchor, ClockOffset, MonoNs, UnixNs};
use regatta_types::trace::{
    Answer, Chunk, ChunkKind, Connection, FinishReason, Outcome, Phase, RequestTrace, SendStamp,
    ServerTimings, Usage,
};
use regatta_types::units::Bytes;
use regatta_types::validity::{Finding, FindingCode, Validity};
use regatta_wire::codec::{
    decode_header, decode_host, decode_report, decode_started, encode_header, encode_host,
    encode_report, encode_started, seal, unseal,
};
use regatta_wire::frame::{AgentFrame, CoordinatorFrame, Hello, Resume};
use regatta_wire::{Versions, v1};

fn lease() -> Lease {
    let cell = CellKey {
        host: HostId::new("gpu-01").expect("a slug"),
        case: CaseId::new("chat.c16").expect("a slug"),
        repetition: Repetition(2),
    };
    let run = RunId::new("2026-11-24-quick-7f3a").expect("a slug");
    Lease { key: AttemptKey { run, cell, attempt: AttemptNo(1) }, epoch: Epoch(3) }
}

fn instance() -> InstanceId {
    "6f2d6d3c-3f0e-4d8a-9f6b-0d6f0c1d2e3f".parse().expect("a UUID")
}

fn started() -> Started {
    Started {
        lease: lease(),
        instance: instance(),
        boot: BootId("0b5c1f5e-9a57-4a54-9f0e-1f2a3b4c5d6e".into()),
        anchor: ClockAnchor {
            mono: MonoNs(86_400_000_000_000),
            unix: UnixNs(1_795_000_000_000_000_000),
        },
        planned_start: Some(MonoNs(86_401_000_000_000)),
    }
}

fn traces() -> Vec<RequestTrace> {
    let start = 86_401_000_000_000;
    let chunk = |ms: u64, kind, tokens| Chunk {
        at: MonoNs(start + ms * 1_000_000),
        late_us: None,
        kind,
        chars: 4,
        tokens,
    };
    let mut ok = RequestTrace::new(0, 0, Phase::Measured);
    ok.connection = Some(Connection::New);
    ok.connect = Some(Duration::from_micros(120));
    ok.sent = Some(SendStamp { before: MonoNs(start), after: MonoNs(start + 9_000) });
    ok.header = Some(MonoNs(start + 150_000_000));
    ok.first_byte = Some(MonoNs(start + 200_000_000));
    ok.chunks = vec![
        chunk(200, ChunkKind::Reasoning, Some(1)),
        chunk(220, ChunkKind::Answer, None),
        chunk(220, ChunkKind::Answer, Some(0)),
    ];
    ok.events = 6;
    ok.done = Some(MonoNs(start + 221_000_000));
    ok.outcome = Outcome::Ok;
    ok.http_status = Some(200);
    ok.finish_reason = Some(FinishReason::Length);
    ok.usage = Some(Usage { prompt: 24, completion: 3, cached: Some(0), reasoning: None });
    ok.server_timings = Some(ServerTimings { prompt_ms: 190.5, predicted_ms: 20.25 });
    ok.answer = Answer { sha256: "ab".repeat(32), chars: 12, text: Some("Hällo, Welt!".into()) };
    let mut failed = RequestTrace::new(1, 1, Phase::Warmup);
    failed.connection = Some(Connection::Reused);
    failed.scheduled = Some(MonoNs(start));
    failed.outcome =
        Outcome::Failed(Failure::new(FailureKind::HttpStatus, "overloaded").with_status(503));
    vec![ok, failed]
}

fn report() -> AttemptReport {
    let sample = |ms: u64| GpuSample {
        at: MonoNs(86_401_000_000_000 + ms * 1_000_000),
        memory_used: Some(Bytes(61_203 << 20)),
        power_w: Some(451.5),
        temperature_c: Some(63),
        ..GpuSample::default()
    };
    let started = started();
    AttemptReport {
        key: started.lease.key,
        epoch: started.lease.epoch,
        instance: started.instance,
        boot: started.boot,
        outcome: AttemptOutcome::Failed("the endpoint went away".into()),
        anchor: started.anchor,
        planned_start: started.planned_start,
        began: MonoNs(86_401_000_000_200),
        finished: MonoNs(86_401_221_000_000),
        traces: traces(),
        gpu: GpuWindow::of(
            Reading::Known(vec![GpuSeries {
                uuid: "GPU-5c9b1f0e".into(),
                baseline: Some(sample(0)),
                samples: vec![sample(100), sample(200)],
                unavailable: BTreeMap::from([("utilization".into(), "not supported".into())]),
                ..GpuSeries::default()
            }]),
            100,
        ),
        findings: vec![Finding {
            code: FindingCode::ClientStall,
            validity: Validity::Invalid,
            evidence: "12 ms".into(),
            advice: "leave a core to the agent".into(),
        }],
        engine: EngineWatch::default(),
        client_cpu: None,
    }
}

fn case() -> Case {
    Case {
        title: "Chat, 16 streams".into(),
        prompt: Prompt::Messages(vec![
            Message { role: Role::System, content: "Be brief.".into() },
            Message { role: Role::User, content: "Why is the sky blue?".into() },
        ]),
        max_tokens: 200,
        min_max_tokens: 200,
        temperature: 0.7,
        seed: Some(-1),
        stop: StopRule { requests: Some(32), duration: Some(Duration::from_secs(60)) },
        repetitions: 5,
        warmup: 1,
        load: Load::Closed { streams: 16, ramp: Ramp::None },
        ..testing::case("chat.c16")
    }
}

fn header() -> RunHeader {
    RunHeader {
        run: lease().key.run,
        suite: Suite { description: "A quick look.".into(), ..testing::suite(vec![case()]) },
        seed: 7,
        created: UnixNs(1_795_000_000_000_000_000),
        expected: ExpectedHosts::Named(vec![lease().key.cell.host]),
        insecure: true,
        keep_text: true,
        command: "regatta run quick --hosts gpu-01".into(),
        ..testing::header(Vec::new())
    }
}

fn host() -> HostRecord {
    HostRecord {
        host: lease().key.cell.host,
        facts: Some(HostFacts {
            kernel: Reading::Known("6.12.0".into()),
            distribution: Reading::missing("no os-release"),
            cpu_model: Reading::Known("AMD Ryzen Threadripper PRO 9985WX".into()),
            cpus: Reading::Known(128),
            memory_total: Reading::Known(Bytes(256 << 30)),
            ..testing::facts("gpu-01")
        }),
        gpus: Reading::Known(GpuInventory {
            driver: Reading::Known("580.126.09".into()),
            cuda_driver: Reading::Known("13.0".into()),
            gpus: vec![GpuFacts {
                index: 0,
                uuid: "GPU-5c9b1f0e".into(),
                name: Reading::Known("NVIDIA RTX PRO 6000 Blackwell Workstation Edition".into()),
                pci_bus_id: Reading::Known("00000000:01:00.0".into()),
                memory_total: Reading::Known(Bytes(97_887 << 20)),
                power_limit_w: Reading::Known(600.0),
                power_limit_default_w: Reading::missing("not supported"),
                board: None,
            }],
        }),
        engine: Reading::Known(EngineFacts {
            engine: Reading::Known("vllm".into()),
            version: Reading::Known("0.12.0".into()),
            model: "a-model".into(),
            context_length: Reading::Known(131_072),
            quantization: Reading::missing("the engine does not tell"),
            fixed_length: None,
            location: EndpointLocation::Loopback { port: 8_000 },
            socket: None,
            settings: EngineSettings::default(),
            process: EngineProcess::default(),
        }),
        clocks: vec![ClockOffset {
            offset_ns: -123_456,
            bound_ns: 40_000,
            wall_offset_ns: 1_000,
            pings: 16,
            at: MonoNs(5),
        }],
        refused: Some("no engine answers on the usual ports".into()),
        simulated: false,
        checks: Vec::new(),
    }
}

fn hello() -> AgentFrame {
    let host = host();
    AgentFrame::Hello(Box::new(Hello {
        versions: Versions { min: 1, max: 1 },
        host: host.host,
        instance: instance(),
        boot: started().boot,
        version: "0.1.0".into(),
        facts: host.facts.expect("facts"),
        gpus: host.gpus,
        engine: host.engine,
        simulated: true,
        resume: Resume {
            run: Some(lease().key.run),
            held: vec![lease()],
            unacknowledged: vec![lease()],
        },
    }))
}

fn assign() -> CoordinatorFrame {
    let Lease { key, epoch } = lease();
    let start = MonoNs(86_401_000_000_000);
    let assignment = Assignment { key, epoch, case: case(), start, keep_text: true, seed: 0 };
    CoordinatorFrame::Assign(Box::new(assignment))
}

/// Reads a fixture. A missing one is written, and the test fails once.
fn fixture(name: &str, written: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1").join(name);
    if !path.exists() {
        let lines: Vec<String> = written
            .chunks(40)
            .map(|line| line.iter().map(|b| format!("{b:02x}")).collect())
            .collect();
        std::fs::write(&path, lines.join("\n") + "\n").expect("a fixture is written");
        panic!("{} was missing and is written now: look at it and run again", path.display());
    }
    let text = std::fs::read_to_string(&path).expect("the fixture is there");
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("hexadecimal")
        })
        .collect()
}

#[test]
fn version_1_is_read_and_written_as_ever() {
    let bytes = fixture("report.hex", &encode_report(&report()));
    assert_eq!(decode_report(&bytes).unwrap(), report());
    assert_eq!(encode_report(&report()), bytes);

    let bytes = fixture("header.hex", &encode_header(&header()));
    assert_eq!(decode_header(&bytes).unwrap(), header());
    assert_eq!(encode_header(&header()), bytes);

    let bytes = fixture("host.hex", &encode_host(&host()));
    assert_eq!(decode_host(&bytes).unwrap(), host());
    assert_eq!(encode_host(&host()), bytes);

    let marker = seal(encode_started(&started()).into());
    let bytes = fixture("started.hex", &marker);
    assert_eq!(decode_started(&unseal(bytes.clone().into()).unwrap()).unwrap(), started());
    assert_eq!(marker, bytes);

    let frame = v1::AgentFrame::from(hello()).encode_to_vec();
    let bytes = fixture("hello.hex", &frame);
    let read = v1::AgentFrame::decode(&*bytes).unwrap();
    assert_eq!(AgentFrame::try_from(read).unwrap(), hello());
    assert_eq!(frame, bytes);

    let frame = v1::CoordinatorFrame::from(assign()).encode_to_vec();
    let bytes = fixture("assign.hex", &frame);
    let read = v1::CoordinatorFrame::decode(&*bytes).unwrap();
    assert_eq!(CoordinatorFrame::try_from(read).unwrap(), assign());
    assert_eq!(frame, bytes);
}

#[test]
fn a_chunk_takes_six_bytes() {
    let mut report = report();
    let before = encode_report(&report).len();
    let first = report.traces[0].chunks[0].at.0;
    report.traces[0].chunks = (0..10_000)
        .map(|i| Chunk {
            // 20 ms apart, give or take a millisecond.
            at: MonoNs(first + i * 20_000_000 + i * 7_919 % 1_000_000),
            late_us: None,
            kind: ChunkKind::Answer,
            chars: 5,
            tokens: None,
        })
        .collect();
    let each = (encode_report(&report).len() - before) as f64 / 10_000.0;
    assert!(each < 6.5, "{each} bytes a chunk");
}
