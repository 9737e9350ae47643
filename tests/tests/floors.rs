//! Within a crate: modules stand on floors and import downwards, folders have one layout, and a
//! type's name is its own.

use std::collections::{BTreeMap, BTreeSet};

use regatta_tests::modules::{Read, modules, read};
use regatta_tests::rust_files;

/// The root file of a crate, or of a module whose children have floors of their own, and its
/// modules: each floor may import from those before it, and modules of one floor not from each
/// other. `lib`, `main` or the name of the root file stands for what is defined there itself.
type House = (&'static str, &'static [&'static [&'static str]]);

const HOUSES: &[House] = &[
    (
        "proto/types/src/lib.rs",
        &[
            &["check", "clean", "comparability", "exit", "metric", "reading", "time", "units"],
            &["failure", "facts", "gpu", "ids", "margin", "saturation", "validity"],
            &["engine", "event", "suite", "trace"],
            &["assignment"],
            &["attempt"],
            &["record"],
            &["testing"],
        ],
    ),
    (
        "proto/wire/src/lib.rs",
        &[
            &["count", "error", "limits", "v1", "version"],
            &["field"],
            &["convert"],
            &["frame"],
            &["slices"],
            &["codec"],
        ],
    ),
    (
        "report/figures/src/lib.rs",
        &[
            &["absent", "source", "utc"],
            &["facts"],
            &["metrics"],
            &["sweep"],
            &["hosts"],
            &["compare", "completeness", "start"],
            &["analysis", "calibration"],
            &["bandwidth", "capacity", "history"],
            &["testing"],
        ],
    ),
    (
        "report/pages/src/lib.rs",
        &[
            &["folder", "report"],
            &["redact", "words"],
            &["plot"],
            &["markdown"],
            &["calibration", "export", "html"],
            &["lib"],
            &["testing"],
        ],
    ),
    (
        "sim/src/lib.rs",
        &[
            &[
                "alarm",
                "capacity",
                "fault",
                "freeze",
                "gpu_script",
                "http",
                "metrics",
                "prefix",
                "socket",
            ],
            &["log", "options"],
            &["chat"],
            &["schedule"],
            &["events"],
            &["stream"],
            &["faulty", "flood"],
            &["answer"],
            &["host"],
            &["connection"],
            &["server"],
        ],
    ),
    (
        "agent/src/lib.rs",
        &[
            &["lib"],
            &["facts", "logging", "prompt", "signals", "wall"],
            &["endpoint", "gpu", "outbox"],
            &["checks", "cli", "work"],
            &["session"],
            &["run"],
        ],
    ),
    (
        "agent/src/endpoint.rs",
        &[
            &[
                "address",
                "arrival",
                "delta",
                "exposition",
                "inline",
                "key",
                "probe",
                "salt",
                "sse",
                "stop",
                "timers",
                "tls",
            ],
            &["body", "error", "event", "socket"],
            &["template"],
            &["engine", "identity", "stream_connection", "recorder"],
            &["engine_client"],
            &["handle"],
            &["discover", "request"],
            &["exchange"],
        ],
    ),
    (
        "coordinator/src/lib.rs",
        &[
            &["lib"],
            &["output", "plan", "reports", "store", "suite", "timer"],
            &["command_error", "run"],
            &["names", "progress", "session"],
            &["launch"],
            &["cli", "execute"],
            &["doctor"],
            &["commands"],
        ],
    ),
    (
        "benches/benches/engine/main.rs",
        &[
            &["bench", "machine", "stats"],
            &["process", "sim"],
            &["clients", "report"],
            &["accuracy", "capacity", "memory", "telemetry"],
            &["main"],
        ],
    ),
    (
        "tests/src/lib.rs",
        &[
            &["lib"],
            &["difference", "http", "modules", "process"],
            &["engine", "fleet", "sshd"],
            &["outcome"],
        ],
    ),
    ("tests/fake-nvml/src/lib.rs", &[&["abi", "script"], &["state"], &["exports"], &["lib"]]),
    (
        "xtask/src/main.rs",
        &[&["debian", "steps"], &["engine", "packages"], &["testing"], &["main"]],
    ),
];

/// What is wrong with the floors of a house.
fn wrong((root, floors): House, read: Read<'_>) -> Vec<String> {
    let found = modules(root, read);
    let own = root.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).expect("a file");
    let depth = usize::from(!matches!(own, "lib" | "main"));
    let floor: BTreeMap<&str, usize> =
        (0..).zip(floors).flat_map(|(n, floor)| floor.iter().map(move |m| (*m, n))).collect();
    let mut wrong = BTreeSet::new();
    if floor.len() < floors.iter().map(|floor| floor.len()).sum() {
        wrong.insert(format!("{root}: a module is listed twice"));
    }
    for module in found.top.iter().filter(|module| !floor.contains_key(module.as_str())) {
        wrong.insert(format!("{root}: {module} has no floor"));
    }
    for listed in floor.keys().filter(|m| **m != own && !found.top.contains(**m)) {
        wrong.insert(format!("{root}: there is no module {listed}"));
    }
    for (at, path) in &found.paths {
        if path.len() < depth || (depth == 1 && path[0] != own) {
            continue;
        }
        let from = at.get(depth).map_or(own, String::as_str);
        let to = path.get(depth).map_or(own, String::as_str);
        let to = found.given_out.get(to).map_or(to, String::as_str);
        let to = if found.top.contains(to) { to } else { own };
        let below = match (floor.get(from), floor.get(to)) {
            (Some(from), Some(to)) => to < from,
            (None, _) => true,
            (_, None) => false,
        };
        if from != to && !below {
            wrong.insert(format!("{root}: {from} imports {to}"));
        }
    }
    wrong.into_iter().collect()
}

#[test]
fn modules_import_from_lower_floors_only() {
    let all: Vec<String> = HOUSES.iter().flat_map(|house| wrong(*house, &read)).collect();
    assert_eq!(all, Vec::<String>::new());
    let listed: BTreeSet<&str> = HOUSES.iter().map(|(root, _)| *root).collect();
    let has_modules = |root: &String| !modules(root, &read).top.is_empty();
    let new: Vec<String> = roots()
        .into_iter()
        .filter(|root| !listed.contains(root.as_str()) && has_modules(root))
        .collect();
    assert_eq!(new, Vec::<String>::new(), "a crate without floors");
}

/// The roots of all libraries, and of programs that have none.
fn roots() -> Vec<String> {
    let files = rust_files();
    let is_root = |path: &&String| {
        let library = path.replace("/main.rs", "/lib.rs");
        let is_program = path.ends_with("/main.rs") && !files.contains(&library);
        !path.contains("/tests/") && (path.ends_with("/lib.rs") || is_program)
    };
    files.iter().filter(is_root).cloned().collect()
}

#[test]
fn a_module_with_children_stands_beside_their_folder() {
    let is_wrong = |path: &String| path.ends_with("/mod.rs");
    let wrong: Vec<_> = rust_files().into_iter().filter(is_wrong).collect();
    assert_eq!(wrong, Vec::<String>::new(), "foo.rs beside foo/, not foo/mod.rs");
}

#[test]
fn no_two_types_of_a_crate_that_others_see_have_one_name() {
    let mut wrong = Vec::new();
    for root in roots() {
        let types = modules(&root, &read).types.into_iter();
        let twice = types.filter(|(_, places)| places.len() > 1);
        wrong
            .extend(twice.map(|(name, places)| format!("{root}: {name} in {}", places.join(", "))));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A crate of four files, with floors as they would be listed.
fn example(low: &'static str, floors: &'static [&'static [&'static str]]) -> Vec<String> {
    let read = |path: &str| {
        let text = match path {
            "x/src/lib.rs" => "mod low; mod middle; mod high; pub use high::High;",
            "x/src/low.rs" => low,
            "x/src/middle.rs" => "use crate::low::Low; #[cfg(test)] mod tests { use crate::high; }",
            "x/src/high.rs" => "//! Above crate::nothing.\npub struct High; mod inner;",
            "x/src/high/inner.rs" => "fn f() { super::super::middle::g(\"crate::low\") }",
            _ => return None,
        };
        Some(text.to_owned())
    };
    wrong(("x/src/lib.rs", floors), &read)
}

#[test]
fn an_upward_import_a_cycle_and_an_unlisted_module_are_found() {
    const FLOORS: &[&[&str]] = &[&["low"], &["middle"], &["high"]];
    let found = |text: &str| vec![format!("x/src/lib.rs: {text}")];
    assert_eq!(example("pub struct Low;", FLOORS), Vec::<String>::new());
    for upward in [
        "use crate::{middle::{self, M}};",
        "fn f() -> crate::middle::M { todo!() }",
        "fn f() { println!(\"{}\", crate::middle::m()); }",
        "mod inner { use super::super::middle::M; }",
    ] {
        // With what the middle imports of it, this is a cycle.
        assert_eq!(example(upward, FLOORS), found("low imports middle"), "{upward}");
    }
    assert_eq!(example("use crate::High;", FLOORS), found("low imports high"));
    assert_eq!(example("", &[&["low", "middle"], &["high"]]), found("middle imports low"));
    assert_eq!(example("", &[&["low"], &["middle"]]), found("high has no floor"));
    assert_eq!(
        example("", &[&["low"], &["low", "middle"], &["high"]]),
        ["x/src/lib.rs: a module is listed twice", "x/src/lib.rs: middle imports low"]
    );
    let more = example("", &[&["low", "gone"], &["middle"], &["high"]]);
    assert_eq!(more, found("there is no module gone"));
}
