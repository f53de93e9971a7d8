//! The source as a tree of modules, read with a parser: what each file names of which other, however
//! it is written (groups, renames, `super`, paths in code, in macros and in attributes).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Item, Meta, UseTree, Visibility};

/// A `use` as a name of a module.
struct Import {
    /// What it is called here; `*` for all that a module has.
    name: String,
    path: Vec<String>,
}

struct Module {
    path: Vec<String>,
    parent: Option<usize>,
    file: usize,
    children: BTreeMap<String, usize>,
    /// Where each item of this module is written.
    items: BTreeMap<String, usize>,
    imports: Vec<Import>,
}

/// A path that stands somewhere in a file.
struct Mention {
    module: usize,
    path: Vec<String>,
    line: usize,
    test: bool,
    /// Of a `use` that others see.
    public_use: bool,
}

/// A type that other modules can see.
pub struct PublicType {
    pub name: String,
    /// As `program::typed`.
    pub module: String,
}

/// One file names something of another.
pub struct Edge {
    pub from: usize,
    pub to: usize,
    pub line: usize,
    /// In code for tests only.
    pub test: bool,
    /// Floors that the path goes through and ends in.
    pub floors: BTreeSet<String>,
    /// A module shows what a module inside it has.
    pub re_export: bool,
    pub path: String,
}

pub struct Source {
    /// Relative to `src`.
    pub files: Vec<String>,
    pub types: Vec<PublicType>,
    /// Lines of each file that are not for tests.
    pub lines: Vec<usize>,
    pub edges: Vec<Edge>,
    /// Files that are for tests only.
    pub test_files: BTreeSet<usize>,
    modules: Vec<Module>,
    mentions: Vec<Mention>,
}

impl Source {
    pub fn read(src: &Path) -> Self {
        let mut source = Source {
            files: Vec::new(),
            types: Vec::new(),
            lines: Vec::new(),
            edges: Vec::new(),
            test_files: BTreeSet::new(),
            modules: Vec::new(),
            mentions: Vec::new(),
        };
        source.file(src, Path::new("lib.rs"), &[], None, false);
        source.edges = source
            .mentions
            .iter()
            .filter_map(|m| source.edge(m))
            .collect();
        source
    }

    /// The first folder of a file, or its name: `eval`, `lib.rs`.
    pub fn floor(&self, file: usize) -> &str {
        let name = &self.files[file];
        name.split('/').next().unwrap_or(name)
    }

    fn file(
        &mut self,
        src: &Path,
        relative: &Path,
        path: &[String],
        parent: Option<usize>,
        test: bool,
    ) -> usize {
        let text = std::fs::read_to_string(src.join(relative))
            .unwrap_or_else(|e| panic!("src/{}: {e}", relative.display()));
        let tree =
            syn::parse_file(&text).unwrap_or_else(|e| panic!("src/{}: {e}", relative.display()));
        let file = self.files.len();
        self.files.push(relative.to_string_lossy().into_owned());
        let for_tests: usize = tree
            .items
            .iter()
            .filter(|item| is_test(attributes(item)))
            .map(|item| item.span().end().line + 1 - item.span().start().line)
            .sum();
        self.lines.push(if test {
            0
        } else {
            text.lines().count() - for_tests
        });
        if test {
            self.test_files.insert(file);
        }
        let module = self.module(path, parent, file);
        let folder = match relative.file_name().and_then(|n| n.to_str()) {
            Some("mod.rs" | "lib.rs") => relative.parent().unwrap().to_owned(),
            _ => relative.with_extension(""),
        };
        self.items(src, &folder, module, &tree.items, test);
        module
    }

    fn module(&mut self, path: &[String], parent: Option<usize>, file: usize) -> usize {
        self.modules.push(Module {
            path: path.to_vec(),
            parent,
            file,
            children: BTreeMap::new(),
            items: BTreeMap::new(),
            imports: Vec::new(),
        });
        self.modules.len() - 1
    }

    fn items(&mut self, src: &Path, folder: &Path, module: usize, items: &[Item], test: bool) {
        let file = self.modules[module].file;
        for item in items {
            let test = test || is_test(attributes(item));
            if let Item::Mod(inner) = item {
                assert!(
                    !inner.attrs.iter().any(|a| a.path().is_ident("path")),
                    "src/{}: modules stand where their names say",
                    self.files[file]
                );
                let name = inner.ident.to_string();
                let path: Vec<String> =
                    [&self.modules[module].path[..], std::slice::from_ref(&name)].concat();
                let child = match &inner.content {
                    Some((_, items)) => {
                        let child = self.module(&path, Some(module), file);
                        self.items(src, &folder.join(&name), child, items, test);
                        child
                    }
                    None => {
                        let flat = folder.join(format!("{name}.rs"));
                        let place = if src.join(&flat).exists() {
                            flat
                        } else {
                            folder.join(&name).join("mod.rs")
                        };
                        self.file(src, &place, &path, Some(module), test)
                    }
                };
                self.modules[module].children.insert(name, child);
                continue;
            }
            if let Some((name, seen)) = named(item) {
                let exported = matches!(item, Item::Macro(m) if m.attrs.iter().any(|a| a.path().is_ident("macro_export")));
                let home = if exported { 0 } else { module };
                self.modules[home].items.insert(name.clone(), file);
                let is_type = matches!(
                    item,
                    Item::Struct(_)
                        | Item::Enum(_)
                        | Item::Trait(_)
                        | Item::Type(_)
                        | Item::Union(_)
                );
                if is_type && seen && !test {
                    let module = self.modules[module].path.join("::");
                    self.types.push(PublicType { name, module });
                }
            }
            if let Item::Use(used) = item {
                let mut flat = Vec::new();
                flatten(&used.tree, &mut Vec::new(), &mut flat);
                for (path, name) in flat {
                    self.mentions.push(Mention {
                        module,
                        path: path.clone(),
                        line: used.span().start().line,
                        test,
                        public_use: is_seen(&used.vis),
                    });
                    self.modules[module].imports.push(Import { name, path });
                }
                continue;
            }
            let mut reader = Reader {
                source: self,
                module,
                test,
            };
            reader.visit_item(item);
        }
    }

    /// The module that a path's first name stands for, and how many names it takes.
    fn start(&self, from: usize, first: &str) -> Option<Found> {
        match first {
            "crate" | "tagcast" => Some(Found::Module(0)),
            "self" => Some(Found::Module(from)),
            "super" => Some(Found::Module(self.modules[from].parent?)),
            name => self.member(from, name, &mut BTreeSet::new()),
        }
    }

    fn member(
        &self,
        module: usize,
        name: &str,
        seen: &mut BTreeSet<(usize, String)>,
    ) -> Option<Found> {
        if !seen.insert((module, name.to_owned())) {
            return None;
        }
        let m = &self.modules[module];
        if let Some(child) = m.children.get(name) {
            return Some(Found::Module(*child));
        }
        if let Some(file) = m.items.get(name) {
            return Some(Found::Item(*file, module));
        }
        if let Some(import) = m.imports.iter().find(|i| i.name == name) {
            return self.resolve(module, &import.path, seen);
        }
        m.imports.iter().filter(|i| i.name == "*").find_map(|glob| {
            match self.resolve(module, &glob.path, seen)? {
                Found::Module(of) => self.member(of, name, seen),
                Found::Item(..) => None,
            }
        })
    }

    fn resolve(
        &self,
        from: usize,
        path: &[String],
        seen: &mut BTreeSet<(usize, String)>,
    ) -> Option<Found> {
        let mut at = match path[0].as_str() {
            "crate" | "tagcast" | "self" | "super" => self.start(from, &path[0])?,
            name => {
                // A `use` of an own name would find itself.
                self.member(from, name, seen)?
            }
        };
        for name in &path[1..] {
            let Found::Module(module) = at else { break };
            at = self.step(module, name, seen);
        }
        Some(at)
    }

    fn step(&self, module: usize, name: &str, seen: &mut BTreeSet<(usize, String)>) -> Found {
        if name == "super" {
            return Found::Module(self.modules[module].parent.unwrap_or(0));
        }
        // What a macro writes has no item here: it is of the module's own file.
        self.member(module, name, seen)
            .unwrap_or(Found::Item(self.modules[module].file, module))
    }

    fn edge(&self, mention: &Mention) -> Option<Edge> {
        let from = self.modules[mention.module].file;
        let mut floors = BTreeSet::new();
        let mut at = self.start(mention.module, &mention.path[0])?;
        let mut note = |found: &Found| {
            let file = match found {
                Found::Module(m) => self.modules[*m].file,
                Found::Item(file, _) => *file,
            };
            floors.insert(self.floor(file).to_owned());
            file
        };
        let mut to = note(&at);
        let last = mention.path.len() - 1;
        for (i, name) in mention.path.iter().enumerate().skip(1) {
            let Found::Module(module) = at else { break };
            let both = i == last && self.modules[module].items.contains_key(name);
            at = match both {
                true => Found::Item(self.modules[module].items[name], module),
                false => self.step(module, name, &mut BTreeSet::new()),
            };
            to = note(&at);
        }
        floors.remove("lib.rs");
        let (Found::Module(target) | Found::Item(_, target)) = at;
        let here = &self.modules[mention.module].path;
        let inside = self.modules[target].path.starts_with(here);
        (from != to).then(|| Edge {
            from,
            to,
            line: mention.line,
            test: mention.test,
            floors,
            re_export: mention.public_use && inside,
            path: mention.path.join("::"),
        })
    }

    /// Sets of files that name each other in a circle, in code that is not for tests only.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let mut next = vec![BTreeSet::new(); self.files.len()];
        for edge in self.edges.iter().filter(|e| !e.test && !e.re_export) {
            next[edge.from].insert(edge.to);
        }
        let mut back = vec![BTreeSet::new(); self.files.len()];
        for (from, all) in next.iter().enumerate() {
            all.iter().for_each(|to| {
                back[*to].insert(from);
            });
        }
        let mut order = Vec::new();
        let mut seen = vec![false; self.files.len()];
        (0..self.files.len()).for_each(|file| walk(file, &next, &mut seen, &mut order));
        let mut seen = vec![false; self.files.len()];
        let mut circles = Vec::new();
        for file in order.into_iter().rev() {
            let mut all = Vec::new();
            walk(file, &back, &mut seen, &mut all);
            if all.len() > 1 {
                circles.push(all.into_iter().map(|f| self.files[f].clone()).collect());
            }
        }
        circles.sort_by_key(|c: &BTreeSet<String>| (std::cmp::Reverse(c.len()), c.clone()));
        circles
    }
}

fn walk(file: usize, next: &[BTreeSet<usize>], seen: &mut [bool], out: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[file], true) {
        return;
    }
    next[file].iter().for_each(|to| walk(*to, next, seen, out));
    out.push(file);
}

enum Found {
    Module(usize),
    /// The file, and the module that the item is of.
    Item(usize, usize),
}

/// Reads the paths inside one item.
struct Reader<'a> {
    source: &'a mut Source,
    module: usize,
    test: bool,
}

impl Reader<'_> {
    fn note(&mut self, path: Vec<String>, line: usize) {
        self.source.mentions.push(Mention {
            module: self.module,
            path,
            line,
            test: self.test,
            public_use: false,
        });
    }

    /// Names joined by `::` among the tokens of a macro, and paths that stand as text in an
    /// attribute.
    fn tokens(&mut self, tokens: TokenStream, texts: bool) {
        let mut path: Vec<String> = Vec::new();
        let (mut colons, mut line) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 && !path.is_empty() {
                        self.note(std::mem::take(&mut path), line);
                    }
                    line = name.span().start().line;
                    path.push(name.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(p) if p.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream(), texts),
                TokenTree::Literal(literal) if texts => {
                    let text = literal.to_string();
                    let words: Vec<String> = text
                        .trim_matches('"')
                        .split("::")
                        .map(str::to_owned)
                        .collect();
                    if matches!(words[0].as_str(), "crate" | "super" | "self") {
                        self.note(words, literal.span().start().line);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            if !path.is_empty() {
                self.note(std::mem::take(&mut path), line);
            }
            colons = 0;
        }
        if !path.is_empty() {
            self.note(path, line);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    /// `pub(in crate::ledger)` says who may import, and imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            // A single small name is a local, as a rule; calls of what is imported are seen where
            // it is imported.
            if names.len() > 1 || names[0].starts_with(char::is_uppercase) {
                self.note(names, path.span().start().line);
            }
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, used: &'ast syn::ItemUse) {
        let mut flat = Vec::new();
        flatten(&used.tree, &mut Vec::new(), &mut flat);
        for (path, _) in flat {
            self.note(path, used.span().start().line);
        }
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        let names = called.path.segments.iter().map(|s| s.ident.to_string());
        self.note(names.collect(), called.span().start().line);
        self.tokens(called.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        match &attribute.meta {
            Meta::List(list) => self.tokens(list.tokens.clone(), true),
            Meta::Path(_) | Meta::NameValue(_) => {}
        }
    }

    fn visit_item_mod(&mut self, inner: &'ast syn::ItemMod) {
        panic!("a module inside a function: {}", inner.ident);
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(f) => &f.attrs[..],
            syn::ImplItem::Const(c) => &c.attrs[..],
            _ => &[],
        };
        let before = self.test;
        self.test |= is_test(attributes);
        syn::visit::visit_impl_item(self, item);
        self.test = before;
    }
}

/// Each path of a `use`, and what it is called from then on.
fn flatten(tree: &UseTree, before: &mut Vec<String>, out: &mut Vec<(Vec<String>, String)>) {
    let with = |before: &[String], name: &dyn ToString| {
        let mut path = before.to_vec();
        path.push(name.to_string());
        path
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, out);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            out.push((before.clone(), before.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => out.push((with(before, &name.ident), name.ident.to_string())),
        UseTree::Rename(name) if name.ident == "self" => {
            out.push((before.clone(), name.rename.to_string()));
        }
        UseTree::Rename(name) => out.push((with(before, &name.ident), name.rename.to_string())),
        UseTree::Glob(_) => out.push((before.clone(), "*".into())),
        UseTree::Group(group) => {
            group
                .items
                .iter()
                .for_each(|tree| flatten(tree, before, out));
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("test")
            || a.path().is_ident("cfg")
                && matches!(&a.meta, Meta::List(list) if list.tokens.to_string() == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::ExternCrate(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Union(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// The name of an item, and whether other modules see it.
fn named(item: &Item) -> Option<(String, bool)> {
    let (name, seen) = match item {
        Item::Const(i) => (&i.ident, is_seen(&i.vis)),
        Item::Enum(i) => (&i.ident, is_seen(&i.vis)),
        Item::Fn(i) => (&i.sig.ident, is_seen(&i.vis)),
        Item::Macro(i) => (i.ident.as_ref()?, false),
        Item::Static(i) => (&i.ident, is_seen(&i.vis)),
        Item::Struct(i) => (&i.ident, is_seen(&i.vis)),
        Item::Trait(i) => (&i.ident, is_seen(&i.vis)),
        Item::Type(i) => (&i.ident, is_seen(&i.vis)),
        Item::Union(i) => (&i.ident, is_seen(&i.vis)),
        _ => return None,
    };
    Some((name.to_string(), seen))
}

fn is_seen(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

/// Every Rust file under a folder, relative to it.
pub fn rust_files(root: &Path) -> Vec<PathBuf> {
    fn add(root: &Path, folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(root, &path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut all = Vec::new();
    add(root, root, &mut all);
    all.sort();
    all
}
