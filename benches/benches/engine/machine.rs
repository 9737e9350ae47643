//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// CPU, cores, date, version; Markdown.
pub(crate) fn describe(regatta: &Path) -> anyhow::Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(": ")?.1.to_owned())
    };
    let model = field("model name").context("a CPU model")?;
    let number = |name| field(name).unwrap_or_default();
    let (family, kind) = (number("cpu family"), number("model"));
    let cores = std::thread::available_parallelism()?;
    let virtualized = if cpuinfo.contains(" hypervisor") { ", a virtual machine" } else { "" };
    let version = Command::new(regatta).arg("--version").output()?.stdout;
    let version = String::from_utf8_lossy(&version).lines().next().unwrap_or_default().to_owned();
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    Ok(format!(
        "{model} (family {family}, model {kind}), {cores} cores{virtualized}; Linux; {date}; \
         {version}\n"
    ))
}
