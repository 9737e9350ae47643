//! The C functions: pointers and lengths are checked here, answers come from the script.

#![expect(
    unsafe_code,
    reason = "a C library's functions are found by name and write through pointers"
)]

use std::ffi::{CStr, c_char, c_int, c_uint};

use regatta_sim::gpu_script::{Call, NvmlCode};

use crate::abi::{
    Code, Device, FieldValue, MEMORY_V2, MemoryV2, POWER_AVERAGE, POWER_INSTANT, PciInfo, Return,
    SCOPE_GPU, UNSIGNED_INT, Utilization,
};
use crate::state;

type Outcome = Result<(), Code>;

fn code(outcome: Outcome) -> Return {
    outcome.map_or_else(|code| code.0, |()| 0)
}

fn scripted(code: NvmlCode) -> Code {
    Code(code.0)
}

/// Stores `value` unless the pointer is null.
///
/// # Safety
/// `target` is null or valid for writing a `T`.
unsafe fn store<T>(target: *mut T, value: T) -> Outcome {
    if target.is_null() {
        return Err(Code::INVALID_ARGUMENT);
    }
    // SAFETY: not null, and valid by this function's own contract.
    unsafe { target.write(value) };
    Ok(())
}

/// Stores a NUL-terminated string, or says that the buffer is too small.
///
/// # Safety
/// `buffer` is null or valid for writing `length` bytes.
unsafe fn store_text(buffer: *mut c_char, length: c_uint, text: &str) -> Outcome {
    if buffer.is_null() {
        return Err(Code::INVALID_ARGUMENT);
    }
    if text.len() >= length as usize {
        return Err(Code::INSUFFICIENT_SIZE);
    }
    // SAFETY: text and its NUL fit in `length` bytes, and a str cannot overlap the caller's buffer.
    unsafe {
        buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
        buffer.add(text.len()).write(0);
    }
    Ok(())
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> Return {
    code(state::init())
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> Return {
    code(state::init())
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> Return {
    code(state::shutdown())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(buffer: *mut c_char, length: c_uint) -> Return {
    // SAFETY: the caller names its buffer's length.
    code(state::driver().and_then(|d| unsafe { store_text(buffer, length, &d.script.driver) }))
}

/// As the real one: the CUDA major version before the driver's.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetNVMLVersion(buffer: *mut c_char, length: c_uint) -> Return {
    code(state::driver().and_then(|d| {
        let version = format!("{}.{}", d.script.cuda.major, d.script.driver);
        // SAFETY: the caller names its buffer's length.
        unsafe { store_text(buffer, length, &version) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_uint) -> Return {
    code(state::driver().and_then(|d| {
        let cuda = d.script.cuda;
        // SAFETY: null or the caller's int; the value is at most 99,990.
        unsafe { store(version, cuda.major * 1000 + cuda.minor * 10) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> Return {
    code(state::driver().and_then(|d| {
        let gpus = u32::try_from(d.script.gpus.len()).map_err(|_| Code::UNKNOWN)?;
        // SAFETY: null or the caller's unsigned int.
        unsafe { store(count, gpus) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut Device) -> Return {
    // SAFETY: null or the caller's handle.
    code(state::driver().and_then(|d| unsafe { store(device, d.handle(index as usize)?) }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut Device) -> Return {
    if uuid.is_null() {
        return code(Err(Code::INVALID_ARGUMENT));
    }
    // SAFETY: not null; C strings end with NUL.
    let wanted = unsafe { CStr::from_ptr(uuid) };
    code(state::driver().and_then(|d| {
        let index = d.script.gpus.iter().position(|g| g.uuid.as_bytes() == wanted.to_bytes());
        let handle = d.handle(index.ok_or(Code::NOT_FOUND)?)?;
        // SAFETY: null or the caller's handle.
        unsafe { store(device, handle) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetIndex(device: Device, index: *mut c_uint) -> Return {
    code(state::driver().and_then(|d| {
        let (position, _) = d.gpu(device)?;
        // SAFETY: null or the caller's unsigned int.
        unsafe { store(index, u32::try_from(position).map_err(|_| Code::UNKNOWN)?) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetName(
    device: Device,
    buffer: *mut c_char,
    length: c_uint,
) -> Return {
    code(state::driver().and_then(|d| {
        let (_, gpu) = d.gpu(device)?;
        d.check(gpu, Call::Name)?;
        // SAFETY: the caller names its buffer's length.
        unsafe { store_text(buffer, length, &gpu.name) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUUID(
    device: Device,
    buffer: *mut c_char,
    length: c_uint,
) -> Return {
    // SAFETY: the caller names its buffer's length.
    code(
        state::driver().and_then(|d| unsafe { store_text(buffer, length, &d.gpu(device)?.1.uuid) }),
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(device: Device, pci: *mut PciInfo) -> Return {
    code(state::driver().and_then(|d| {
        let (_, gpu) = d.gpu(device)?;
        d.check(gpu, Call::Pci)?;
        let [domain, bus, slot] = numbers(&gpu.pci_bus_id).ok_or(Code::UNKNOWN)?;
        let mut info = PciInfo {
            bus_id_legacy: [0; 16],
            domain,
            bus,
            device: slot,
            // NVIDIA's vendor id; the script does not say which device.
            pci_device_id: 0x10de,
            pci_subsystem_id: 0,
            bus_id: [0; 32],
        };
        let legacy = format!("{domain:04x}:{bus:02x}:{slot:02x}.0");
        // SAFETY: both arrays are our own and say their length.
        unsafe {
            store_text(info.bus_id_legacy.as_mut_ptr(), 16, &legacy)?;
            store_text(info.bus_id.as_mut_ptr(), 32, &gpu.pci_bus_id)?;
        }
        // SAFETY: null or the caller's struct.
        unsafe { store(pci, info) }
    }))
}

/// Domain, bus and device of `00000000:01:00.0`.
fn numbers(bus_id: &str) -> Option<[u32; 3]> {
    let mut parts = bus_id.split([':', '.']).map(|part| u32::from_str_radix(part, 16).ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Device, memory: *mut MemoryV2) -> Return {
    if memory.is_null() {
        return code(Err(Code::INVALID_ARGUMENT));
    }
    // SAFETY: not null; the caller has set the version.
    if unsafe { (&raw const (*memory).version).read() } != MEMORY_V2 {
        return code(Err(Code::VERSION_MISMATCH));
    }
    code(state::driver().and_then(|d| {
        let (_, gpu) = d.gpu(device)?;
        let used = d.readings(gpu).memory_used.map_err(scripted)?.0;
        let (total, reserved) = (gpu.memory_total.0, gpu.memory_reserved.0);
        let free = total - reserved - used;
        // SAFETY: of version 2 by the check above, so of this size.
        unsafe { store(memory, MemoryV2 { version: MEMORY_V2, total, reserved, free, used }) }
    }))
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
unsafe extern "C" fn nvmlDeviceGetPowerUsage(device: Device, power: *mut c_uint) -> Return {
    code(state::driver().and_then(|d| {
        // As on boards since Ampere.
        let watts = d.readings(d.gpu(device)?.1).power_mean_w.map_err(scripted)?;
        // SAFETY: null or the caller's unsigned int.
        unsafe { store(power, milliwatts(watts)) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetEnforcedPowerLimit(device: Device, limit: *mut c_uint) -> Return {
    code(state::driver().and_then(|d| {
        let (_, gpu) = d.gpu(device)?;
        d.check(gpu, Call::PowerLimit)?;
        // SAFETY: null or the caller's unsigned int.
        unsafe { store(limit, milliwatts(gpu.power_limit_w)) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPowerManagementLimit(
    device: Device,
    limit: *mut c_uint,
) -> Return {
    // SAFETY: the same contract.
    unsafe { nvmlDeviceGetEnforcedPowerLimit(device, limit) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPowerManagementDefaultLimit(
    device: Device,
    limit: *mut c_uint,
) -> Return {
    code(state::driver().and_then(|d| {
        let (_, gpu) = d.gpu(device)?;
        d.check(gpu, Call::PowerLimit)?;
        // SAFETY: null or the caller's unsigned int.
        unsafe { store(limit, milliwatts(gpu.power_limit_default_w)) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTemperature(
    device: Device,
    sensor: c_uint,
    temperature: *mut c_uint,
) -> Return {
    code(state::driver().and_then(|d| {
        // The one sensor of the API is the GPU's, 0.
        if sensor != 0 {
            return Err(Code::INVALID_ARGUMENT);
        }
        let degrees = d.readings(d.gpu(device)?.1).temperature_c.map_err(scripted)?;
        // SAFETY: null or the caller's unsigned int.
        unsafe { store(temperature, degrees) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: Device,
    rates: *mut Utilization,
) -> Return {
    code(state::driver().and_then(|d| {
        let gpu = d.readings(d.gpu(device)?.1).utilization_pct.map_err(scripted)?;
        // SAFETY: null or the caller's struct.
        unsafe { store(rates, Utilization { gpu, memory: gpu }) }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Device,
    count: *mut c_uint,
    _infos: *mut c_char,
) -> Return {
    // SAFETY: null or the caller's unsigned int. There are never any processes to write.
    code(state::driver().and_then(|d| d.gpu(device).and_then(|_| unsafe { store(count, 0) })))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: Device,
    count: *mut c_uint,
    infos: *mut c_char,
) -> Return {
    // SAFETY: the same contract.
    unsafe { nvmlDeviceGetComputeRunningProcesses_v3(device, count, infos) }
}

/// The call succeeds, and each field says for itself whether it is supported: the two powers are.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: Device,
    count: c_int,
    values: *mut FieldValue,
) -> Return {
    code(state::driver().and_then(|d| {
        let readings = d.readings(d.gpu(device)?.1);
        let count = usize::try_from(count).map_err(|_| Code::INVALID_ARGUMENT)?;
        if values.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        for i in 0..count {
            // SAFETY: not null, and the caller has filled an array of `count` items.
            let value = unsafe { &mut *values.add(i) };
            let watts = match (value.field, value.scope) {
                (POWER_AVERAGE, SCOPE_GPU) => readings.power_mean_w.map_err(scripted),
                (POWER_INSTANT, SCOPE_GPU) => readings.power_w.map_err(scripted),
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
