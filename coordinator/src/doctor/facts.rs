//! Facts of each host: one row per fact if all hosts fit side by side, else one block per host.

use std::fmt::Write as _;

use regatta_types::facts::{EngineFacts, HostFacts};
use regatta_types::gpu::{GpuFacts, GpuInventory};
use regatta_types::ids::HostId;
use regatta_types::reading::Reading;
use regatta_types::record::HostRecord;
use regatta_types::units::{Bytes, quantity};
use serde::Serialize;
use textwrap::{Options, fill};

use super::table::{WIDTH, grid};

/// One host as a JSON line.
#[derive(Debug, Serialize)]
pub(super) struct Line<'r> {
    host: &'r HostId,
    /// Why the host was refused.
    refused: Option<&'r str>,
    facts: Option<&'r HostFacts>,
    gpus: &'r Reading<GpuInventory>,
    engine: &'r Reading<EngineFacts>,
}

impl<'r> Line<'r> {
    pub(super) fn of(host: &'r HostRecord) -> Self {
        Self {
            host: &host.host,
            refused: host.refused.as_deref(),
            facts: host.facts.as_ref(),
            gpus: &host.gpus,
            engine: &host.engine,
        }
    }
}

/// The complete output.
pub(super) fn render(hosts: &[HostRecord]) -> String {
    let (known, away): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| host.facts.is_some());
    let facts: Vec<Vec<(&str, String)>> = known.iter().filter_map(|host| rows(host)).collect();
    let mut text = String::new();
    if let Some(first) = facts.first() {
        let mut table = vec![vec![String::new()]];
        table[0].extend(known.iter().map(|host| host.host.to_string()));
        for (i, (name, _)) in first.iter().enumerate() {
            let mut row = vec![(*name).to_owned()];
            row.extend(facts.iter().filter_map(|host| host.get(i)).map(|(_, value)| value.clone()));
            table.push(row);
        }
        let beside = grid(&table, "  ");
        if beside.lines().all(|line| line.chars().count() <= WIDTH) {
            text.push_str(&beside);
        } else {
            for (host, facts) in known.iter().zip(&facts) {
                let apart = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{apart}{}", host.host);
                let rows: Vec<Vec<String>> = facts
                    .iter()
                    .map(|(name, value)| vec![format!("  {name}"), value.clone()])
                    .collect();
                text.push_str(&grid(&rows, "  "));
            }
        }
    }
    if !text.is_empty() && !away.is_empty() {
        text.push('\n');
    }
    for host in away {
        let why = host.refused.as_deref().unwrap_or("never joined");
        let _ = writeln!(text, "{}", fill(&format!("{}: {why}", host.host), Options::new(WIDTH)));
    }
    text
}

/// The facts of a host that joined; the same rows for all hosts.
fn rows(host: &HostRecord) -> Option<Vec<(&'static str, String)>> {
    let facts = host.facts.as_ref()?;
    let gpu = |of: fn(&GpuInventory) -> String| shown(&host.gpus, of);
    let engine = |of: fn(&EngineFacts) -> String| shown(&host.engine, of);
    let cores = shown(&facts.details.cores, |n| quantity(*n, "core"));
    Some(vec![
        ("GPUs", gpu(|inventory| gpus(&inventory.gpus))),
        ("driver", gpu(|inventory| shown(&inventory.driver, String::clone))),
        (
            "engine",
            engine(|engine| {
                let name = shown(&engine.engine, String::clone);
                shown(&engine.version, |version| format!("{name} {version}"))
            }),
        ),
        ("model", engine(|engine| engine.model.clone())),
        ("context", engine(|engine| shown(&engine.context_length, |n| quantity(*n, "token")))),
        ("CPU", shown(&facts.cpu_model, |model| format!("{model}, {cores}"))),
        ("memory", shown(&facts.memory_total, memory)),
        ("governor", shown(&facts.details.governor, String::clone)),
        ("system", shown(&facts.distribution, String::clone)),
        ("kernel", shown(&facts.kernel, String::clone)),
        ("agent", facts.agent_version.clone()),
    ])
}

fn shown<T>(reading: &Reading<T>, of: impl Fn(&T) -> String) -> String {
    match reading {
        Reading::Known(value) => of(value),
        Reading::NotAvailable { not_available } => format!("? ({not_available})"),
    }
}

fn memory(bytes: &Bytes) -> String {
    format!("{:.1} GiB", bytes.gib())
}

/// `2 x RTX PRO 6000 (95.6 GiB)`, comma-separated by kind.
fn gpus(gpus: &[GpuFacts]) -> String {
    let mut kinds: Vec<(String, u32)> = Vec::new();
    for gpu in gpus {
        let kind =
            format!("{} ({})", shown(&gpu.name, String::clone), shown(&gpu.memory_total, memory));
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, n)) => *n += 1,
            None => kinds.push((kind, 1)),
        }
    }
    if kinds.is_empty() {
        return "none".to_owned();
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} x {kind}")).collect();
    kinds.join(", ")
}

#[cfg(test)]
mod tests {
    use regatta_types::facts::HostDetails;
    use regatta_types::testing;

    use super::*;

    fn host(name: &str, cpu: &str) -> HostRecord {
        let facts = HostFacts {
            kernel: Reading::Known("6.12.1".to_owned()),
            distribution: Reading::Known("Debian GNU/Linux 13".to_owned()),
            cpu_model: Reading::Known(cpu.to_owned()),
            cpus: Reading::Known(32),
            memory_total: Reading::Known(Bytes(128 << 30)),
            details: HostDetails { cores: Reading::Known(16), ..HostDetails::default() },
            ..testing::facts(name)
        };
        let gpu = |index: u32| GpuFacts {
            index,
            uuid: format!("GPU-{index}"),
            name: Reading::Known("RTX PRO 6000".to_owned()),
            pci_bus_id: Reading::missing("test"),
            memory_total: Reading::Known(Bytes(96 << 30)),
            power_limit_w: Reading::missing("test"),
            power_limit_default_w: Reading::missing("test"),
            board: None,
        };
        HostRecord {
            host: HostId::new(name).unwrap(),
            facts: Some(facts),
            gpus: Reading::Known(GpuInventory {
                driver: Reading::Known("580.126.09".to_owned()),
                cuda_driver: Reading::missing("test"),
                gpus: vec![gpu(0), gpu(1)],
            }),
            engine: Reading::missing("nothing answers"),
            clocks: Vec::new(),
            refused: None,
            simulated: false,
            checks: Vec::new(),
        }
    }

    fn away(name: &str, why: Option<&str>) -> HostRecord {
        let refused = why.map(str::to_owned);
        HostRecord { facts: None, refused, ..host(name, "") }
    }

    #[test]
    fn a_few_hosts_are_side_by_side_and_missing_ones_below() {
        let why = Some("ssh: me@gpu-03: Permission denied (publickey)");
        let hosts = [host("gpu-01", "EPYC 9115"), host("gpu-02", "EPYC 9115"), away("gpu-03", why)];
        insta::assert_snapshot!(render(&hosts));
    }

    #[test]
    fn many_hosts_are_one_block_each() {
        let names = ["a", "b", "c", "d"];
        let hosts: Vec<_> = names.iter().map(|name| host(name, "AMD EPYC 9115 16-Core")).collect();
        insta::assert_snapshot!(render(&hosts));
        assert_eq!(render(&[away("e", None)]), "e: never joined\n");
    }
}
