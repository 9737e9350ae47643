//! The hosts to start agents on: a list of ssh destinations, or a file with one per line. Reports
//! all problems at once, each with its line.

use std::collections::BTreeMap;
use std::path::Path;

use regatta_agent::endpoint::check_url;
use regatta_types::clean;
use regatta_types::ids::HostId;

/// A host and the flags of its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the reports.
    pub host: HostId,
    /// ssh destination: `gpu-01`, `user@gpu-01`, `ssh://user@gpu-01:2222` or a host of the ssh
    /// config.
    pub destination: String,
    /// Flags for the agent.
    pub flags: Vec<String>,
}

/// Settings of a line and the corresponding agent flags.
const SETTINGS: [(&str, &str); 5] = [
    ("endpoint", "--endpoint"),
    ("model", "--model"),
    ("gpu", "--gpu"),
    ("key-file", "--api-key-file"),
    ("ca-file", "--ca-file"),
];

/// The hosts of `--ssh`.
///
/// # Errors
/// All problems, one message each.
pub fn of_list(destinations: &[String]) -> Result<Vec<Target>, Vec<String>> {
    collect(destinations.iter().map(|text| ("--ssh".to_owned(), text.as_str())))
}

/// The hosts of an `--ssh-file`.
///
/// # Errors
/// All problems, one message each, with its line.
pub fn of_file(path: &Path) -> Result<Vec<Target>, Vec<String>> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|e| vec![format!("--ssh-file {name}: {e}")])?;
    let lines = text.lines().enumerate().map(|(n, line)| (format!("{name}:{}", n + 1), line));
    let targets = collect(lines)?;
    if targets.is_empty() {
        return Err(vec![format!("--ssh-file {name}: no hosts in the file")]);
    }
    Ok(targets)
}

/// Parses entries, each with its position.
fn collect<'t>(
    entries: impl Iterator<Item = (String, &'t str)>,
) -> Result<Vec<Target>, Vec<String>> {
    let mut targets = Vec::new();
    let mut problems = Vec::new();
    let mut seen: BTreeMap<HostId, String> = BTreeMap::new();
    for (place, text) in entries {
        match entry(text) {
            Ok(Some(target)) => {
                if let Some(first) = seen.insert(target.host.clone(), place.clone()) {
                    let host = &target.host;
                    problems.push(format!(
                        "{place}: duplicate host name `{host}` (first used at {first}). Set a \
                         different name=NAME in an --ssh-file"
                    ));
                }
                targets.push(target);
            }
            Ok(None) => {}
            Err(found) => problems.extend(found.into_iter().map(|what| format!("{place}: {what}"))),
        }
    }
    if problems.is_empty() { Ok(targets) } else { Err(problems) }
}

/// One entry; `None` for an empty line or a comment.
fn entry(text: &str) -> Result<Option<Target>, Vec<String>> {
    let mut words = text.split_whitespace().take_while(|word| !word.starts_with('#'));
    let Some(destination) = words.next() else { return Ok(None) };
    let mut problems = Vec::new();
    let mut name = None;
    let mut flags = Vec::new();
    let mut given = Vec::new();
    for word in words {
        let shown = clean::excerpt(word, 60);
        let Some((key, value)) = word.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            problems.push(format!("`{shown}` is not a setting. Write KEY=VALUE without spaces"));
            continue;
        };
        if given.contains(&key) {
            problems.push(format!("`{key}` is set twice"));
        }
        given.push(key);
        let known = SETTINGS.iter().find(|(setting, _)| *setting == key);
        match (key, known) {
            ("name", _) => match HostId::new(value) {
                Ok(id) => name = Some(id),
                Err(error) => problems.push(format!("name: {error}")),
            },
            (_, Some((_, flag))) => {
                if key == "endpoint"
                    && let Err(error) = check_url(value)
                {
                    problems.push(error.to_string());
                }
                flags.extend([(*flag).to_owned(), value.to_owned()]);
            }
            (_, None) => problems.push(format!(
                "unknown setting `{}`. Known settings: name, {}",
                clean::excerpt(key, 40),
                SETTINGS.map(|(setting, _)| setting).join(", ")
            )),
        }
    }
    if destination.starts_with('-') || destination.contains(char::is_control) {
        problems.push(format!("`{}` is not an ssh destination", clean::excerpt(destination, 60)));
    }
    let host = name.or_else(|| HostId::from_hostname(machine(destination)));
    if host.is_none() && problems.is_empty() {
        let shown = clean::excerpt(destination, 60);
        problems.push(format!(
            "cannot derive a host name from `{shown}`. Add name=NAME in an \
            --ssh-file"
        ));
    }
    match host {
        Some(host) if problems.is_empty() => {
            Ok(Some(Target { host, destination: destination.to_owned(), flags }))
        }
        Some(_) | None => Err(problems),
    }
}

/// The machine in a destination: without user, and for a URL without port.
fn machine(destination: &str) -> &str {
    let url = destination.strip_prefix("ssh://");
    let rest = url.unwrap_or(destination);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, machine)| machine);
    match url {
        Some(_) => rest.split_once(':').map_or(rest, |(machine, _)| machine),
        None => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, destination: &str, flags: &[&str]) -> Target {
        Target {
            host: HostId::new(host).unwrap(),
            destination: destination.to_owned(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        }
    }

    #[test]
    fn host_names_are_derived_from_destinations() {
        let list = ["gpu-01", "root@GPU-02.lab", "ssh://me@gpu-03:2222"].map(str::to_owned);
        let expected = [
            target("gpu-01", "gpu-01", &[]),
            target("gpu-02.lab", "root@GPU-02.lab", &[]),
            target("gpu-03", "ssh://me@gpu-03:2222", &[]),
        ];
        assert_eq!(of_list(&list).unwrap(), expected);
    }

    fn file(text: &str) -> Result<Vec<Target>, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        std::fs::write(&path, text).unwrap();
        let place = dir.path().display().to_string() + "/";
        of_file(&path).map_err(|all| all.into_iter().map(|p| p.replace(&place, "")).collect())
    }

    #[test]
    fn settings_become_agent_flags() {
        let text = "# the rack\n\ngpu-01   # plain\n\
                    10.0.0.2 name=gpu-02 endpoint=localhost:9000 gpu=0,1 key-file=/etc/key model=a/b\n";
        let flags = [
            "--endpoint",
            "localhost:9000",
            "--gpu",
            "0,1",
            "--api-key-file",
            "/etc/key",
            "--model",
            "a/b",
        ];
        let expected = [target("gpu-01", "gpu-01", &[]), target("gpu-02", "10.0.0.2", &flags)];
        assert_eq!(file(text).unwrap(), expected);
    }

    #[test]
    fn every_problem_has_its_line() {
        let text = "gpu-01 color=red endpoint=http://u:hunter2@h\n-oProxyCommand=evil\n\
                    gpu-02 name=Bad/Name model\ngpu-03\nme@gpu-03\n";
        let problems = file(text).unwrap_err();
        insta::assert_snapshot!(problems.join("\n"));
        assert!(!problems.join("\n").contains("hunter2"));
        assert_eq!(file("# nobody\n").unwrap_err(), ["--ssh-file hosts: no hosts in the file"]);
    }
}
