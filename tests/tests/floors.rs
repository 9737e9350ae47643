//! Within a crate: modules stand on floors and import downwards, folders have one layout, and a
//! type's name is its own.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "syn's enums may grow, and most of them do not matter here"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proc_macro2::{TokenStream, TokenTree};
use regatta_tests::repository;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, Macro, Meta, UseTree, Visibility};

/// The root file of a crate, or of a module whose children have floors of their own, and its
/// modules: each floor may import from those before it, and modules of one floor not from each
/// other. `lib`, `main` or the name of the root file stands for what is defined there itself.
type House = (&'static str, &'static [&'static [&'static str]]);

const HOUSES: &[House] = &[
    (
        "proto/types/src/lib.rs",
        &[
            &[
                "check",
                "clean",
                "comparability",
                "exit",
                "metric",
                "reading",
                "saturation",
                "time",
                "units",
            ],
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
            &["absent", "catalogue", "facts", "source", "utc"],
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
            &["folder", "metrics_page", "report"],
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
                "event",
                "exposition",
                "key",
                "probe",
                "salt",
                "sse",
                "stop",
                "timers",
                "tls",
            ],
            &["body", "error", "socket", "template"],
            &["engine", "identity", "lane", "recorder"],
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
        &[&["lib"], &["difference", "http", "process"], &["engine", "fleet", "sshd"], &["outcome"]],
    ),
    ("tests/fake-nvml/src/lib.rs", &[&["abi", "script"], &["state"], &["exports"], &["lib"]]),
    (
        "xtask/src/main.rs",
        &[&["debian", "steps"], &["engine", "packages"], &["testing"], &["main"]],
    ),
];

/// Reads a file by its path from the top.
type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

fn read(path: &str) -> Option<String> {
    fs::read_to_string(repository().join(path)).ok()
}

/// What one crate is made of, without its tests.
#[derive(Default)]
struct Modules {
    /// The children of the root.
    top: BTreeSet<String>,
    /// Paths that leave a module: from where, and the path from the crate's root.
    paths: Vec<(Vec<String>, Vec<String>)>,
    /// What the root gives out again, and the module it is from.
    given_out: BTreeMap<String, String>,
    /// Names of types that more than their own module sees, with those modules.
    types: BTreeMap<String, Vec<String>>,
}

/// Walks one file and those of its modules.
struct Walk<'a> {
    read: Read<'a>,
    /// Where files of child modules are.
    folder: String,
    /// The module at hand.
    at: Vec<String>,
    /// How deep the house's own root is.
    depth: usize,
    out: Modules,
}

fn is_test(attributes: &[Attribute]) -> bool {
    let test = |a: &Attribute| {
        a.path().is_ident("cfg")
            && a.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    };
    attributes.iter().any(test)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// All paths of a `use`.
fn leaves(tree: &UseTree, before: &[String], out: &mut Vec<Vec<String>>) {
    let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(path.ident.to_string()), out),
        UseTree::Name(name) if name.ident == "self" => out.push(before.to_vec()),
        UseTree::Name(name) => out.push(with(name.ident.to_string())),
        UseTree::Rename(name) => out.push(with(name.ident.to_string())),
        UseTree::Glob(_) => out.push(with("*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, before, out)),
    }
}

impl Walk<'_> {
    fn file(&mut self, text: &str) {
        let file = syn::parse_file(text).expect("Rust");
        self.visit_file(&file);
    }

    /// Notes a path as it is written, from `crate`, `super` or a child of the root.
    fn path(&mut self, written: &[String]) {
        let mut from = self.at.clone();
        let mut rest = written;
        match written.first().map(String::as_str) {
            Some("crate") => {
                from.clear();
                rest = &written[1..];
            }
            Some("self" | "super") => {
                while let Some("self" | "super") = rest.first().map(String::as_str) {
                    if rest[0] == "super" {
                        from.pop();
                    }
                    rest = &rest[1..];
                }
            }
            Some(name) if self.at.len() == self.depth && self.out.top.contains(name) => {}
            Some(_) | None => return,
        }
        from.extend_from_slice(rest);
        self.out.paths.push((self.at.clone(), from));
    }

    fn tokens(&mut self, tokens: &TokenStream) {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let mut path = Vec::new();
        let mut colons = 0;
        for tree in &trees {
            match tree {
                TokenTree::Punct(p) if p.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Group(group) => self.tokens(&group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.path(&std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.path(&path);
    }

    fn named(&mut self, visibility: &Visibility, name: &syn::Ident) {
        let is_private = match visibility {
            Visibility::Inherited => true,
            Visibility::Restricted(to) => to.path.is_ident("self"),
            Visibility::Public(_) => false,
        };
        if !is_private {
            let of = self.at.join("::");
            self.out.types.entry(name.to_string()).or_default().push(of);
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_file(&mut self, file: &'ast syn::File) {
        if self.at.len() == self.depth {
            let is_module = |item: &Item| match item {
                Item::Mod(module) if !is_test(&module.attrs) => Some(module.ident.to_string()),
                _ => None,
            };
            self.out.top.extend(file.items.iter().filter_map(is_module));
        }
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(attributes(item)) {
            return;
        }
        match item {
            Item::Enum(i) => self.named(&i.vis, &i.ident),
            Item::Struct(i) => self.named(&i.vis, &i.ident),
            Item::Trait(i) => self.named(&i.vis, &i.ident),
            Item::Type(i) => self.named(&i.vis, &i.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Fn(i) => &i.attrs[..],
            ImplItem::Const(i) => &i.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let name = module.ident.to_string();
        let folder = format!("{}/{name}", self.folder);
        let outer = std::mem::replace(&mut self.folder, folder);
        self.at.push(name);
        if module.content.is_some() {
            visit::visit_item_mod(self, module);
        } else {
            let file = format!("{}.rs", self.folder);
            self.file(&(self.read)(&file).unwrap_or_else(|| panic!("{file} is missing")));
        }
        self.at.pop();
        self.folder = outer;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut all = Vec::new();
        leaves(&item.tree, &[], &mut all);
        let is_private = matches!(item.vis, Visibility::Inherited);
        for path in all {
            if is_private || self.at.len() > self.depth {
                self.path(&path);
            } else if let [module, .., name] = path.as_slice() {
                self.out.given_out.insert(name.clone(), module.clone());
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if names.len() > 1 {
            self.path(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(&call.tokens);
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(&list.tokens);
        }
    }
}

fn modules(root: &str, read: Read<'_>) -> Modules {
    let (folder, name) = root.rsplit_once('/').expect("a file in a folder");
    let inner = match name {
        "lib.rs" | "main.rs" => None,
        module => module.strip_suffix(".rs").map(str::to_owned),
    };
    let folder = inner.iter().fold(folder.to_owned(), |folder, name| format!("{folder}/{name}"));
    let at: Vec<String> = inner.into_iter().collect();
    let depth = at.len();
    let mut walk = Walk { read, folder, at, depth, out: Modules::default() };
    walk.file(&read(root).unwrap_or_else(|| panic!("{root} is missing")));
    walk.out
}

/// What is wrong with the floors of a house.
fn wrong((root, floors): House, read: Read<'_>) -> Vec<String> {
    let found = modules(root, read);
    let own = root.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).expect("a file");
    let depth = usize::from(!matches!(own, "lib" | "main"));
    let floor: BTreeMap<&str, usize> =
        (0..).zip(floors).flat_map(|(n, floor)| floor.iter().map(move |m| (*m, n))).collect();
    let mut wrong = BTreeSet::new();
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

/// All Rust files of the repository, by path from its top.
fn files() -> Vec<String> {
    let mut open = vec![repository()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                open.push(path);
            } else if name.ends_with(".rs") {
                let below = path.strip_prefix(repository()).expect("below the top");
                files.push(below.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    files
}

/// The roots of all libraries, and of programs that have none.
fn roots() -> Vec<String> {
    let files = files();
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
    let wrong: Vec<_> = files().into_iter().filter(is_wrong).collect();
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
    let more = example("", &[&["low", "gone"], &["middle"], &["high"]]);
    assert_eq!(more, found("there is no module gone"));
}
