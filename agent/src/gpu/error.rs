//! Why a reading is missing, in the few words that a report has room for.

use nvml_wrapper::error::NvmlError;
use thiserror::Error;

/// A failed NVML call, or NVML that cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum GpuError {
    /// There is no such file on the search path.
    #[error("NVML library not found")]
    LibraryNotFound,
    /// The file is there and is not a usable library.
    #[error("NVML library cannot be loaded: {0}")]
    LibraryUnusable(String),
    /// The kernel module is missing, or its device nodes are.
    #[error("NVIDIA driver is not loaded")]
    DriverNotLoaded,
    /// Library and kernel module are of two versions.
    #[error("NVIDIA driver was updated without a reboot")]
    VersionMismatch,
    /// Not allowed to this user or cgroup.
    #[error("no permission")]
    NoPermission,
    /// The driver is older than the call.
    #[error("symbol missing: {0}")]
    SymbolMissing(String),
    /// Not on this GPU.
    #[error("not supported")]
    NotSupported,
    /// It fell off the bus; only a reboot brings it back.
    #[error("GPU lost")]
    Lost,
    /// A code that the wrapper has no name for.
    #[error("unexpected NVML code {0}")]
    Unexpected(u32),
    /// Any other, in NVML's words.
    #[error("{0}")]
    Other(String),
}

impl GpuError {
    /// Whether asking again cannot help.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::LibraryNotFound
            | Self::LibraryUnusable(_)
            | Self::VersionMismatch
            | Self::SymbolMissing(_)
            | Self::NotSupported
            | Self::Lost => true,
            Self::DriverNotLoaded | Self::NoPermission | Self::Unexpected(_) | Self::Other(_) => {
                false
            }
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum of 35 codes: those without a sentence of ours keep the wrapper's"
)]
impl From<NvmlError> for GpuError {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::LibraryNotFound => Self::LibraryNotFound,
            NvmlError::LibloadingError(error) => loading(&error.to_string()),
            NvmlError::DriverNotLoaded => Self::DriverNotLoaded,
            NvmlError::LibRmVersionMismatch => Self::VersionMismatch,
            NvmlError::NoPermission => Self::NoPermission,
            NvmlError::FailedToLoadSymbol(text) => Self::SymbolMissing(symbol(&text).to_owned()),
            NvmlError::NotSupported => Self::NotSupported,
            NvmlError::GpuLost => Self::Lost,
            NvmlError::UnexpectedVariant(code) => Self::Unexpected(code),
            NvmlError::Unknown => Self::Other("unknown NVML error".into()),
            other => Self::Other(other.to_string()),
        }
    }
}

/// The dynamic linker has text only.
fn loading(text: &str) -> GpuError {
    if text.contains("No such file") {
        return GpuError::LibraryNotFound;
    }
    GpuError::LibraryUnusable(regatta_types::clean::excerpt(text, 120))
}

/// The name at the end of `...: undefined symbol: nvmlInit_v2`.
fn symbol(text: &str) -> &str {
    let name = text.rsplit("undefined symbol: ").next().unwrap_or(text);
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(error: NvmlError) -> String {
        GpuError::from(error).to_string()
    }

    #[test]
    fn codes_become_short_reasons() {
        assert_eq!(reason(NvmlError::DriverNotLoaded), "NVIDIA driver is not loaded");
        assert_eq!(reason(NvmlError::NoPermission), "no permission");
        assert_eq!(reason(NvmlError::NotSupported), "not supported");
        assert_eq!(reason(NvmlError::GpuLost), "GPU lost");
        assert_eq!(reason(NvmlError::UnexpectedVariant(28)), "unexpected NVML code 28");
        assert_eq!(reason(NvmlError::Timeout), "the provided timeout was reached");
        let text = "\"/x.so: undefined symbol: nvmlDeviceGetMemoryInfo_v2\"";
        assert_eq!(
            reason(NvmlError::FailedToLoadSymbol(text.into())),
            "symbol missing: nvmlDeviceGetMemoryInfo_v2"
        );
    }
}
