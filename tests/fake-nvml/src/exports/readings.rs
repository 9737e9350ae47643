//! The C functions that read something of a GPU.

use std::ffi::{c_int, c_uint};
use std::time::Duration;

use regatta_sim::gpu_script::{Call, GpuReadings, NvmlCode, ScriptedGpu};

use super::{Outcome, code, store};
use crate::abi::{
    Code, Device, FieldValue, MEMORY_V2, MemoryV2, POWER_AVERAGE, POWER_INSTANT, ProcessInfo,
    Return, SCOPE_GPU, UNSIGNED_INT, Utilization, ViolationTime,
};
use crate::state;

/// Asks the script and stores what it answers.
///
/// # Safety
/// `target` is null or valid for writing a `T`.
unsafe fn answer<T>(
    device: Device,
    call: Call,
    target: *mut T,
    read: impl FnOnce(&ScriptedGpu, Duration) -> Result<T, NvmlCode>,
) -> Return {
    // SAFETY: this function's own contract.
    code(state::driver().and_then(|d| unsafe { store(target, d.ask(device, call, read)?) }))
}

/// A function that stores one number of the readings.
macro_rules! reading {
    ($name:ident, $type:ty, $call:expr, $read:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(device: Device, value: *mut $type) -> Return {
            let read: fn(GpuReadings) -> Result<$type, NvmlCode> = $read;
            // SAFETY: null or the caller's number.
            unsafe { answer(device, $call, value, |gpu, now| read(gpu.at(now))) }
        }
    };
}

/// A function that stores one number that never changes.
macro_rules! constant {
    ($name:ident, $call:expr, $read:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(device: Device, value: *mut c_uint) -> Return {
            let read: fn(&ScriptedGpu) -> Option<c_uint> = $read;
            // SAFETY: null or the caller's unsigned int.
            unsafe {
                answer(device, $call, value, |gpu, _| read(gpu).ok_or(NvmlCode::NOT_SUPPORTED))
            }
        }
    };
}

// As on boards since Ampere.
reading!(nvmlDeviceGetPowerUsage, c_uint, Call::Power, |r| r.power_mean_w.map(milliwatts));
reading!(nvmlDeviceGetTotalEnergyConsumption, u64, Call::Energy, |r| r.energy_mj);
reading!(nvmlDeviceGetCurrentClocksThrottleReasons, u64, Call::Reasons, |r| r
    .reasons
    .map(u64::from));
reading!(nvmlDeviceGetPerformanceState, c_uint, Call::PerformanceState, |r| r.performance_state);
reading!(nvmlDeviceGetCurrPcieLinkGeneration, c_uint, Call::Pcie, |r| r.pcie_gen);
reading!(nvmlDeviceGetCurrPcieLinkWidth, c_uint, Call::Pcie, |r| r.pcie_width);
reading!(nvmlDeviceGetUtilizationRates, Utilization, Call::Utilization, |r| {
    r.utilization_pct.map(|gpu| Utilization { gpu, memory: gpu })
});

constant!(nvmlDeviceGetEnforcedPowerLimit, Call::PowerLimit, |g| Some(milliwatts(g.power_limit_w)));
constant!(nvmlDeviceGetPowerManagementLimit, Call::PowerLimit, |g| Some(milliwatts(
    g.power_limit_w
)));
constant!(nvmlDeviceGetPowerManagementDefaultLimit, Call::PowerLimit, |g| Some(milliwatts(
    g.power_limit_default_w
)));
constant!(nvmlDeviceGetMaxPcieLinkGeneration, Call::Pcie, |g| g.board.pcie_gen_max);
constant!(nvmlDeviceGetMaxPcieLinkWidth, Call::Pcie, |g| g.board.pcie_width_max);
constant!(nvmlDeviceGetMemoryBusWidth, Call::MemoryBus, |g| g.board.memory_bus_bits);
constant!(nvmlDeviceGetPersistenceMode, Call::Persistence, |g| g.board.persistence.map(u32::from));
constant!(nvmlDeviceGetComputeMode, Call::ComputeMode, |g| g.board.compute_mode);

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Device, memory: *mut MemoryV2) -> Return {
    if memory.is_null() {
        return code(Err(Code::INVALID_ARGUMENT));
    }
    // SAFETY: not null; the caller has set the version.
    if unsafe { (&raw const (*memory).version).read() } != MEMORY_V2 {
        return code(Err(Code::VERSION_MISMATCH));
    }
    // SAFETY: of version 2 by the check above, so of this size.
    unsafe {
        answer(device, Call::Memory, memory, |gpu, now| {
            let used = gpu.at(now).memory_used?.0;
            let (total, reserved) = (gpu.memory_total.0, gpu.memory_reserved.0);
            let free = total - reserved - used;
            Ok(MemoryV2 { version: MEMORY_V2, total, reserved, free, used })
        })
    }
}

/// Whole milliwatts of watts.
#[expect(
    clippy::cast_possible_truncation,
    reason = "watts are below 1e8 and positive, checked when the script is read; what u32 cannot hold saturates"
)]
fn milliwatts(watts: f64) -> c_uint {
    (watts * 1000.0).round() as c_uint
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTemperature(
    device: Device,
    sensor: c_uint,
    temperature: *mut c_uint,
) -> Return {
    // The one sensor of the API is the GPU's, 0.
    if sensor != 0 {
        return code(Err(Code::INVALID_ARGUMENT));
    }
    // SAFETY: null or the caller's unsigned int.
    unsafe { answer(device, Call::Temperature, temperature, |gpu, now| gpu.at(now).temperature_c) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetClockInfo(
    device: Device,
    kind: c_uint,
    clock: *mut c_uint,
) -> Return {
    // SAFETY: null or the caller's unsigned int.
    unsafe {
        answer(device, Call::Clock, clock, |gpu, now| match kind {
            // Graphics and SM.
            0 | 1 => gpu.at(now).clock_sm_mhz,
            2 => gpu.at(now).clock_memory_mhz,
            _ => Err(NvmlCode::NOT_SUPPORTED),
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMaxClockInfo(
    device: Device,
    kind: c_uint,
    clock: *mut c_uint,
) -> Return {
    // SAFETY: null or the caller's unsigned int.
    unsafe {
        answer(device, Call::Clock, clock, |gpu, _| {
            let memory = gpu.board.memory_clock_max_mhz.filter(|_| kind == 2);
            memory.ok_or(NvmlCode::NOT_SUPPORTED)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetEccMode(
    device: Device,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> Return {
    code(state::driver().and_then(|d| {
        let ecc = d.ask(device, Call::Ecc, |gpu, _| {
            gpu.board.ecc.map(c_uint::from).ok_or(NvmlCode::NOT_SUPPORTED)
        })?;
        // SAFETY: null or the caller's enums.
        unsafe { store(current, ecc).and_then(|()| store(pending, ecc)) }
    }))
}

/// Both counters, since the driver was loaded (0) and over the GPU's life (1), are the script's.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: Device,
    kind: c_uint,
    counter: c_uint,
    errors: *mut u64,
) -> Return {
    if kind > 1 || counter > 1 {
        return code(Err(Code::INVALID_ARGUMENT));
    }
    // SAFETY: null or the caller's number.
    unsafe {
        answer(device, Call::Ecc, errors, |gpu, now| {
            let now = gpu.at(now);
            let errors = if kind == 0 { now.ecc_corrected } else { now.ecc_uncorrected };
            errors.map(u64::from)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetViolationStatus(
    device: Device,
    policy: c_uint,
    time: *mut ViolationTime,
) -> Return {
    // SAFETY: null or the caller's struct.
    unsafe {
        answer(device, Call::Violation, time, |gpu, now| {
            let readings = gpu.at(now);
            let violation = match policy {
                0 => readings.power_violation?,
                1 => readings.thermal_violation?,
                _ => return Err(NvmlCode::NOT_SUPPORTED),
            };
            Ok(ViolationTime { reference_us: micros(now), violation_ns: micros(violation) * 1_000 })
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 1_000)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Device,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
) -> Return {
    // SAFETY: the caller's own count and array.
    code(unsafe { processes(device, count, infos, false) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: Device,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
) -> Return {
    // SAFETY: the caller's own count and array.
    code(unsafe { processes(device, count, infos, true) })
}

/// # Safety
/// `count` is null or valid, `infos` null or an array of `count` entries.
unsafe fn processes(
    device: Device,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
    graphics: bool,
) -> Outcome {
    let mut all = state::driver()?.ask(device, Call::Processes, ScriptedGpu::processes)?;
    all.retain(|process| process.graphics == graphics);
    if count.is_null() {
        return Err(Code::INVALID_ARGUMENT);
    }
    // SAFETY: not null; the caller has set it.
    let room = unsafe { count.read() } as usize;
    // SAFETY: not null.
    unsafe { store(count, u32::try_from(all.len()).map_err(|_| Code::UNKNOWN)?)? };
    if all.len() > room {
        return Err(Code::INSUFFICIENT_SIZE);
    }
    for (i, process) in all.iter().enumerate() {
        let info = ProcessInfo {
            pid: process.pid,
            used_memory: process.memory.0,
            gpu_instance: c_uint::MAX,
            compute_instance: c_uint::MAX,
        };
        // SAFETY: the array has `room` entries, which are enough.
        unsafe { store(infos.wrapping_add(i), info)? };
    }
    Ok(())
}

/// The call succeeds, and each field says for itself whether it is supported: the two powers are.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: Device,
    count: c_int,
    values: *mut FieldValue,
) -> Return {
    code(state::driver().and_then(|d| {
        d.gpu(device)?;
        let count = usize::try_from(count).map_err(|_| Code::INVALID_ARGUMENT)?;
        if values.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        for i in 0..count {
            // SAFETY: not null, and the caller has filled an array of `count` items.
            let value = unsafe { &mut *values.add(i) };
            let watts = match (value.field, value.scope) {
                (POWER_AVERAGE, SCOPE_GPU) => {
                    d.ask(device, Call::Power, |gpu, now| gpu.at(now).power_mean_w)
                }
                (POWER_INSTANT, SCOPE_GPU) => {
                    d.ask(device, Call::PowerInstant, |gpu, now| gpu.at(now).power_w)
                }
                _ => Err(Code::NOT_SUPPORTED),
            };
            value.result = code(watts.map(|watts| {
                value.value_type = UNSIGNED_INT;
                value.value = [milliwatts(watts), 0];
            }));
        }
        Ok(())
    }))
}
