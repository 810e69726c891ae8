//! The modules of the library and the modules that they name, read from the sources.
//!
//! Owns the module tree. Calls `syn`. Never judges: `layers` has the rules.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// The names of modules from the root of the crate to one of them: empty for the root.
pub type Names = Vec<String>;

/// One module of the library, without its tests.
#[derive(Default)]
pub struct Module {
    pub file: String,
    children: BTreeSet<String>,
    /// What `use` brings into the module, by the name that it has there.
    imports: BTreeMap<String, Names>,
    globs: Vec<Names>,
    /// Paths that the module names, each with its line.
    paths: Vec<(usize, Names)>,
}

/// All modules of a crate, by their names.
#[derive(Default)]
pub struct Crate(pub BTreeMap<Names, Module>);

/// A module that names another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: Names,
    pub to: Names,
    /// File and line.
    pub place: String,
}

impl Crate {
    /// Reads the modules from `lib.rs` on. `load` returns the text of a file by its path.
    pub fn read(load: &dyn Fn(&str) -> Option<String>) -> Crate {
        let mut found = Crate::default();
        found.module(load, &[], "lib.rs", "");
        found
    }

    fn module(&mut self, load: &dyn Fn(&str) -> Option<String>, names: &[String], file: &str, folder: &str) {
        let text = load(file).unwrap_or_else(|| panic!("no file {file}"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut reader =
            Reader { file, folder: folder.to_owned(), names: names.to_vec(), ..Reader::default() };
        reader.all.insert(names.to_vec(), Module { file: file.to_owned(), ..Module::default() });
        reader.items(&parsed.items);
        self.0.extend(reader.all);
        for (names, folder, path) in reader.files {
            let name = names.last().expect("a name");
            let places = match path {
                Some(path) => vec![format!("{}{path}", &file[..file.rfind('/').map_or(0, |at| at + 1)])],
                None => vec![format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")],
            };
            let place = places.iter().find(|place| load(place).is_some());
            let place = place.unwrap_or_else(|| panic!("{file}: no file of `{name}`: {places:?}"));
            self.module(load, &names, place, &format!("{folder}{name}/"));
        }
    }

    /// Returns the module that defines what `path` names, through re-exports.
    fn home(&self, path: &[String], depth: usize) -> Names {
        let mut at = Names::new();
        for (i, name) in path.iter().enumerate() {
            let module = &self.0[&at];
            if module.children.contains(name) {
                at.push(name.clone());
                continue;
            }
            let rest = &path[i + 1..];
            if depth < 16 {
                if let Some(import) = module.imports.get(name) {
                    return self.home(&[import, rest].concat(), depth + 1);
                }
                // A glob names a module without its items. An item is found if that module imports it.
                for glob in &module.globs {
                    let target = self.home(glob, depth + 1);
                    let there = &self.0[&target];
                    if target != at && (there.imports.contains_key(name) || there.children.contains(name)) {
                        return self.home(&[&target[..], &path[i..]].concat(), depth + 1);
                    }
                }
            }
            return at;
        }
        at
    }

    /// Returns each pair of modules of which one names the other.
    pub fn edges(&self) -> BTreeSet<Edge> {
        let mut found = BTreeSet::new();
        for (names, module) in &self.0 {
            for (line, path) in &module.paths {
                let to = self.home(path, 0);
                if to != *names {
                    let place = format!("{}:{line}", module.file);
                    found.insert(Edge { from: names.clone(), to, place });
                }
            }
        }
        found
    }
}

/// Reads one file.
#[derive(Default)]
struct Reader<'a> {
    file: &'a str,
    folder: String,
    names: Names,
    all: BTreeMap<Names, Module>,
    /// Modules in files of their own: names, folder, and the attribute `path`.
    files: Vec<(Names, String, Option<String>)>,
}

impl Reader<'_> {
    /// Reads the items of a module: its children first, since paths may start with their names.
    fn items(&mut self, items: &[syn::Item]) {
        for item in items {
            if let syn::Item::Mod(module) = item
                && !for_tests(&module.attrs)
            {
                self.here().children.insert(module.ident.to_string());
            }
        }
        items.iter().for_each(|item| self.visit_item(item));
    }

    fn here(&mut self) -> &mut Module {
        self.all.get_mut(&self.names).expect("the module that is read")
    }

    /// Returns the path from the root of the crate; `None` if it names another crate or a local name.
    fn absolute(&self, path: &[String]) -> Option<Names> {
        let module = &self.all[&self.names];
        let first = path.first()?;
        let mut base = self.names.clone();
        match first.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([&base[..], &path[1..]].concat()),
            "super" => {
                let up = path.iter().take_while(|name| *name == "super").count();
                base.truncate(base.len().checked_sub(up)?);
                Some([&base[..], &path[up..]].concat())
            }
            _ if module.children.contains(first) || module.imports.contains_key(first) => {
                Some([&base[..], path].concat())
            }
            _ => None,
        }
    }

    fn name(&mut self, line: usize, path: &[String]) {
        if path.len() > 1
            && let Some(path) = self.absolute(path)
        {
            self.here().paths.push((line, path));
        }
    }

    fn import(&mut self, line: usize, tree: &syn::UseTree, mut path: Names) {
        match tree {
            syn::UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(line, &tree.tree, path);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(line, tree, path.clone());
                }
            }
            syn::UseTree::Glob(_) => {
                if let Some(path) = self.absolute(&path) {
                    self.here().globs.push(path.clone());
                    self.here().paths.push((line, path));
                }
            }
            syn::UseTree::Name(_) | syn::UseTree::Rename(_) => {
                let (name, alias) = match tree {
                    syn::UseTree::Rename(tree) => (tree.ident.to_string(), tree.rename.to_string()),
                    syn::UseTree::Name(tree) => (tree.ident.to_string(), tree.ident.to_string()),
                    _ => unreachable!("both are above"),
                };
                let alias = match name == "self" {
                    true if alias == "self" => path.last().cloned().unwrap_or_default(),
                    _ => alias,
                };
                if name != "self" {
                    path.push(name);
                }
                if let Some(path) = self.absolute(&path) {
                    if path.last() != Some(&alias) || path.len() != self.names.len() + 1 {
                        self.here().imports.insert(alias, path.clone());
                    }
                    self.here().paths.push((line, path));
                }
            }
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut line, mut colons) = (Names::new(), 0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.name(line, &path);
                        path.clear();
                    }
                    (line, colons) = (name.span().start().line, 0);
                    path.push(name.to_string());
                    continue;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                _ => {}
            }
            self.name(line, &path);
            path.clear();
            colons = 0;
        }
        self.name(line, &path);
    }
}

/// Returns `true` if the item is built for tests only.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg")
            && (condition.contains("test") || condition == "loom")
            && !condition.contains("not (test")
            && !condition.contains("any (")
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if for_tests(&module.attrs) {
            return;
        }
        let name = module.ident.to_string();
        let names = [&self.names[..], std::slice::from_ref(&name)].concat();
        let Some((_, items)) = &module.content else {
            let path = module.attrs.iter().find_map(|attribute| match &attribute.meta {
                syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                    syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
                    _ => None,
                },
                _ => None,
            });
            self.files.push((names, self.folder.clone(), path));
            return;
        };
        let folder = format!("{}{name}/", self.folder);
        let outside =
            (std::mem::replace(&mut self.names, names), std::mem::replace(&mut self.folder, folder));
        self.all.insert(self.names.clone(), Module { file: self.file.to_owned(), ..Module::default() });
        self.items(items);
        (self.names, self.folder) = outside;
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(it) => &it.attrs,
            syn::Item::Impl(it) => &it.attrs,
            syn::Item::Use(it) => &it.attrs,
            syn::Item::Struct(it) => &it.attrs,
            syn::Item::Const(it) => &it.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        if import.leading_colon.is_none() {
            self.import(import.use_token.span.start().line, &import.tree, Names::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
            self.name(line, &names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    /// Skips `pub(in path)`, which is no call.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    /// Skips attributes.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

/// Reads the modules of the library.
pub fn library() -> Crate {
    let folder = super::sources::root().join("shmcomm/src");
    Crate::read(&|file| std::fs::read_to_string(folder.join(file)).ok())
}
