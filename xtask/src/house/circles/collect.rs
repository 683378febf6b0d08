//! The paths and imports of a module's items.

use super::attributes::{are_for_tests, of_item};
use super::modules::{Glob, Import, Kind, Meaning, Module, Use};
use super::tokens;
use super::tree::{Name, leaves, plain};
use syn::visit::{self, Visit};

/// Collects what the items of one module use, and brings their imports into its scope. Imports
/// inside functions count for the whole module, which finds the same files.
pub struct Collector<'a> {
    /// The module's index.
    pub index: usize,
    /// The module.
    pub module: &'a mut Module,
    /// Whether the file declares other files, so that its `pub use` shows what they define.
    pub is_index: bool,
    /// What the module uses.
    pub uses: &'a mut Vec<Use>,
}

impl Collector<'_> {
    fn add(&mut self, path: Vec<String>, line: usize, kind: Kind) {
        self.uses.push(Use {
            module: self.index,
            path,
            line,
            kind,
        });
    }

    fn add_path(&mut self, path: &syn::Path, kind: Kind) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let names = path.segments.iter().map(|part| plain(&part.ident));
            self.add(names.collect(), first.ident.span().start().line, kind);
        }
    }

    fn add_value(&mut self, node: &syn::ExprPath, kind: Kind) {
        self.add_path(&node.path, kind);
        if let Some(qself) = &node.qself {
            self.visit_qself(qself);
        }
        // Generic arguments may hold further paths.
        visit::visit_path(self, &node.path);
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, node: &'ast syn::Item) {
        if !are_for_tests(of_item(node)) {
            visit::visit_item(self, node);
        }
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        if !are_for_tests(&node.attrs) {
            visit::visit_impl_item_fn(self, node);
        }
    }

    /// The loader makes modules of their own of these.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    /// Attributes hold no paths that the module resolves, apart from those in strings.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    /// `pub(super)` and `pub(in path)` use nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, node: &'ast syn::ItemUse) {
        let is_public = !matches!(node.vis, syn::Visibility::Inherited);
        let prefix = vec![String::new(); usize::from(node.leading_colon.is_some())];
        for leaf in leaves(&node.tree, &prefix) {
            let is_use = !(is_public && self.is_index);
            if is_use {
                self.add(leaf.path.clone(), leaf.line, Kind::Other);
            }
            match leaf.name {
                Name::One(name) => {
                    self.module.bind(
                        name,
                        Meaning::Import(Import {
                            path: leaf.path,
                            is_use,
                        }),
                        is_public,
                    );
                }
                Name::All => self.module.globs.push(Glob {
                    path: leaf.path,
                    is_public,
                }),
                Name::None => {}
            }
        }
    }

    fn visit_item_macro(&mut self, node: &'ast syn::ItemMacro) {
        let is_exported = node
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("macro_export"));
        let before = self.uses.len();
        visit::visit_item_macro(self, node);
        if is_exported {
            // Here a plain `crate` is the crate that calls the macro.
            let mut found = self.uses.split_off(before);
            found.retain(|used| used.path[0] != "crate");
            self.uses.append(&mut found);
        }
    }

    fn visit_path(&mut self, node: &'ast syn::Path) {
        self.add_path(node, Kind::Other);
        visit::visit_path(self, node);
    }

    fn visit_expr_path(&mut self, node: &'ast syn::ExprPath) {
        self.add_value(node, Kind::Value);
    }

    fn visit_expr_call(&mut self, node: &'ast syn::ExprCall) {
        match &*node.func {
            syn::Expr::Path(function) => self.add_value(function, Kind::Other),
            other => self.visit_expr(other),
        }
        for argument in &node.args {
            self.visit_expr(argument);
        }
    }

    fn visit_pat_ident(&mut self, node: &'ast syn::PatIdent) {
        self.module.variables.insert(plain(&node.ident));
        visit::visit_pat_ident(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.add_path(&node.path, Kind::Macro);
        for found in tokens::paths(node.tokens.clone()) {
            let kind = if found.is_macro {
                Kind::Macro
            } else {
                Kind::Other
            };
            self.add(found.path, found.line, kind);
        }
    }
}
