//! The modules of a crate with the names in their scopes, and the paths that they use.

use std::collections::{HashMap, HashSet};

/// A crate's modules and what they use. The first module is the crate's root.
#[derive(Debug, Default)]
pub struct Crate {
    /// The modules.
    pub modules: Vec<Module>,
    /// Every path that a module uses.
    pub uses: Vec<Use>,
}

/// A module: a file or a part of one.
#[derive(Debug, Default)]
pub struct Module {
    /// The module around it.
    pub parent: Option<usize>,
    /// The file that it lies in.
    pub file: usize,
    /// The names in its scope. A module, a type and a function may share one.
    pub names: HashMap<String, Vec<Binding>>,
    /// Its imports that end in `*`.
    pub globs: Vec<Glob>,
    /// The macros that it defines with `macro_rules!`.
    pub macros: HashSet<String>,
    /// The names of its functions' variables.
    pub variables: HashSet<String>,
}

impl Module {
    /// Brings a name into scope.
    pub fn bind(&mut self, name: String, meaning: Meaning, is_public: bool) {
        let binding = Binding { meaning, is_public };
        self.names.entry(name).or_default().push(binding);
    }
}

/// A name in a module's scope.
#[derive(Debug)]
pub struct Binding {
    /// What the name means.
    pub meaning: Meaning,
    /// Whether any other module sees it.
    pub is_public: bool,
}

/// What a name means.
#[derive(Debug)]
pub enum Meaning {
    /// A module, by its index.
    Module(usize),
    /// A type, a function, a constant or a macro, by the file that defines it.
    Item(usize),
    /// What another path means.
    Import(Import),
}

/// An import of a name.
#[derive(Debug)]
pub struct Import {
    /// The path that it imports.
    pub path: Vec<String>,
    /// Whether the import itself is a use. It is not where it only re-exports.
    pub is_use: bool,
}

/// An import of all names of a module.
#[derive(Debug)]
pub struct Glob {
    /// The module's path.
    pub path: Vec<String>,
    /// Whether any other module sees the names.
    pub is_public: bool,
}

/// A path that a module uses.
#[derive(Debug)]
pub struct Use {
    /// The module.
    pub module: usize,
    /// The path's names. An empty first name stands for a leading `::`.
    pub path: Vec<String>,
    /// The line of the path.
    pub line: usize,
    /// How the module uses it.
    pub kind: Kind,
}

/// How a module uses a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As a value, which may be a variable.
    Value,
    /// As a macro, whose name may come from a module above.
    Macro,
    /// In an import, as a type, or as a function that is called.
    Other,
}
