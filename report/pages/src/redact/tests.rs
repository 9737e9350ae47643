//! No file contains an original name, and the report is otherwise unchanged.

use std::collections::BTreeSet;

use regatta_types::event::{EventKind, RunEvent};
use regatta_types::record::ExpectedHosts;

use regatta_figures::testing::whole;
use regatta_types::testing::WholeRun;

use crate::testing::files;
use crate::tests::hostile::poisoned;
use crate::tests::{has, summary};

fn redact(run: WholeRun) -> WholeRun {
    whole(&super::redact(run).unwrap())
}

/// Text with names that must be replaced.
const REVEALING: &str = "dial gpu-02.acme.example:8000 (10.20.30.40, [fe80::77]:80) by \
    http://bob@gpu-03.acme.example/v1?key=sesame as bob.smith@acme.example from /home/bob/x: \
    GPU-01 has GPU-gpu-01, GPU-5e6a77a0-0000-4000-8000-0000000000aa and 00:1b:44:11:3a:b7; ";

fn revealing() -> WholeRun {
    let mut record = poisoned(REVEALING);
    record.header.command =
        "regatta run /srv/acme/night.toml --hosts gpu-01,gpu-03 --listen=10.20.30.40:7717 --repetitions 5"
            .to_owned();
    let hosts: Vec<_> = record.hosts.iter().map(|host| host.host.clone()).collect();
    for host in &mut record.hosts {
        host.facts.as_mut().unwrap().hostname = format!("{}.ACME.example", host.host);
    }
    let kind = EventKind::AgentLost { host: hosts[1].clone(), reason: REVEALING.to_owned() };
    let event = RunEvent { seq: 1, kind, ..record.events[0].clone() };
    record.events.push(event);
    record.header.expected = ExpectedHosts::Named(hosts);
    record
}

fn originals(record: &WholeRun) -> BTreeSet<String> {
    let texts = [
        "acme",
        "10.20.30.40",
        "fe80::77",
        "bob",
        "sesame",
        "/home",
        "5e6a77a0",
        "00:1b:44",
        "srv",
    ];
    let mut all: BTreeSet<String> = texts.map(str::to_owned).into();
    for host in &record.hosts {
        all.insert(host.host.to_string());
        all.insert(host.facts.as_ref().unwrap().details.machine_id.known().unwrap().clone());
        all.extend(host.gpus.known().unwrap().gpus.iter().map(|gpu| gpu.uuid.to_lowercase()));
    }
    all.extend(record.attempts.iter().map(|attempt| attempt.report.boot.0.to_lowercase()));
    all
}

#[test]
fn no_file_contains_an_original() {
    let record = revealing();
    let originals = originals(&record);
    assert!(originals.len() > 15, "{originals:?}");
    let holds = |record: WholeRun| {
        let mut held = BTreeSet::new();
        for (path, content) in files(&record) {
            let text = format!("{path}\n{}", String::from_utf8_lossy(&content)).to_lowercase();
            let found = originals.iter().filter(|original| text.contains(original.as_str()));
            held.extend(found.map(|original| format!("{original} in {path}")));
        }
        held
    };
    let before = holds(record.clone());
    let shown = |original: &&String| before.iter().any(|held| held.starts_with(original.as_str()));
    assert!(originals.iter().filter(shown).count() > 12, "the search finds them before redaction");
    assert_eq!(holds(redact(record)), BTreeSet::new());
}

#[test]
fn substitutes_are_ordered_and_consistent() {
    let record = redact(revealing());
    let names: Vec<&str> = record.hosts.iter().map(|host| host.host.as_str()).collect();
    assert_eq!(names, ["host-1", "host-2", "host-3"]);
    let (before, after) = (summary(&revealing()).verdict_lines, summary(&record).verdict_lines);
    assert!(before.iter().any(|line| line.contains("gpu-03")), "{before:?}");
    assert_eq!(before[0].replace("gpu-0", "host-"), after[0]);
    let said = "dial host-2:8000 (address-2, [address-4]:80) by url-1 as address-3 from path-1: \
        host-1 has gpu-1, uuid-1 and address-1; ";
    assert_eq!(record.header.suite.description, said);
    assert_eq!(record.attempts[0].report.gpu.series.known().unwrap()[0].uuid, "gpu-1");
    let command = "regatta run VALUE --hosts host-1,host-3 --listen=VALUE --repetitions 5";
    assert_eq!(record.header.command, command);
    assert_eq!(record.hosts[2].facts.as_ref().unwrap().hostname, "host-3");
    let files = files(&record);
    has(&String::from_utf8_lossy(&files["report.md"]), "**Redacted.**");
    assert!(files.contains_key("hosts/host-2.md"));
}

#[test]
fn substitutes_do_not_depend_on_the_order_of_rows() {
    let record = revealing();
    let mut shuffled = record.clone();
    shuffled.attempts.reverse();
    shuffled.hosts.reverse();
    assert!(files(&redact(record)) == files(&redact(shuffled)));
}

#[test]
fn a_name_is_replaced_only_as_a_whole_word() {
    let mut record = poisoned("x");
    record.header.suite.description = "gpu-011 xgpu-01 gpu-01x gpu-01-a (GPU-01)".to_owned();
    let redacted = redact(record);
    assert_eq!(redacted.header.suite.description, "gpu-011 xgpu-01 gpu-01x host-1-a (host-1)");
}
