//! GPU telemetry of invented attempts.

use std::time::Duration;

use crate::gpu::{
    Attribution, CallCost, ClockReasons, EnergyReading, GpuBoard, GpuProcess, GpuSample, GpuSeries,
    GpuWindow, ProcessMemory, ProcessOwner,
};
use crate::reading::Reading;
use crate::time::MonoNs;
use crate::units::Bytes;

use super::run::{TestHost, gpu_uuid};

/// What a host's one GPU is beside its name.
pub(super) fn board() -> GpuBoard {
    GpuBoard {
        unified: false,
        memory_reserved: Reading::Known(Bytes(637 << 20)),
        persistence: Reading::Known(true),
        compute_mode: Reading::Known("default".to_owned()),
        ecc: Reading::missing("not supported by this board"),
        pcie_gen_max: Reading::Known(5),
        pcie_width_max: Reading::Known(16),
        memory_bus_bits: Reading::Known(512),
        memory_clock_max_mhz: Reading::Known(14_001),
    }
}

/// The window of an attempt on a host's one GPU.
pub(super) fn gpu_window(host: &TestHost, began: MonoNs, finished: MonoNs) -> GpuWindow {
    let at = |i: u32| began.after(Duration::from_millis(u64::from(i) * 100));
    let sample = |i: u32| GpuSample {
        at: at(i),
        memory_used: Some(Bytes((88_412 + u64::from(i)) << 20)),
        power_w: Some(312.5 + f64::from(i)),
        temperature_c: Some(61 + i / 8),
        utilization_pct: Some(97),
        clock_sm_mhz: Some(2_600 - i),
        clock_memory_mhz: Some(14_001),
        reasons: Some(ClockReasons(if i < 5 { 0 } else { 4 })),
        performance_state: Some(1),
        pcie_gen: Some(5),
        pcie_width: Some(16),
        ecc_corrected: Some(3),
        ecc_uncorrected: Some(0),
        power_violation_ns: Some(u64::from(i) * 75_000_000),
        thermal_violation_ns: Some(0),
        ..GpuSample::default()
    };
    let baseline = GpuSample { memory_used: Some(Bytes(88_400 << 20)), ..sample(0) };
    let quiet = GpuSample { power_w: Some(60.0), ..baseline };
    let seconds = finished.since(began).as_secs();
    let engine = GpuProcess {
        pid: 4_242,
        name: "VLLM::EngineCore".to_owned(),
        owner: ProcessOwner::Engine,
        memory: vec![ProcessMemory { at: began, used: Some(Bytes(87_900 << 20)) }],
        last_seen: finished,
    };
    let series = GpuSeries {
        uuid: gpu_uuid(&host.name),
        serves: true,
        baseline: Some(baseline),
        samples: (0..20).map(sample).collect(),
        quiet: vec![quiet; 10],
        energy: vec![
            EnergyReading { at: began, millijoules: 5_000 },
            EnergyReading { at: finished, millijoules: 5_000 + seconds * 320_000 },
        ],
        processes: vec![engine],
        costs: [("memory".to_owned(), CallCost { calls: 20, total_ns: 240_000, max_ns: 31_000 })]
            .into(),
        ..GpuSeries::default()
    };
    let attribution = Some(Attribution::PortOwner);
    GpuWindow { attribution, ..GpuWindow::of(Reading::Known(vec![series]), 100) }
}
