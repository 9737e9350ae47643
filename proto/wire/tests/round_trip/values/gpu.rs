//! GPU facts and telemetry.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use regatta_types::gpu::{
    Attribution, CallCost, ClockReasons, EnergyReading, GpuBoard, GpuFacts, GpuInventory,
    GpuProcess, GpuSample, GpuSeries, GpuWindow, ProcessMemory, ProcessOwner, TelemetryEnd,
    TelemetryGap,
};
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

use super::facts::reading;
use super::{finite, mono, text};

fn bytes() -> impl Strategy<Value = Bytes> {
    any::<u64>().prop_map(Bytes)
}

fn board() -> impl Strategy<Value = GpuBoard> {
    let count = || reading(any::<u32>());
    (
        (any::<bool>(), reading(bytes()), reading(any::<bool>())),
        (reading(text()), reading(any::<bool>())),
        (count(), count(), count(), count()),
    )
        .prop_map(|((unified, memory_reserved, persistence), (compute_mode, ecc), counts)| {
            GpuBoard {
                unified,
                memory_reserved,
                persistence,
                compute_mode,
                ecc,
                pcie_gen_max: counts.0,
                pcie_width_max: counts.1,
                memory_bus_bits: counts.2,
                memory_clock_max_mhz: counts.3,
            }
        })
}

pub(crate) fn gpu_facts_reading() -> impl Strategy<Value = Reading<GpuInventory>> {
    let gpu = (
        (any::<u32>(), text(), reading(text()), reading(text())),
        (reading(bytes()), reading(finite()), reading(finite())),
        option::of(board()),
    )
        .prop_map(
            |((index, uuid, name, pci_bus_id), (memory_total, limit, default), board)| GpuFacts {
                index,
                uuid,
                name,
                pci_bus_id,
                memory_total,
                power_limit_w: limit,
                power_limit_default_w: default,
                board,
            },
        );
    let inventory = (reading(text()), reading(text()), vec(gpu, 0..3))
        .prop_map(|(driver, cuda_driver, gpus)| GpuInventory { driver, cuda_driver, gpus });
    reading(inventory)
}

pub(crate) fn sample() -> impl Strategy<Value = GpuSample> {
    let count = || option::of(any::<u32>());
    let long = || option::of(any::<u64>());
    (
        (mono(), option::of(bytes()), option::of(finite()), option::of(finite())),
        (count(), count(), count(), count(), count(), count(), count()),
        (long(), long(), long(), long(), long(), option::of(bytes())),
    )
        .prop_map(|((at, memory_used, power_w, power_usage_w), counts, longs)| GpuSample {
            at,
            memory_used,
            power_w,
            power_usage_w,
            temperature_c: counts.0,
            utilization_pct: counts.1,
            clock_sm_mhz: counts.2,
            clock_memory_mhz: counts.3,
            performance_state: counts.4,
            pcie_gen: counts.5,
            pcie_width: counts.6,
            reasons: longs.0.map(ClockReasons),
            ecc_corrected: longs.1,
            ecc_uncorrected: longs.2,
            power_violation_ns: longs.3,
            thermal_violation_ns: longs.4,
            host_memory_available: longs.5,
        })
}

fn process() -> impl Strategy<Value = GpuProcess> {
    let owners = vec![ProcessOwner::Engine, ProcessOwner::Foreign, ProcessOwner::Unknown];
    let memory = (mono(), option::of(bytes())).prop_map(|(at, used)| ProcessMemory { at, used });
    (any::<u32>(), text(), proptest::sample::select(owners), vec(memory, 0..3), mono()).prop_map(
        |(pid, name, owner, memory, last_seen)| GpuProcess { pid, name, owner, memory, last_seen },
    )
}

fn series() -> impl Strategy<Value = GpuSeries> {
    let energy =
        (mono(), any::<u64>()).prop_map(|(at, millijoules)| EnergyReading { at, millijoules });
    let cost = (any::<u64>(), any::<u64>(), any::<u64>())
        .prop_map(|(calls, total_ns, max_ns)| CallCost { calls, total_ns, max_ns });
    let ended = (mono(), text()).prop_map(|(at, reason)| TelemetryEnd { at, reason });
    (
        (text(), any::<bool>(), option::of(sample()), vec(sample(), 0..4), vec(sample(), 0..2)),
        (vec(energy, 0..3), vec(process(), 0..3), btree_map(text(), cost, 0..3)),
        (option::of(ended), btree_map(text(), text(), 0..3)),
    )
        .prop_map(
            |(
                (uuid, serves, baseline, samples, quiet),
                (energy, processes, costs),
                (ended, unavailable),
            )| {
                GpuSeries {
                    uuid,
                    serves,
                    baseline,
                    samples,
                    quiet,
                    energy,
                    processes,
                    costs,
                    ended,
                    unavailable,
                }
            },
        )
}

fn attribution() -> impl Strategy<Value = Attribution> {
    prop_oneof![
        Just(Attribution::Named),
        Just(Attribution::PortOwner),
        Just(Attribution::OnlyProcess),
        text().prop_map(|reason| Attribution::Unattributed { reason }),
    ]
}

pub(crate) fn gpu_window() -> impl Strategy<Value = GpuWindow> {
    let gap = (mono(), mono(), text()).prop_map(|(from, until, reason)| TelemetryGap {
        from,
        until,
        reason,
    });
    (
        reading(vec(series(), 0..3)),
        any::<u32>(),
        option::of(attribution()),
        vec(gap, 0..3),
        any::<u64>(),
    )
        .prop_map(|(series, period_ms, attribution, gaps, rounds_left_out)| GpuWindow {
            series,
            period_ms,
            attribution,
            gaps,
            rounds_left_out,
        })
}
