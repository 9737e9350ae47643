//! The modules of a crate, read from its sources: what each imports, and the types that others see.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "syn's enums may grow, and most of them do not matter here"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, Macro, Meta, UseTree, Visibility};

use crate::repository;

/// Reads a file by its path from the top.
pub type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

pub fn read(path: &str) -> Option<String> {
    fs::read_to_string(repository().join(path)).ok()
}

/// The modules of one crate, without its tests.
#[derive(Debug, Default)]
pub struct Modules {
    /// The children of the root.
    pub top: BTreeSet<String>,
    /// Paths that leave a module: from where, and the path from the crate's root.
    pub paths: Vec<(Vec<String>, Vec<String>)>,
    /// What the root gives out again, and the module it is from.
    pub given_out: BTreeMap<String, String>,
    /// Names of types that more than their own module sees, with those modules.
    pub types: BTreeMap<String, Vec<String>>,
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

pub fn modules(root: &str, read: Read<'_>) -> Modules {
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
