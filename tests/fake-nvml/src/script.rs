//! GPU scripts (`docs/gpu-script.md`) of the board that the tests have.

/// What each GPU is and reads, where a test does not say otherwise.
const USUAL: [&str; 9] = [
    "name = \"NVIDIA RTX PRO 6000 Blackwell Workstation Edition\"",
    "memory_total_mib = 97887",
    "memory_reserved_mib = 637",
    "power_limit_w = 600",
    "power_limit_default_w = 600",
    "memory_used_mib = 90321",
    "power_w = 420",
    "temperature_c = 61",
    "utilization_pct = 97",
];

/// The script of a driver with these GPUs, each made by [`gpu`].
#[must_use]
pub fn script(gpus: &[String]) -> String {
    format!("driver = \"580.126.09\"\ncuda = \"13.0\"\n{}", gpus.concat())
}

/// One GPU, `GPU-{number}`. The lines of `own` are added to it, or stand in the place of the usual
/// ones.
#[must_use]
pub fn gpu(number: usize, own: &str) -> String {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let keys: Vec<String> = own.lines().map(key).collect();
    let named = [
        format!("uuid = \"GPU-{number}\""),
        format!("pci_bus_id = \"00000000:{number:02x}:00.0\""),
    ];
    let usual = USUAL.into_iter().chain(named.iter().map(String::as_str));
    let usual: Vec<&str> = usual.filter(|line| !keys.contains(&key(line))).collect();
    format!("[[gpu]]\n{}\n{own}\n", usual.join("\n"))
}
