//! The house keeps its shape: who may depend on whom, how long a file may be, where `unsafe` is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use regatta_tests::{repository, rust_files};

/// Workspace crates and the workspace crates each may name, outside its tests.
const ARROWS: [(&str, &[&str]); 11] = [
    ("regatta-types", &[]),
    ("regatta-wire", &["regatta-types"]),
    ("regatta-figures", &["regatta-types"]),
    ("regatta-report", &["regatta-types", "regatta-figures"]),
    ("regatta-sim", &["regatta-types"]),
    ("regatta-agent", &["regatta-types", "regatta-wire", "regatta-sim"]),
    (
        "regatta-coordinator",
        &[
            "regatta-types",
            "regatta-wire",
            "regatta-figures",
            "regatta-report",
            "regatta-agent",
            "regatta-sim",
        ],
    ),
    (
        "regatta-tests",
        &[
            "regatta-types",
            "regatta-wire",
            "regatta-figures",
            "regatta-report",
            "regatta-agent",
            "regatta-sim",
            "regatta-coordinator",
            "regatta-fake-nvml",
        ],
    ),
    ("regatta-fake-nvml", &["regatta-types", "regatta-sim"]),
    ("regatta-benches", &[]),
    ("xtask", &[]),
];

/// Crates and what must not be reachable from them by any way, and why.
const UNREACHABLE: [(&str, &[&str], &str); 3] = [
    (
        "regatta-types",
        &["tokio", "tonic", "prost", "hyper", "reqwest"],
        "the vocabulary is plain values",
    ),
    (
        "regatta-report",
        &["tokio", "tonic", "hyper", "reqwest", "rusqlite", "regatta-wire"],
        "a report is a pure function of the record: no network, no store, no clock",
    ),
    (
        "regatta-agent",
        &["regatta-figures", "regatta-report", "regatta-coordinator", "rusqlite"],
        "the agent stays small and never judges",
    ),
];

/// Where `unsafe` may be expected.
const UNSAFE: [&str; 3] = ["tests/fake-nvml/", "sim/src/alarm.rs", "agent/src/facts/clock.rs"];

/// Most lines of a file before its tests.
const LINES_MAX: usize = 500;

fn metadata() -> Metadata {
    // As resolved for this machine, so that nothing foreign has to be fetched.
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    MetadataCommand::new()
        .manifest_path(repository().join("Cargo.toml"))
        .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), host])
        .exec()
        .expect("cargo metadata")
}

/// Each package with the packages it needs to be built and to run; not those of its tests.
fn graph(metadata: &Metadata) -> BTreeMap<&PackageId, Vec<&PackageId>> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let needed = |dep: &&cargo_metadata::NodeDep| {
        dep.dep_kinds.iter().any(|k| k.kind != DependencyKind::Development)
    };
    resolve
        .nodes
        .iter()
        .map(|node| (&node.id, node.deps.iter().filter(needed).map(|dep| &dep.pkg).collect()))
        .collect()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let metadata = metadata();
    let graph = graph(&metadata);
    let members: BTreeMap<_, _> =
        metadata.workspace_packages().into_iter().map(|p| (&p.id, p.name.as_str())).collect();
    let known: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for (id, name) in &members {
        let Some(allowed) = known.get(name) else {
            wrong.push(format!("{name} is new: give it its arrows here and in ARCHITECTURE.md"));
            continue;
        };
        let used = graph[id].iter().filter_map(|dep| members.get(dep));
        wrong.extend(
            used.filter(|dep| !allowed.contains(dep)).map(|dep| format!("{name} -> {dep}")),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(members.len(), ARROWS.len());
}

#[test]
fn what_must_not_be_reached_is_not_reached() {
    let metadata = metadata();
    let graph = graph(&metadata);
    let mut wrong = Vec::new();
    for (from, banned, why) in UNREACHABLE {
        let start = metadata.workspace_packages().into_iter().find(|p| p.name == from);
        let mut open = vec![&start.expect("a member of the workspace").id];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&graph[id]);
            }
        }
        let names = seen.iter().map(|id| metadata[*id].name.as_str());
        wrong.extend(
            names.filter(|n| banned.contains(n)).map(|n| format!("{from} reaches {n}: {why}")),
        );
        assert!(seen.len() > 1 || from == "regatta-types", "{from} has dependencies to look at");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// All Rust files of the repository with their text, by path from its top.
fn sources() -> Vec<(String, String)> {
    let files = rust_files();
    assert!(files.len() > 30, "found the sources");
    let text = |name: &String| fs::read_to_string(repository().join(name)).expect("UTF-8");
    files.into_iter().map(|name| (name.clone(), text(&name))).collect()
}

#[test]
fn no_file_is_longer_than_a_review_can_hold() {
    let is_test = |name: &str| name.ends_with("tests.rs") || name.contains("tests/");
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|(name, _)| !is_test(name))
        .map(|(name, text)| {
            let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
            (name, lines)
        })
        .filter(|(_, lines)| *lines > LINES_MAX)
        .collect();
    assert_eq!(long, [], "split by noun");
}

#[test]
fn unsafe_is_only_where_it_was_agreed() {
    let this = "tests/tests/architecture.rs";
    let elsewhere: Vec<_> = sources()
        .into_iter()
        .filter(|(name, text)| name != this && text.contains("unsafe_code"))
        .map(|(name, _)| name)
        .filter(|name| !UNSAFE.iter().any(|agreed| name.starts_with(agreed)))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}
