//! TOML in, a checked [`GpuScript`] out: every problem has its line.

use std::ops::Range;
use std::time::Duration;

use regatta_types::units::Bytes;
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use super::series::Series;
use super::{
    Block, Call, CudaVersion, Failure, GpuScript, MoreSeries, NvmlCode, ProcessOverTime,
    ScriptedBoard, ScriptedGpu,
};

/// Largest value of a series; far beyond any reading.
const LARGEST: f64 = 1e8;
/// Largest time in a script, seconds: ten years.
const LONGEST: f64 = 3.2e8;

/// The first problem of a script.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    driver: Spanned<String>,
    cuda: Spanned<String>,
    #[serde(default)]
    gpu: Vec<Spanned<RawGpu>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGpu {
    name: Spanned<String>,
    uuid: Spanned<String>,
    pci_bus_id: Spanned<String>,
    memory_total_mib: u32,
    memory_reserved_mib: u32,
    power_limit_w: Spanned<f64>,
    power_limit_default_w: Spanned<f64>,
    memory_used_mib: Spanned<RawSeries>,
    power_w: Spanned<RawSeries>,
    temperature_c: Spanned<RawSeries>,
    utilization_pct: Spanned<RawSeries>,
    persistence: Option<bool>,
    compute_mode: Option<u32>,
    ecc: Option<bool>,
    pcie_gen_max: Option<u32>,
    pcie_width_max: Option<u32>,
    memory_bus_bits: Option<u32>,
    memory_clock_max_mhz: Option<u32>,
    clock_sm_mhz: Option<Spanned<RawSeries>>,
    clock_memory_mhz: Option<Spanned<RawSeries>>,
    reasons: Option<Spanned<RawSeries>>,
    performance_state: Option<Spanned<RawSeries>>,
    pcie_gen: Option<Spanned<RawSeries>>,
    pcie_width: Option<Spanned<RawSeries>>,
    ecc_corrected: Option<Spanned<RawSeries>>,
    ecc_uncorrected: Option<Spanned<RawSeries>>,
    energy_start_j: Option<Spanned<f64>>,
    #[serde(default)]
    energy_resets_s: Vec<Spanned<f64>>,
    #[serde(default)]
    processes: Vec<Spanned<RawProcess>>,
    #[serde(default)]
    unsupported: Vec<Call>,
    #[serde(default)]
    fails: Vec<Spanned<RawFailure>>,
    #[serde(default)]
    blocks: Vec<Spanned<RawBlock>>,
    lost_from_s: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProcess {
    pid: u32,
    memory_mib: Spanned<RawSeries>,
    #[serde(default)]
    graphics: bool,
    #[serde(default)]
    from_s: f64,
    until_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBlock {
    call: Call,
    ms: u32,
    #[serde(default)]
    from_s: f64,
    until_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number or a list of [seconds, value] steps")]
enum RawSeries {
    Constant(f64),
    Steps(Vec<(f64, f64)>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFailure {
    call: Call,
    #[serde(default)]
    from_s: f64,
    code: u32,
}

/// A problem and where it is, in bytes.
type Problem = (Range<usize>, String);

impl GpuScript {
    /// Reads a script in the format of `docs/gpu-script.md`.
    ///
    /// # Errors
    /// The first problem: bad TOML, an unknown or missing key, a value outside its range.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let error = |(span, message): Problem| {
            let before = text.as_bytes().iter().take(span.start);
            ScriptError { line: 1 + before.filter(|&&b| b == b'\n').count(), message }
        };
        let raw: RawScript = toml::from_str(text)
            .map_err(|e| error((e.span().unwrap_or_default(), e.message().to_owned())))?;
        script(raw).map_err(error)
    }
}

fn script(raw: RawScript) -> Result<GpuScript, Problem> {
    let cuda = cuda(raw.cuda)?;
    let mut gpus: Vec<ScriptedGpu> = Vec::with_capacity(raw.gpu.len());
    for entry in raw.gpu {
        let span = entry.span();
        let gpu = gpu(entry)?;
        if gpus.iter().any(|other| other.uuid == gpu.uuid) {
            return Err((span, format!("duplicate GPU uuid {}", gpu.uuid)));
        }
        gpus.push(gpu);
    }
    Ok(GpuScript { driver: text(raw.driver, 79)?, cuda, gpus })
}

fn cuda(raw: Spanned<String>) -> Result<CudaVersion, Problem> {
    let part = |digits: &str| digits.parse().ok().filter(|n| *n <= 99);
    let version = raw
        .get_ref()
        .split_once('.')
        .and_then(|(major, minor)| Some(CudaVersion { major: part(major)?, minor: part(minor)? }));
    version.ok_or((raw.span(), "cuda must be a version, e.g. \"13.0\"".into()))
}

fn gpu(entry: Spanned<RawGpu>) -> Result<ScriptedGpu, Problem> {
    let span = entry.span();
    let raw = entry.into_inner();
    let used_span = raw.memory_used_mib.span();
    let memory_used_mib = series(raw.memory_used_mib)?;
    let (total, reserved) = (raw.memory_total_mib, raw.memory_reserved_mib);
    let Some(room) = total.checked_sub(reserved) else {
        return Err((span, "memory_reserved_mib exceeds memory_total_mib".into()));
    };
    if memory_used_mib.0.iter().any(|(_, used)| *used > f64::from(room)) {
        let message = format!("memory_used_mib exceeds the {room} MiB that are not reserved");
        return Err((used_span, message));
    }
    let mib = |n: u32| Bytes(u64::from(n) * Bytes::MIB);
    let board = ScriptedBoard {
        persistence: raw.persistence,
        compute_mode: raw.compute_mode,
        ecc: raw.ecc,
        pcie_gen_max: raw.pcie_gen_max,
        pcie_width_max: raw.pcie_width_max,
        memory_bus_bits: raw.memory_bus_bits,
        memory_clock_max_mhz: raw.memory_clock_max_mhz,
    };
    let more = |raw: Option<Spanned<RawSeries>>| raw.map(series).transpose();
    let more = MoreSeries {
        clock_sm_mhz: more(raw.clock_sm_mhz)?,
        clock_memory_mhz: more(raw.clock_memory_mhz)?,
        reasons: more(raw.reasons)?,
        performance_state: more(raw.performance_state)?,
        pcie_gen: more(raw.pcie_gen)?,
        pcie_width: more(raw.pcie_width)?,
        ecc_corrected: more(raw.ecc_corrected)?,
        ecc_uncorrected: more(raw.ecc_uncorrected)?,
    };
    Ok(ScriptedGpu {
        name: text(raw.name, 95)?,
        uuid: text(raw.uuid, 79)?,
        pci_bus_id: text(raw.pci_bus_id, 31)?,
        memory_total: mib(total),
        memory_reserved: mib(reserved),
        power_limit_w: number(raw.power_limit_w)?,
        power_limit_default_w: number(raw.power_limit_default_w)?,
        board,
        memory_used_mib,
        power_w: series(raw.power_w)?,
        temperature_c: series(raw.temperature_c)?,
        utilization_pct: series(raw.utilization_pct)?,
        more,
        energy_start_j: raw.energy_start_j.map_or(Ok(1_000.0), number)?,
        energy_resets: raw.energy_resets_s.into_iter().map(instant).collect::<Result<_, _>>()?,
        processes: raw.processes.into_iter().map(process).collect::<Result<_, _>>()?,
        unsupported: raw.unsupported,
        failures: raw.fails.into_iter().map(failure).collect::<Result<_, _>>()?,
        blocks: raw.blocks.into_iter().map(block).collect::<Result<_, _>>()?,
        lost_from: raw.lost_from_s.map(instant).transpose()?,
    })
}

/// A C string of at most `most` bytes.
fn text(raw: Spanned<String>, most: usize) -> Result<String, Problem> {
    let text = raw.get_ref();
    if text.is_empty() || text.len() > most || text.contains('\0') {
        return Err((raw.span(), format!("must be text of 1 to {most} bytes")));
    }
    Ok(raw.into_inner())
}

fn number(raw: Spanned<f64>) -> Result<f64, Problem> {
    let span = raw.span();
    in_range(raw.into_inner(), LARGEST).map_err(|message| (span, message))
}

fn in_range(value: f64, most: f64) -> Result<f64, String> {
    if (0.0..=most).contains(&value) { Ok(value) } else { Err(format!("{value} is out of range")) }
}

fn series(raw: Spanned<RawSeries>) -> Result<Series, Problem> {
    let span = raw.span();
    let steps = match raw.into_inner() {
        RawSeries::Constant(value) => vec![(0.0, value)],
        RawSeries::Steps(steps) => steps,
    };
    let problem = |message: String| (span.clone(), message);
    if steps.first().is_none_or(|(from, _)| *from != 0.0) {
        return Err(problem("the first step must be at 0 seconds".into()));
    }
    if steps.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(problem("steps must be in chronological order".into()));
    }
    let step = |(from, value)| {
        Ok((Duration::from_secs_f64(in_range(from, LONGEST)?), in_range(value, LARGEST)?))
    };
    let steps: Result<_, String> = steps.into_iter().map(step).collect();
    steps.map(Series).map_err(problem)
}

/// Seconds since the script's start.
fn instant(raw: Spanned<f64>) -> Result<Duration, Problem> {
    let span = raw.span();
    seconds(raw.into_inner()).map_err(|message| (span, message))
}

fn seconds(value: f64) -> Result<Duration, String> {
    in_range(value, LONGEST).map(Duration::from_secs_f64)
}

/// From one second until another that is later, or for ever.
fn span_of(from_s: f64, until_s: Option<f64>) -> Result<(Duration, Duration), String> {
    let (from, until) = (seconds(from_s)?, until_s.map_or(Ok(Duration::MAX), seconds)?);
    if from < until { Ok((from, until)) } else { Err("until_s must be after from_s".into()) }
}

fn process(raw: Spanned<RawProcess>) -> Result<ProcessOverTime, Problem> {
    let span = raw.span();
    let RawProcess { pid, memory_mib, graphics, from_s, until_s } = raw.into_inner();
    let (from, until) = span_of(from_s, until_s).map_err(|message| (span, message))?;
    Ok(ProcessOverTime { pid, graphics, from, until, memory_mib: series(memory_mib)? })
}

fn block(raw: Spanned<RawBlock>) -> Result<Block, Problem> {
    let span = raw.span();
    let RawBlock { call, ms, from_s, until_s } = raw.into_inner();
    let time = Duration::from_millis(ms.into());
    // One call, if it is made often enough: the next one begins after it.
    let until_s = until_s.unwrap_or(from_s + time.as_secs_f64());
    let (from, until) = span_of(from_s, Some(until_s)).map_err(|message| (span, message))?;
    Ok(Block { call, from, until, time })
}

fn failure(raw: Spanned<RawFailure>) -> Result<Failure, Problem> {
    let span = raw.span();
    let RawFailure { call, from_s, code } = raw.into_inner();
    if code == 0 {
        return Err((span, "code 0 means success, not failure".into()));
    }
    let from = seconds(from_s).map_err(|message| (span, message))?;
    Ok(Failure { call, from, code: NvmlCode(code) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../../docs/gpu-script.md");

    fn example() -> &'static str {
        let (_, rest) = DOC.split_once("```toml\n").expect("the page has an example");
        rest.split_once("```").expect("the example ends").0
    }

    fn problem(from: &str, to: &str) -> String {
        let text = example();
        assert!(text.contains(from), "{from}");
        GpuScript::parse(&text.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_example_reads_as_the_page_says() {
        let script = GpuScript::parse(example()).unwrap();
        assert_eq!(
            (script.driver.as_str(), script.cuda.to_string()),
            ("580.126.09", "13.0".into())
        );
        let gpu = &script.gpus[0];
        assert_eq!(gpu.name, "NVIDIA RTX PRO 6000 Blackwell Workstation Edition");
        assert_eq!(gpu.memory_total, Bytes(97_887 << 20));
        let at = |seconds| gpu.at(Duration::from_secs_f64(seconds));
        assert_eq!(at(0.0).memory_used, Ok(Bytes(512 << 20)));
        assert_eq!(at(1.999).memory_used, Ok(Bytes(512 << 20)));
        assert_eq!(at(2.0).memory_used, Ok(Bytes(81_920 << 20)));
        assert_eq!(at(1e6).memory_used, Ok(Bytes(83_968 << 20)));
        assert_eq!(at(0.0).power_w, Ok(39.5));
        assert_eq!(at(0.0).power_mean_w, Ok(39.5));
        // The second before: three quarters of it ahead of the step at 2 s.
        assert_eq!(at(2.25).power_mean_w, Ok((3.0 * 39.5 + 412.5) / 4.0));
        assert_eq!(at(60.0).temperature_c, Err(NvmlCode(15)));
        let second = &script.gpus[1];
        assert_eq!(second.at(Duration::ZERO).power_w, Err(NvmlCode::NOT_SUPPORTED));
        assert_eq!(second.at(Duration::ZERO).utilization_pct, Ok(0));
    }

    #[test]
    fn the_documented_faults_are_played_as_the_page_says() {
        let script = GpuScript::parse(example()).unwrap();
        let (gpu, second) = (&script.gpus[0], &script.gpus[1]);
        let at = |seconds| gpu.at(Duration::from_secs_f64(seconds));
        assert_eq!((at(0.0).clock_sm_mhz, at(9.0).clock_sm_mhz), (Ok(210), Ok(2_610)));
        assert_eq!((at(1.0).reasons, at(9.0).reasons), (Ok(1), Ok(4)));
        assert_eq!(at(9.0).power_violation, Ok(Duration::from_secs(7)));
        assert_eq!(at(9.0).thermal_violation, Ok(Duration::ZERO));
        // 2,500 J, two seconds of 39.5 W and one of 412.5 W; in steps of 100 ms.
        assert_eq!(at(3.05).energy_mj, Ok(2_500_000 + 79_000 + 412_500));
        // A second after the counter fell to 0.
        assert_eq!(at(31.0).energy_mj, Ok(412_500));
        let processes = |seconds| gpu.processes(Duration::from_secs(seconds)).unwrap();
        let found = |pid, mib: u64| (pid, Bytes(mib << 20));
        let seen =
            |seconds| processes(seconds).into_iter().map(|p| (p.pid, p.memory)).collect::<Vec<_>>();
        assert_eq!(seen(0), [found(4_242, 400)]);
        assert_eq!(seen(25), [found(4_242, 81_000), found(5_151, 900)]);
        let delay = |seconds| gpu.delay(Call::Memory, Duration::from_secs(seconds));
        assert_eq!((delay(39), delay(40)), (Duration::ZERO, Duration::from_secs(5)));
        assert_eq!(delay(45), Duration::ZERO, "the call that blocked is over");
        let second = |seconds| second.at(Duration::from_secs(seconds));
        assert_eq!(second(89).utilization_pct, Ok(0));
        assert_eq!(second(90).utilization_pct, Err(NvmlCode::GPU_LOST));
        assert_eq!(second(0).clock_sm_mhz, Err(NvmlCode::NOT_SUPPORTED), "the script has none");
    }

    #[test]
    fn problems_name_their_line() {
        assert!(problem("cuda = \"13.0\"", "cuda = \"new\"").starts_with("line 2: cuda must"));
        assert!(problem("cuda", "kuda").contains("unknown field `kuda`"));
        assert!(problem("[[0, 512], ", "[").contains("first step"));
        assert!(problem("[2, 81920]", "[6, 81920]").contains("chronological order"));
        assert!(problem("[2, 81920]", "[2, 99999]").contains("exceeds"));
        assert!(problem("code = 15", "code = 0").contains("success"));
        assert!(problem("from_s = 20", "from_s = 40").contains("until_s must be after from_s"));
        assert!(problem("[30]", "[-30]").contains("out of range"));
        assert!(problem("power_w = 40", "power_w = \"hot\"").contains("[seconds, value]"));
        let twice = problem(
            "GPU-00000000-0000-0000-0000-000000000002",
            "GPU-00000000-0000-0000-0000-000000000001",
        );
        assert!(twice.contains("duplicate GPU"), "{twice}");
    }

    #[test]
    fn the_built_in_gpus_differ_by_host_and_stay_within_their_board() {
        let (a, b) = (GpuScript::blackwell(0), GpuScript::blackwell(1));
        assert_ne!(a.gpus[0].uuid, b.gpus[0].uuid);
        for index in 0..16 {
            let gpu = &GpuScript::blackwell(index).gpus[0];
            for second in [0, 4, 10, 1000] {
                let now = gpu.at(Duration::from_secs(second));
                assert!(now.memory_used.unwrap().0 + gpu.memory_reserved.0 < gpu.memory_total.0);
                assert!(now.power_w.unwrap() < gpu.power_limit_w);
            }
        }
    }
}
