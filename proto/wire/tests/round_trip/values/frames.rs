use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use regatta_wire::Versions;
use regatta_wire::frame::{
    Ack, Acked, AgentFrame, AgentPhase, Cancel, ClockPing, ClockPong, CoordinatorFrame, Counters,
    GpuReading, Heartbeat, Hello, LeaseDecision, LeaseFate, Ready, ReportChunk, ReportEnd, Resume,
    Welcome,
};
use regatta_wire::limits::CHUNK_MAX;

use super::{
    assignment, boot, checks, engine, finite, gpu_facts_reading, host, host_facts, instance, lease,
    mono, preparation, run, sample, text, unix,
};

fn hello() -> impl Strategy<Value = Hello> {
    let versions =
        (1_u32..1_000, 0_u32..1_000).prop_map(|(min, more)| Versions { min, max: min + more });
    let resume = (option::of(run()), vec(lease(), 0..3), vec(lease(), 0..3))
        .prop_map(|(run, held, unacknowledged)| Resume { run, held, unacknowledged });
    let seen = (host_facts().boxed(), gpu_facts_reading().boxed(), engine().boxed());
    (versions, host(), instance(), boot(), text(), seen, any::<bool>(), resume).prop_map(
        |(versions, host, instance, boot, version, (facts, gpus, engine), simulated, resume)| {
            Hello {
                versions,
                host,
                instance,
                boot,
                version,
                facts,
                gpus,
                engine,
                simulated,
                resume,
            }
        },
    )
}

fn heartbeat() -> impl Strategy<Value = Heartbeat> {
    let counters = (any::<u64>(), any::<u64>(), option::of(finite()))
        .prop_map(|(done, failed, tokens_per_second)| Counters { done, failed, tokens_per_second });
    let phase = proptest::sample::select(vec![
        AgentPhase::Idle,
        AgentPhase::EngineWarmup,
        AgentPhase::Waiting,
        AgentPhase::Measuring,
        AgentPhase::Uploading,
    ]);
    let gpus = vec((text(), sample()).prop_map(|(uuid, sample)| GpuReading { uuid, sample }), 0..3);
    (counters, phase, gpus).prop_map(|(counters, phase, gpus)| Heartbeat { counters, phase, gpus })
}

fn ready() -> impl Strategy<Value = Ready> {
    (
        run(),
        "[0-9a-f]{64}",
        engine().boxed(),
        gpu_facts_reading().boxed(),
        option::of(text()),
        checks(),
    )
        .prop_map(|(run, suite_hash, engine, gpus, refused, checks)| Ready {
            run,
            suite_hash,
            engine,
            gpus,
            refused,
            checks,
        })
}

pub(crate) fn agent_frame() -> impl Strategy<Value = AgentFrame> {
    let pong = (any::<u32>(), mono(), mono(), mono(), unix())
        .prop_map(|(id, t0, t1, t2, unix)| ClockPong { id, t0, t1, t2, unix });
    let chunk = (lease(), any::<u32>(), vec(any::<u8>(), 1..CHUNK_MAX / 64))
        .prop_map(|(lease, index, data)| ReportChunk { lease, index, data: data.into() });
    let end = (lease(), any::<u32>(), 0_u64..=256 << 20, any::<[u8; 32]>()).prop_map(
        |(lease, chunks, total_bytes, sha256)| ReportEnd { lease, chunks, total_bytes, sha256 },
    );
    prop_oneof![
        hello().boxed().prop_map(|h| AgentFrame::Hello(Box::new(h))),
        heartbeat().prop_map(AgentFrame::Heartbeat),
        ready().boxed().prop_map(|r| AgentFrame::Ready(Box::new(r))),
        pong.prop_map(AgentFrame::ClockPong),
        lease().prop_map(AgentFrame::AttemptStarted),
        chunk.prop_map(AgentFrame::ReportChunk),
        end.prop_map(AgentFrame::ReportEnd),
        text().prop_map(AgentFrame::Goodbye),
    ]
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let fate = prop_oneof![Just(LeaseFate::Keep), Just(LeaseFate::Abort)];
    let held = vec((lease(), fate).prop_map(|(lease, fate)| LeaseDecision { lease, fate }), 0..3);
    (1_u32.., text(), 1_u64..100_000, option::of(run()), held).prop_map(
        |(protocol, version, beat, run, held)| Welcome {
            protocol,
            version,
            heartbeat_interval: Duration::from_millis(beat),
            run,
            held,
        },
    )
}

pub(crate) fn coordinator_frame() -> impl Strategy<Value = CoordinatorFrame> {
    let ping = (any::<u32>(), mono()).prop_map(|(id, t0)| ClockPing { id, t0 });
    let cancel = (lease(), text()).prop_map(|(lease, reason)| Cancel { lease, reason });
    let what = prop_oneof![any::<u32>().prop_map(Acked::Chunk), Just(Acked::Stored)];
    let ack = (lease(), what).prop_map(|(lease, what)| Ack { lease, what });
    prop_oneof![
        welcome().prop_map(CoordinatorFrame::Welcome),
        ping.prop_map(CoordinatorFrame::ClockPing),
        preparation().prop_map(CoordinatorFrame::Prepare),
        run().prop_map(CoordinatorFrame::Go),
        assignment().prop_map(|a| CoordinatorFrame::Assign(Box::new(a))),
        cancel.prop_map(CoordinatorFrame::Cancel),
        ack.prop_map(CoordinatorFrame::Ack),
        text().prop_map(CoordinatorFrame::Drain),
    ]
}
