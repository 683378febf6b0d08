//! The leaves of a `use` declaration.

use syn::UseTree;

/// One import of a `use` declaration.
#[derive(Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The path that it imports.
    pub path: Vec<String>,
    /// The name that it gets.
    pub name: Name,
    /// Its line.
    pub line: usize,
}

/// The name of an import.
#[derive(Debug, PartialEq, Eq)]
pub enum Name {
    /// A name.
    One(String),
    /// Each name of a module, as `*` says.
    All,
    /// None, as `as _` says.
    None,
}

/// All imports of `tree`. `prefix` starts with an empty name if `::` leads the declaration.
pub fn leaves(tree: &UseTree, prefix: &[String]) -> Vec<Leaf> {
    let with = |ident: &syn::Ident| [prefix, &[plain(ident)]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident)),
        UseTree::Name(name) => vec![leaf(with(&name.ident), None, &name.ident)],
        UseTree::Rename(rename) => {
            vec![leaf(
                with(&rename.ident),
                Some(&rename.rename),
                &rename.ident,
            )]
        }
        UseTree::Glob(glob) => vec![Leaf {
            path: prefix.to_vec(),
            name: Name::All,
            line: glob.star_token.spans[0].start().line,
        }],
        UseTree::Group(group) => group
            .items
            .iter()
            .flat_map(|tree| leaves(tree, prefix))
            .collect(),
    }
}

fn leaf(mut path: Vec<String>, rename: Option<&syn::Ident>, ident: &syn::Ident) -> Leaf {
    // `a::b::{self}` imports `a::b` itself.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = rename.map_or_else(|| path.last().cloned().unwrap_or_default(), plain);
    Leaf {
        path,
        name: if name == "_" {
            Name::None
        } else {
            Name::One(name)
        },
        line: ident.span().start().line,
    }
}

/// An identifier without the mark of raw identifiers.
pub fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_has_its_path_name_and_line() {
        let item: syn::ItemUse =
            syn::parse_str("use crate::{\na::{self, B as C},\nd::*, e::F as _};").unwrap();
        let found: Vec<(String, Name, usize)> = leaves(&item.tree, &[])
            .into_iter()
            .map(|leaf| (leaf.path.join("::"), leaf.name, leaf.line))
            .collect();
        let expected = [
            ("crate::a", Name::One("a".to_owned()), 2),
            ("crate::a::B", Name::One("C".to_owned()), 2),
            ("crate::d", Name::All, 3),
            ("crate::e::F", Name::None, 3),
        ];
        assert_eq!(found, expected.map(|(p, n, l)| (p.to_owned(), n, l)));
    }
}
