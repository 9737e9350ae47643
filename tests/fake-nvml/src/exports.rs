//! The C functions: pointers and lengths are checked here, answers come from the script.
//!
//! Here are those of the system and of identity; `readings` has the rest.

#![expect(
    unsafe_code,
    reason = "a C library's functions are found by name and write through pointers"
)]

mod readings;

use std::ffi::{CStr, c_char, c_uint};

use regatta_sim::gpu_script::Call;

use crate::abi::{Code, Device, PciInfo, Return};
use crate::state;

type Outcome = Result<(), Code>;

fn code(outcome: Outcome) -> Return {
    outcome.map_or_else(|code| code.0, |()| 0)
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
        let name = d.ask(device, Call::Name, |gpu, _| Ok(gpu.name.clone()))?;
        // SAFETY: the caller names its buffer's length.
        unsafe { store_text(buffer, length, &name) }
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
        let bus_id = d.ask(device, Call::Pci, |gpu, _| Ok(gpu.pci_bus_id.clone()))?;
        let [domain, bus, slot] = numbers(&bus_id).ok_or(Code::UNKNOWN)?;
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
            store_text(info.bus_id.as_mut_ptr(), 32, &bus_id)?;
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
