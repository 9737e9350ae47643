use proptest::collection::vec;
use proptest::prelude::*;
use regatta_types::facts::{
    EndpointLocation, EngineFacts, EngineProcess, EngineSettings, HostDetails, HostFacts, SocketId,
};
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

use super::{text, unix};

pub(crate) fn reading<T: std::fmt::Debug>(
    known: impl Strategy<Value = T>,
) -> impl Strategy<Value = Reading<T>> {
    prop_oneof![known.prop_map(Reading::Known), text().prop_map(Reading::missing)]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    any::<u64>().prop_map(Bytes)
}

pub(crate) fn host_facts() -> impl Strategy<Value = HostFacts> {
    (
        text(),
        reading(text()),
        reading(text()),
        reading(text()),
        reading(any::<u32>()),
        reading(bytes()),
        text(),
        details(),
    )
        .prop_map(
            |(
                hostname,
                kernel,
                distribution,
                cpu_model,
                cpus,
                memory_total,
                agent_version,
                details,
            )| {
                HostFacts {
                    hostname,
                    kernel,
                    distribution,
                    cpu_model,
                    cpus,
                    memory_total,
                    agent_version,
                    details,
                }
            },
        )
}

fn details() -> impl Strategy<Value = HostDetails> {
    let place = (reading(text()), reading(any::<u32>()), reading(text()), reading(any::<u32>()));
    let time = (reading(text()), reading(text()), reading(any::<bool>()), reading(bytes()));
    let told = (place, time).prop_map(|(place, time)| HostDetails {
        machine_id: place.0,
        cores: place.1,
        governor: place.2,
        numa_nodes: place.3,
        container: time.0,
        clock_source: time.1,
        clock_synchronised: time.2,
        disk_free: time.3,
    });
    prop_oneof![told, Just(HostDetails::default())]
}

fn settings() -> impl Strategy<Value = EngineSettings> {
    let flags = reading(vec(text(), 0..4));
    let slots = reading(any::<u32>());
    let told = (reading(text()), reading(any::<bool>()), reading(text()), flags, slots);
    let told = told.prop_map(|(kv_dtype, prefix_cache, speculative, flags, slots)| {
        EngineSettings { kv_dtype, prefix_cache, speculative, flags, slots }
    });
    prop_oneof![told, Just(EngineSettings::default())]
}

fn process() -> impl Strategy<Value = EngineProcess> {
    let known = (proptest::option::of(unix()), proptest::option::of(bytes()));
    known.prop_map(|(started, resident)| EngineProcess { started, resident })
}

pub(crate) fn engine() -> impl Strategy<Value = Reading<EngineFacts>> {
    let location = prop_oneof![
        any::<u16>().prop_map(|port| EndpointLocation::Loopback { port }),
        Just(EndpointLocation::Remote),
    ];
    let facts = (
        reading(text()),
        reading(text()),
        text(),
        reading(any::<u32>()),
        reading(text()),
        proptest::option::of(any::<bool>()),
        (location, proptest::option::of(any::<u64>().prop_map(SocketId))),
        settings(),
        process(),
    )
        .prop_map(
            |(
                engine,
                version,
                model,
                context_length,
                quantization,
                fixed_length,
                (location, socket),
                settings,
                process,
            )| {
                EngineFacts {
                    engine,
                    version,
                    model,
                    context_length,
                    quantization,
                    fixed_length,
                    location,
                    socket,
                    settings,
                    process,
                }
            },
        );
    reading(facts)
}
