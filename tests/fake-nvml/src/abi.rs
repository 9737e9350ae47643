//! NVML's C types and codes, written down independently of the wrapper under test.

use std::ffi::{c_char, c_uint, c_void};

/// `nvmlReturn_t`.
pub(crate) type Return = c_uint;
/// `nvmlDevice_t`: index plus one, never followed.
pub(crate) type Device = *const c_void;

/// A code other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) Return);

impl Code {
    pub(crate) const UNINITIALIZED: Self = Self(1);
    pub(crate) const INVALID_ARGUMENT: Self = Self(2);
    pub(crate) const NOT_SUPPORTED: Self = Self(3);
    pub(crate) const NOT_FOUND: Self = Self(6);
    pub(crate) const INSUFFICIENT_SIZE: Self = Self(7);
    pub(crate) const VERSION_MISMATCH: Self = Self(25);
    pub(crate) const UNKNOWN: Self = Self(999);
}

/// `NVML_STRUCT_VERSION(Memory, 2)`: 40 bytes, version 2.
pub(crate) const MEMORY_V2: c_uint = 0x0200_0028;

/// `nvmlMemory_v2_t`.
#[repr(C)]
pub(crate) struct MemoryV2 {
    pub(crate) version: c_uint,
    pub(crate) total: u64,
    pub(crate) reserved: u64,
    pub(crate) free: u64,
    pub(crate) used: u64,
}

/// `nvmlUtilization_t`.
#[repr(C)]
pub(crate) struct Utilization {
    pub(crate) gpu: c_uint,
    pub(crate) memory: c_uint,
}

/// `nvmlViolationTime_t`.
#[repr(C)]
pub(crate) struct ViolationTime {
    pub(crate) reference_us: u64,
    pub(crate) violation_ns: u64,
}

/// `nvmlProcessInfo_v2_t`, that of the `_v3` functions too.
#[repr(C)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: c_uint,
    pub(crate) used_memory: u64,
    pub(crate) gpu_instance: c_uint,
    pub(crate) compute_instance: c_uint,
}

/// `nvmlPciInfo_t`.
#[repr(C)]
pub(crate) struct PciInfo {
    pub(crate) bus_id_legacy: [c_char; 16],
    pub(crate) domain: c_uint,
    pub(crate) bus: c_uint,
    pub(crate) device: c_uint,
    pub(crate) pci_device_id: c_uint,
    pub(crate) pci_subsystem_id: c_uint,
    pub(crate) bus_id: [c_char; 32],
}

/// `nvmlFieldValue_t`.
#[repr(C)]
pub(crate) struct FieldValue {
    pub(crate) field: c_uint,
    pub(crate) scope: c_uint,
    pub(crate) timestamp: i64,
    pub(crate) latency_us: i64,
    pub(crate) value_type: c_uint,
    pub(crate) result: Return,
    /// A union of numbers up to 8 bytes; an `unsigned int` lies at its start.
    pub(crate) value: [c_uint; 2],
}

/// `NVML_FI_DEV_POWER_AVERAGE`.
pub(crate) const POWER_AVERAGE: c_uint = 185;
/// `NVML_FI_DEV_POWER_INSTANT`.
pub(crate) const POWER_INSTANT: c_uint = 186;
/// `NVML_POWER_SCOPE_GPU`.
pub(crate) const SCOPE_GPU: c_uint = 0;
/// `NVML_VALUE_TYPE_UNSIGNED_INT`.
pub(crate) const UNSIGNED_INT: c_uint = 1;

const _: () = assert!(size_of::<MemoryV2>() == 40 && size_of::<FieldValue>() == 40);
const _: () = assert!(size_of::<PciInfo>() == 68 && size_of::<ProcessInfo>() == 24);
