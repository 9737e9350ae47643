//! Cores, NUMA nodes and clock governors, as the kernel lists them in `/sys`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regatta_types::clean::excerpt;
use regatta_types::reading::Reading;

const CPUS: &str = "sys/devices/system/cpu";
const NODES: &str = "sys/devices/system/node";

/// The folders `NAME0`, `NAME1`, ... in `folder`.
fn numbered(folder: &Path, name: &str) -> Result<Vec<PathBuf>, String> {
    let list = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let is_one = |path: &PathBuf| {
        let file = path.file_name().and_then(|name| name.to_str());
        let number = file.and_then(|file| file.strip_prefix(name));
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    Ok(list.filter_map(|entry| Some(entry.ok()?.path())).filter(is_one).collect())
}

fn word(path: &Path) -> Option<String> {
    Some(excerpt(fs::read_to_string(path).ok()?.trim(), 40)).filter(|word| !word.is_empty())
}

fn count(n: usize, what: &str) -> Reading<u32> {
    match u32::try_from(n) {
        Ok(n) if n > 0 => Reading::Known(n),
        _ => Reading::missing(format!("the kernel lists no {what}")),
    }
}

/// Physical cores of the processors that are online.
pub(super) fn cores(root: &Path) -> Reading<u32> {
    let cpus = match numbered(&root.join(CPUS), "cpu") {
        Ok(cpus) => cpus,
        Err(why) => return Reading::missing(why),
    };
    let place = |cpu: &PathBuf| {
        let topology = cpu.join("topology");
        Some((word(&topology.join("physical_package_id"))?, word(&topology.join("core_id"))?))
    };
    let cores: BTreeSet<_> = cpus.iter().filter_map(place).collect();
    count(cores.len(), "cores")
}

/// `performance`, or each with its number of processors: `performance (8), powersave (8)`.
pub(super) fn governor(root: &Path) -> Reading<String> {
    let cpus = match numbered(&root.join(CPUS), "cpu") {
        Ok(cpus) => cpus,
        Err(why) => return Reading::missing(why),
    };
    let mut named: BTreeMap<String, u32> = BTreeMap::new();
    for name in cpus.iter().filter_map(|cpu| word(&cpu.join("cpufreq/scaling_governor"))) {
        *named.entry(name).or_default() += 1;
    }
    match named.len() {
        0 => Reading::missing("the kernel does not control the CPU frequency"),
        1 => Reading::Known(named.into_keys().collect()),
        _ => {
            let each = named.into_iter().map(|(name, n)| format!("{name} ({n})"));
            Reading::Known(each.collect::<Vec<_>>().join(", "))
        }
    }
}

/// NUMA nodes.
pub(super) fn numa_nodes(root: &Path) -> Reading<u32> {
    match numbered(&root.join(NODES), "node") {
        Ok(nodes) => count(nodes.len(), "NUMA nodes"),
        Err(why) => Reading::missing(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_nodes_and_governors_are_counted() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: String, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert!(cores(root.path()).reason().unwrap().contains("No such file"));
        for cpu in 0..8 {
            let (package, core) = (cpu / 4, cpu % 4 / 2);
            let folder = format!("{CPUS}/cpu{cpu}");
            write(format!("{folder}/topology/physical_package_id"), &format!("{package}\n"));
            write(format!("{folder}/topology/core_id"), &format!("{core}\n"));
        }
        write(format!("{CPUS}/cpufreq/nothing"), "");
        write(format!("{NODES}/node0/cpulist"), "0-3");
        write(format!("{NODES}/node1/cpulist"), "4-7");
        assert_eq!(cores(root.path()), Reading::Known(4), "two packages of two cores");
        assert_eq!(numa_nodes(root.path()), Reading::Known(2));
        assert!(governor(root.path()).reason().unwrap().contains("does not control"));
        for cpu in 0..8 {
            let name = if cpu < 6 { "performance\n" } else { "powersave\n" };
            write(format!("{CPUS}/cpu{cpu}/cpufreq/scaling_governor"), name);
        }
        let mixed = "performance (6), powersave (2)".to_owned();
        assert_eq!(governor(root.path()), Reading::Known(mixed));
    }
}
