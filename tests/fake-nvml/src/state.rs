//! The loaded script and its clock, between `nvmlInit` and `nvmlShutdown`.

use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regatta_sim::gpu_script::{Call, GpuScript, NvmlCode, ScriptedGpu};
use regatta_types::time::MonoNs;

use crate::abi::{Code, Device};

/// The whole library's state: NVML is one per process and may be called from any thread.
static LOADED: Mutex<Loaded> = Mutex::new(Loaded { users: 0, driver: None });

struct Loaded {
    /// Calls of `nvmlInit` that no `nvmlShutdown` has answered.
    users: u32,
    driver: Option<Arc<Driver>>,
}

/// A script that runs.
pub(crate) struct Driver {
    pub(crate) script: GpuScript,
    origin: MonoNs,
}

/// `nvmlInit`: counted; the first one loads the script.
pub(crate) fn init() -> Result<(), Code> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if loaded.driver.is_none() {
        loaded.driver = Some(Arc::new(load().map_err(complain)?));
    }
    loaded.users += 1;
    Ok(())
}

/// `nvmlShutdown`: the last one forgets the script.
pub(crate) fn shutdown() -> Result<(), Code> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.users = loaded.users.checked_sub(1).ok_or(Code::UNINITIALIZED)?;
    if loaded.users == 0 {
        loaded.driver = None;
    }
    Ok(())
}

/// The driver, between init and shutdown.
pub(crate) fn driver() -> Result<Arc<Driver>, Code> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.driver.clone().ok_or(Code::UNINITIALIZED)
}

#[expect(clippy::print_stderr, reason = "a C library has no other way to say what is wrong")]
fn complain(problem: String) -> Code {
    eprintln!("fake NVML: {problem}");
    Code::UNKNOWN
}

fn load() -> Result<Driver, String> {
    let origin = match variable("REGATTA_FAKE_NVML_ORIGIN_MONO_NS") {
        None => MonoNs::now(),
        Some(text) => MonoNs(text.parse().map_err(|e| format!("origin {text:?}: {e}"))?),
    };
    let path = match variable("REGATTA_FAKE_NVML_SCRIPT") {
        Some(path) => PathBuf::from(path),
        None => beside_library().ok_or("cannot find its own file, and no script is named")?,
    };
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|e| named(&e))?;
    let script = GpuScript::parse(&text).map_err(|e| named(&e))?;
    Ok(Driver { script, origin })
}

#[expect(clippy::disallowed_methods, reason = "a C library has no command line")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The file that this code was loaded from, with `.toml` added.
#[expect(unsafe_code, reason = "only the dynamic linker knows where a library came from")]
fn beside_library() -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    let here = beside_library as *const libc::c_void;
    // SAFETY: dladdr accepts any address and fills `info` when it returns non-zero.
    let found = unsafe { libc::dladdr(here, info.as_mut_ptr()) };
    // SAFETY: an all-zero Dl_info is valid: integers and pointers only.
    let info = unsafe { info.assume_init() };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dli_fname is the linker's NUL-terminated path and lives as long as the library.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    let mut path = OsStr::from_bytes(name.to_bytes()).to_owned();
    path.push(".toml");
    Some(path.into())
}

impl Driver {
    /// The GPU of a handle.
    pub(crate) fn gpu(&self, device: Device) -> Result<(usize, &ScriptedGpu), Code> {
        let index = device.addr().checked_sub(1).ok_or(Code::INVALID_ARGUMENT)?;
        let gpu = self.script.gpus.get(index).ok_or(Code::INVALID_ARGUMENT)?;
        Ok((index, gpu))
    }

    /// The handle of a GPU.
    pub(crate) fn handle(&self, index: usize) -> Result<Device, Code> {
        let gpu = self.script.gpus.get(index).ok_or(Code::INVALID_ARGUMENT)?;
        gpu.check_lost(self.elapsed()).map_err(|code| Code(code.0))?;
        Ok(std::ptr::without_provenance(index + 1))
    }

    /// Time on the script's clock; zero before its origin.
    pub(crate) fn elapsed(&self) -> Duration {
        MonoNs::now().since(self.origin)
    }

    /// The GPU of a handle for one call on it, once the call has taken as long as scripted.
    pub(crate) fn ask<T>(
        &self,
        device: Device,
        call: Call,
        answer: impl FnOnce(&ScriptedGpu, Duration) -> Result<T, NvmlCode>,
    ) -> Result<T, Code> {
        let (_, gpu) = self.gpu(device)?;
        let delay = gpu.delay(call, self.elapsed());
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let now = self.elapsed();
        let answer = gpu.check(call, now).and_then(|()| answer(gpu, now));
        answer.map_err(|code| Code(code.0))
    }
}
