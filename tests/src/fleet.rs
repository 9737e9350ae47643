//! A small fleet on loopback: simulated engines, agents and a coordinator as processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regatta_fake_nvml::{gpu, script};
use serde_json::Value;

use crate::free_port;
use crate::process::{Finished, Program, Running, Stream, regatta, regatta_agent};

/// Longest wait for a program to be up.
const START: Duration = Duration::from_secs(30);

/// A simulated engine with its request log.
#[derive(Debug)]
pub struct Sim {
    /// The process.
    pub process: Running,
    /// Its port on loopback.
    pub port: u16,
    log: PathBuf,
}

impl Sim {
    /// Starts one with these flags of `regatta sim`.
    #[must_use]
    pub fn start(flags: &[&str]) -> Self {
        let port = free_port();
        let program = regatta();
        let log = program.home().join("requests.log");
        let process = program
            .args(["sim", "--listen", &format!("127.0.0.1:{port}"), "--log"])
            .args([&log])
            .args(flags)
            .start();
        let _ = process.line_with(Stream::Err, "simulated host on", START);
        Self { process, port, log }
    }

    /// Its log, one value a request that has ended.
    ///
    /// # Panics
    /// When a line is no JSON.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        json_lines(whole)
    }
}

/// Starts a coordinator for `regatta run` with these flags; returns it and its address.
#[must_use]
pub fn coordinator(program: &Program, suite: &str, flags: &[&str]) -> (Running, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let process = program.clone().args(["run", suite, "--listen", &address]).args(flags).start();
    let _ = process.line_with(Stream::Err, "waiting for hosts", START);
    (process, address)
}

/// Starts an agent for one run.
#[must_use]
pub fn agent(name: &str, coordinator: &str, endpoint: u16, flags: &[&str]) -> Running {
    regatta_agent()
        .args(["--coordinator", coordinator, "--name", name, "--once"])
        .args(["--endpoint", &format!("127.0.0.1:{endpoint}")])
        .args(flags)
        .start()
}

/// A GPU of an agent's `--gpu-script`.
#[derive(Debug, Clone, Copy)]
pub struct ScriptedGpu<'a> {
    /// Version of its driver.
    pub driver: &'a str,
    /// Its power limit, watts; the board's own is 600.
    pub power_limit_w: u32,
    /// Its PCIe lanes, of the moment and at most.
    pub lanes: u32,
}

impl ScriptedGpu<'_> {
    /// Writes the script of the host of this name into `folder`.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let Self { driver, power_limit_w, lanes } = self;
        let own = format!(
            "uuid = \"GPU-{name}\"\npower_limit_w = {power_limit_w}\nmemory_used_mib = 512\n\
             power_w = 40\ntemperature_c = 40\nutilization_pct = 90\npcie_gen = 5\n\
             pcie_width = {lanes}\npcie_gen_max = 5\npcie_width_max = {lanes}"
        );
        let text = script(&[gpu(1, &own)]).replace("580.126.09", driver);
        let path = folder.join(format!("{name}.toml"));
        std::fs::write(&path, text).expect("a script");
        path
    }
}

/// A report on disk.
#[derive(Debug)]
pub struct Report {
    folder: PathBuf,
}

impl Report {
    /// The one report that a finished command wrote, as its last words say.
    ///
    /// # Panics
    /// When it says of none.
    #[must_use]
    pub fn of(finished: &Finished, home: &Path) -> Self {
        let said = finished.stderr.lines().rev().find_map(|line| line.split_once("report: "));
        let path = said.unwrap_or_else(|| panic!("no report:\n{}", finished.stderr)).1;
        Self::at(home.join(path.trim()).parent().expect("a file lies in a folder"))
    }

    /// The report in this folder.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// A file of it, as text.
    ///
    /// # Panics
    /// If it is missing.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// `run.json`.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    pub fn run(&self) -> Value {
        serde_json::from_str(&self.text("run.json")).expect("run.json is JSON")
    }

    /// `requests.jsonl`, one value a request.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        json_lines(&self.text("requests.jsonl"))
    }

    /// All its files, by relative path.
    ///
    /// # Panics
    /// When the folder can't be read.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&self.folder).expect("below it").to_owned();
                    files.insert(name, std::fs::read(&path).expect("a file"));
                }
            }
        }
        files
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// A field of a request as a number.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn number(request: &Value, field: &str) -> f64 {
    request[field].as_f64().unwrap_or_else(|| panic!("no number `{field}` in {request}"))
}

/// The middle of some numbers.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "no values");
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        (values[middle - 1] + values[middle]) / 2.0
    } else {
        values[middle]
    }
}
