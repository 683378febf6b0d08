//! What a path names: the file that defines it, through imports, re-exports and globs.

use super::modules::{Glob, Meaning, Module};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A module of this crate, by its index.
    Module(usize),
    /// An item of this crate, by the file that defines it.
    File(usize),
    /// Something of another crate, of the language, or of a function's own scope.
    Outside,
}

/// What `path` names in the module `from`. A name may stand for several things at once, for example
/// a module and a function.
pub fn resolve(modules: &[Module], from: usize, path: &[String]) -> Vec<Target> {
    let mut resolver = Resolver {
        modules,
        open: Vec::new(),
    };
    resolver.path(from, path)
}

/// The file of the closest module above `from` that defines a macro. Such macros are in scope below
/// their definition without an import.
pub fn macro_above(modules: &[Module], from: usize, name: &str) -> Option<usize> {
    let mut module = Some(from);
    while let Some(index) = module {
        if modules[index].macros.contains(name) {
            return Some(modules[index].file);
        }
        module = modules[index].parent;
    }
    None
}

struct Resolver<'a> {
    modules: &'a [Module],
    /// The names that are being looked up. An import may lead back to its own name.
    open: Vec<(usize, String)>,
}

impl Resolver<'_> {
    fn path(&mut self, from: usize, path: &[String]) -> Vec<Target> {
        let Some(first) = path.first() else {
            return vec![Target::Outside];
        };
        let mut targets = match first.as_str() {
            "" | "Self" => vec![Target::Outside],
            "crate" | "$crate" => vec![Target::Module(0)],
            "self" => vec![Target::Module(from)],
            "super" => self.parent(from),
            name => {
                let found = self.name(from, name, None);
                if found.is_empty() {
                    vec![Target::Outside]
                } else {
                    found
                }
            }
        };
        for name in &path[1..] {
            targets = self.step(&targets, name);
        }
        targets
    }

    fn parent(&self, module: usize) -> Vec<Target> {
        let parent = self.modules[module].parent;
        vec![parent.map_or(Target::Outside, Target::Module)]
    }

    /// What `name` means after something that names `targets`.
    fn step(&mut self, targets: &[Target], name: &str) -> Vec<Target> {
        let mut found = Vec::new();
        let mut unknown = Vec::new();
        for &target in targets {
            match target {
                Target::Module(module) if name == "super" => found.extend(self.parent(module)),
                Target::Module(module) if name == "self" => found.push(Target::Module(module)),
                Target::Module(module) => {
                    let names = self.name(module, name, None);
                    if names.is_empty() {
                        // The code compiles, so a macro of this module defines the name.
                        unknown.push(Target::File(self.modules[module].file));
                    }
                    found.extend(names);
                }
                // A variant or an associated item belongs to its type's file.
                Target::File(_) | Target::Outside => unknown.push(target),
            }
        }
        if found.is_empty() { unknown } else { found }
    }

    /// What `name` means in a module. `viewer` is the module whose glob asks: it sees only what its
    /// place allows.
    fn name(&mut self, module: usize, name: &str, viewer: Option<usize>) -> Vec<Target> {
        let key = (module, name.to_owned());
        if self.open.contains(&key) {
            return Vec::new();
        }
        self.open.push(key);
        let modules = self.modules;
        let sees_all = viewer.is_none_or(|viewer| self.is_within(viewer, module));
        let mut found = Vec::new();
        for binding in modules[module].names.get(name).into_iter().flatten() {
            if sees_all || binding.is_public {
                match &binding.meaning {
                    Meaning::Module(index) => found.push(Target::Module(*index)),
                    Meaning::Item(file) => found.push(Target::File(*file)),
                    Meaning::Import(import) => found.extend(self.path(module, &import.path)),
                }
            }
        }
        // A name of its own hides the names that globs bring.
        if found.is_empty() {
            for glob in &modules[module].globs {
                if sees_all || glob.is_public {
                    found.extend(self.through_glob(module, glob, name));
                }
            }
        }
        self.open.pop();
        found
    }

    fn through_glob(&mut self, module: usize, glob: &Glob, name: &str) -> Vec<Target> {
        let mut found = Vec::new();
        for target in self.path(module, &glob.path) {
            if let Target::Module(other) = target {
                found.extend(self.name(other, name, Some(module)));
            }
        }
        found
    }

    fn is_within(&self, inner: usize, outer: usize) -> bool {
        let mut module = Some(inner);
        while let Some(index) = module {
            if index == outer {
                return true;
            }
            module = self.modules[index].parent;
        }
        false
    }
}
