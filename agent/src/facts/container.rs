//! In what kind of container the agent runs, by the marks that the usual ones leave.

use std::fs;
use std::path::Path;

use regatta_types::clean::excerpt;

/// Files that are only there in a container of this kind.
const MARKS: [(&str, &str); 3] = [
    ("var/run/secrets/kubernetes.io", "kubernetes"),
    ("run/.containerenv", "podman"),
    (".dockerenv", "docker"),
];
/// Files that name the kind.
const NAMED: [&str; 2] = ["run/systemd/container", "run/host/container-manager"];
/// Parts of the first process's control group.
const GROUPS: [(&str, &str); 4] = [
    ("kubepods", "kubernetes"),
    ("docker", "docker"),
    ("lxc", "lxc"),
    ("containerd", "containerd"),
];

/// `docker`, `podman`, `kubernetes`, ... or `none`.
pub(super) fn kind(root: &Path) -> String {
    if let Some((_, kind)) = MARKS.iter().find(|(mark, _)| root.join(mark).exists()) {
        return (*kind).to_owned();
    }
    let named = NAMED.iter().filter_map(|file| fs::read_to_string(root.join(file)).ok());
    if let Some(kind) = named.map(|name| excerpt(&name, 40)).find(|name| !name.is_empty()) {
        return kind;
    }
    let group = fs::read_to_string(root.join("proc/1/cgroup")).unwrap_or_default();
    let known = GROUPS.iter().find(|(part, _)| group.contains(part));
    known.map_or("none", |(_, kind)| kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_known_by_what_they_leave() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(kind(root.path()), "none");
        write("proc/1/cgroup", "0::/system.slice\n");
        assert_eq!(kind(root.path()), "none");
        write("proc/1/cgroup", "4:pids:/lxc/gpu-01\n");
        assert_eq!(kind(root.path()), "lxc");
        write("run/systemd/container", "systemd-nspawn\n");
        assert_eq!(kind(root.path()), "systemd-nspawn");
        write(".dockerenv", "");
        assert_eq!(kind(root.path()), "docker");
    }
}
