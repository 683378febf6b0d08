//! Reads the files of a crate into its tree of modules.

use super::super::sources::Source;
use super::attributes::{are_for_tests, of_item};
use super::collect::Collector;
use super::modules::{Crate, Meaning, Module};
use super::tree::plain;
use std::collections::{BTreeSet, HashMap};
use syn::visit::Visit;
use syn::{Ident, Item, ItemMod, Visibility};

/// A crate that was read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Its modules and what they use.
    pub tree: Crate,
    /// The files that its `mod` declarations reach, also those that only tests compile.
    pub reached: BTreeSet<usize>,
    /// The files that cannot be read.
    pub problems: Vec<String>,
}

/// The place of items in the tree of modules.
#[derive(Clone)]
struct Place {
    file: usize,
    /// The module; none where only tests compile the items.
    module: Option<usize>,
    /// The folder of the files of its modules.
    folder: String,
    /// Whether the file declares other files.
    is_index: bool,
}

/// Reads the crate that begins in the file `root`.
pub fn load(root: usize, sources: &[Source]) -> Loaded {
    let mut loader = Loader {
        sources,
        files: sources
            .iter()
            .enumerate()
            .map(|(file, source)| (source.path.as_str(), file))
            .collect(),
        loaded: Loaded::default(),
    };
    loader.loaded.tree.modules.push(Module {
        file: root,
        ..Module::default()
    });
    let folder = folder_of(&sources[root].path).to_owned();
    loader.file(root, Some(0), folder, true);
    loader.loaded
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

struct Loader<'a> {
    sources: &'a [Source],
    files: HashMap<&'a str, usize>,
    loaded: Loaded,
}

impl Loader<'_> {
    fn file(&mut self, file: usize, module: Option<usize>, folder: String, is_index: bool) {
        self.loaded.reached.insert(file);
        let source = &self.sources[file];
        let items = match syn::parse_file(&source.text) {
            Ok(parsed) => parsed.items,
            Err(error) => {
                let (path, line) = (&source.path, error.span().start().line);
                let message = format!("{path}:{line}: is not valid Rust: {error}");
                self.loaded.problems.push(message);
                return;
            }
        };
        let declares = |item: &Item| {
            matches!(item, Item::Mod(item) if item.content.is_none())
                && !are_for_tests(of_item(item))
        };
        let place = Place {
            file,
            module,
            folder,
            is_index: is_index || items.iter().any(declares),
        };
        self.items(&items, &place);
    }

    fn items(&mut self, items: &[Item], place: &Place) {
        for item in items {
            let is_test = are_for_tests(of_item(item));
            let module = place.module.filter(|_| !is_test);
            if let Item::Mod(declaration) = item {
                let place = Place {
                    module,
                    ..place.clone()
                };
                self.module(declaration, &place);
            } else if let Some(module) = module {
                self.declare(item, module, place.file);
                Collector {
                    index: module,
                    module: &mut self.loaded.tree.modules[module],
                    is_index: place.is_index,
                    uses: &mut self.loaded.tree.uses,
                }
                .visit_item(item);
            }
        }
    }

    /// Reads the module that `item` declares in `place`.
    fn module(&mut self, item: &ItemMod, place: &Place) {
        let name = plain(&item.ident);
        let inner = format!("{}/{name}", place.folder);
        if let Some((_, items)) = &item.content {
            let module = self.add_module(item, place, place.file);
            let place = Place {
                module,
                folder: inner,
                ..place.clone()
            };
            self.items(items, &place);
            return;
        }
        for (path, is_index) in [
            (format!("{inner}.rs"), false),
            (format!("{inner}/mod.rs"), true),
        ] {
            if let Some(&file) = self.files.get(path.as_str()) {
                let module = self.add_module(item, place, file);
                self.file(file, module, inner, is_index);
                return;
            }
        }
        self.loaded.problems.push(format!(
            "{}:{}: the module `{name}` has no file in {} (add the file; `#[path]` is not followed)",
            self.sources[place.file].path,
            item.ident.span().start().line,
            place.folder
        ));
    }

    fn add_module(&mut self, item: &ItemMod, place: &Place, file: usize) -> Option<usize> {
        let parent = place.module?;
        let modules = &mut self.loaded.tree.modules;
        let index = modules.len();
        let (name, is_public) = (plain(&item.ident), is_public(&item.vis));
        modules[parent].bind(name, Meaning::Module(index), is_public);
        modules.push(Module {
            parent: Some(parent),
            file,
            ..Module::default()
        });
        Some(index)
    }

    /// Brings the name of an item into the scope of its module.
    fn declare(&mut self, item: &Item, module: usize, file: usize) {
        let modules = &mut self.loaded.tree.modules;
        if let Item::Macro(definition) = item
            && let Some(ident) = &definition.ident
        {
            let name = plain(ident);
            let is_exported = definition
                .attrs
                .iter()
                .any(|attribute| attribute.path().is_ident("macro_export"));
            // An exported macro is an item of the crate's root, wherever its definition lies.
            let scope = if is_exported { 0 } else { module };
            modules[module].macros.insert(name.clone());
            modules[scope].bind(name, Meaning::Item(file), is_exported);
        } else if let Some((ident, vis)) = name_of(item) {
            modules[module].bind(plain(ident), Meaning::Item(file), is_public(vis));
        }
    }
}

fn is_public(vis: &Visibility) -> bool {
    !matches!(vis, Visibility::Inherited)
}

fn name_of(item: &Item) -> Option<(&Ident, &Visibility)> {
    match item {
        Item::Const(item) => Some((&item.ident, &item.vis)),
        Item::Enum(item) => Some((&item.ident, &item.vis)),
        Item::Fn(item) => Some((&item.sig.ident, &item.vis)),
        Item::Static(item) => Some((&item.ident, &item.vis)),
        Item::Struct(item) => Some((&item.ident, &item.vis)),
        Item::Trait(item) => Some((&item.ident, &item.vis)),
        Item::TraitAlias(item) => Some((&item.ident, &item.vis)),
        Item::Type(item) => Some((&item.ident, &item.vis)),
        Item::Union(item) => Some((&item.ident, &item.vis)),
        _ => None,
    }
}
