//! The agent binaries that are copied to the hosts, one per architecture.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use elf::ElfBytes;
use elf::abi::{EM_AARCH64, EM_X86_64, VER_FLG_WEAK};
use elf::endian::AnyEndian;
use elf::gnu_symver::VerNeedIterator;
use regatta_wire::slices::sha256;

/// Number of hash digits in the name of a copied binary.
const NAME_DIGITS: usize = 16;

/// The value of `--agent-binary ARCH=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryFlag {
    arch: String,
    path: PathBuf,
}

impl FromStr for BinaryFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((arch, path)) if !arch.is_empty() && !path.is_empty() => {
                Ok(Self { arch: arch.to_owned(), path: path.into() })
            }
            Some(_) | None => Err("expected ARCH=PATH, e.g. aarch64=regatta-agent".to_owned()),
        }
    }
}

/// A glibc version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glibc {
    major: u32,
    minor: u32,
}

impl Glibc {
    /// Parses `2.36`, ignoring further components.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| part.parse().ok());
        Some(Self { major: numbers.next()??, minor: numbers.next()?? })
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// An agent binary.
#[derive(Debug, Clone)]
pub(super) struct Binary {
    /// As printed by `uname -m`.
    pub(super) arch: String,
    pub(super) content: Bytes,
    /// SHA-256 in hex.
    pub(super) hash: String,
    /// Minimum glibc version; `None`: not stated.
    pub(super) glibc: Option<Glibc>,
    /// It is `regatta` itself, which runs the agent as a subcommand.
    pub(super) subcommand: bool,
}

impl Binary {
    /// Its file name in the cache of a host.
    pub(super) fn name(&self) -> String {
        format!("agent-{}", self.hash.get(..NAME_DIGITS).unwrap_or(&self.hash))
    }

    fn read(path: &Path, subcommand: bool) -> Result<Self, String> {
        let content = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let wrong =
            |e: &dyn fmt::Display| format!("{} is not a Linux executable: {e}", path.display());
        let program = ElfBytes::<AnyEndian>::minimal_parse(&content).map_err(|e| wrong(&e))?;
        let arch = match program.ehdr.e_machine {
            EM_X86_64 => "x86_64".to_owned(),
            EM_AARCH64 => "aarch64".to_owned(),
            other => format!("machine {other}"),
        };
        let glibc = needed_glibc(&program).map_err(|e| wrong(&e))?;
        let hash = sha256(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { arch, content: content.into(), hash, glibc, subcommand })
    }
}

/// The newest glibc version among the required symbols of a program.
fn needed_glibc(program: &ElfBytes<'_, AnyEndian>) -> Result<Option<Glibc>, elf::ParseError> {
    let Some(section) = program.section_header_by_name(".gnu.version_r")? else { return Ok(None) };
    let (Some(headers), Ok(link)) = (program.section_headers(), usize::try_from(section.sh_link))
    else {
        return Ok(None);
    };
    let names = program.section_data_as_strtab(&headers.get(link)?)?;
    let (data, _) = program.section_data(&section)?;
    let count = section.sh_info.into();
    let mut newest = None;
    for (_, versions) in
        VerNeedIterator::new(program.ehdr.endianness, program.ehdr.class, count, 0, data)
    {
        for version in versions.filter(|version| version.vna_flags & VER_FLG_WEAK == 0) {
            let name = names.get(usize::try_from(version.vna_name).unwrap_or(usize::MAX))?;
            newest = newest.max(name.strip_prefix("GLIBC_").and_then(Glibc::parse));
        }
    }
    Ok(newest)
}

/// The available binaries: those of the flags and, for the architecture of this machine unless a
/// flag sets it, the `regatta-agent` next to this program, else this program.
///
/// # Errors
/// All binaries that cannot be read or do not match the architecture of their flag.
pub(super) fn find(flags: &[BinaryFlag]) -> Result<Vec<Binary>, Vec<String>> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for BinaryFlag { arch, path } in flags {
        match Binary::read(path, false) {
            Ok(binary) if binary.arch == *arch => found.push(binary),
            Ok(binary) => problems.push(format!(
                "--agent-binary {arch}={}: the executable is for {}",
                path.display(),
                binary.arch
            )),
            Err(problem) => problems.push(format!("--agent-binary {problem}")),
        }
    }
    if !found.iter().any(|binary| binary.arch == std::env::consts::ARCH) {
        match own() {
            Ok(binary) => found.push(binary),
            Err(problem) => problems.push(format!(
                "no agent binary for the hosts: {problem}. Set --agent-binary {}=PATH",
                std::env::consts::ARCH
            )),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn own() -> Result<Binary, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let beside = this.with_file_name("regatta-agent");
    if beside.exists() { Binary::read(&beside, false) } else { Binary::read(&this, true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architecture_and_glibc_are_read_from_a_binary() {
        let this = std::env::current_exe().unwrap();
        let binary = Binary::read(&this, true).unwrap();
        assert_eq!(binary.arch, std::env::consts::ARCH);
        let glibc = binary.glibc.expect("tests are linked with glibc");
        assert!(glibc > Glibc { major: 2, minor: 0 } && glibc.major == 2, "{glibc}");
        assert_eq!((binary.hash.len(), binary.name().len()), (64, 22));
    }

    #[test]
    fn invalid_binaries_and_other_architectures_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("agent");
        std::fs::write(&text, "#!/bin/sh\n").unwrap();
        let flag =
            |arch: &str, path: &Path| BinaryFlag { arch: arch.to_owned(), path: path.into() };
        let this = std::env::current_exe().unwrap();
        let flags = [flag("x86_64", &text), flag("mips", &this), flag("sparc", Path::new("/no"))];
        let problems = find(&flags).unwrap_err();
        assert!(problems[0].contains("is not a Linux executable"), "{problems:?}");
        assert!(problems[1].contains("the executable is for"), "{problems:?}");
        assert!(problems[2].contains("/no: No such file"), "{problems:?}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(Glibc::parse("2.9") < Glibc::parse("2.36"));
        assert_eq!(Glibc::parse("2.36.1").unwrap().to_string(), "2.36");
        assert_eq!(Glibc::parse("musl"), None);
    }
}
