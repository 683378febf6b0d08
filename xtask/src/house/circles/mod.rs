//! Circles of files inside a crate: files that use each other, directly or through others.
//!
//! `load` reads the files into a tree of modules and collects the paths that they use, `scope` finds
//! the file that defines what a path names, and this file draws the graph of files.

mod attributes;
mod collect;
mod load;
mod modules;
mod scope;
mod tokens;
mod tree;

use super::graph;
use super::sources::Source;
use modules::{Binding, Crate, Kind, Meaning, Use};
use scope::Target;
use std::collections::{BTreeMap, BTreeSet};

/// The places in a file that use another file: paths, each with the first line that names it.
type Places = BTreeMap<String, usize>;

/// The circles among the files of `folder`, the `src` of a package, and the files that cannot be
/// followed.
pub fn check(folder: &str, sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut reached = BTreeSet::new();
    let mut edges: BTreeMap<(usize, usize), Places> = BTreeMap::new();
    for root in (0..sources.len()).filter(|&file| is_root(folder, &sources[file].path)) {
        let loaded = load::load(root, sources);
        problems.extend(loaded.problems);
        reached.extend(loaded.reached);
        for used in &loaded.tree.uses {
            let from = loaded.tree.modules[used.module].file;
            for to in files_used(&loaded.tree, used) {
                if to != from {
                    let places = edges.entry((from, to)).or_default();
                    let line = places.entry(used.path.join("::")).or_insert(used.line);
                    *line = used.line.min(*line);
                }
            }
        }
    }
    for (file, source) in sources.iter().enumerate() {
        if !reached.contains(&file) {
            problems.push(format!(
                "{}: no `mod` declaration reaches this file (declare or delete it)",
                source.path
            ));
        }
    }
    let mut pointed = vec![Vec::new(); sources.len()];
    for &(from, to) in edges.keys() {
        pointed[from].push(to);
    }
    for circle in graph::circles(&pointed) {
        problems.push(describe(folder, &circle, &edges, sources));
    }
    problems
}

/// Whether the compiler starts a crate at the file.
fn is_root(folder: &str, path: &str) -> bool {
    let Some(inner) = path.strip_prefix(folder) else {
        return false;
    };
    match inner.split('/').skip(1).collect::<Vec<_>>()[..] {
        [file] => file == "lib.rs" || file == "main.rs",
        ["bin", _] => true,
        ["bin", _, file] => file == "main.rs",
        _ => false,
    }
}

/// The files that define what a path names.
fn files_used(tree: &Crate, used: &Use) -> Vec<usize> {
    let module = &tree.modules[used.module];
    if let [name] = &used.path[..] {
        let is_variable = used.kind == Kind::Value && module.variables.contains(name);
        if is_variable {
            return Vec::new();
        }
    }
    if is_imported_item(tree, used) {
        return Vec::new();
    }
    let targets = scope::resolve(&tree.modules, used.module, &used.path);
    let mut files: Vec<usize> = targets
        .iter()
        .filter_map(|target| match target {
            Target::File(file) => Some(*file),
            // Only a longer path shows which file of a module is used.
            Target::Module(_) | Target::Outside => None,
        })
        .collect();
    if let (true, Kind::Macro, [name]) = (files.is_empty(), used.kind, &used.path[..]) {
        files.extend(scope::macro_above(&tree.modules, used.module, name));
    }
    files
}

/// Whether the path begins with an item that an import of its module names. The import is the use
/// then. After an imported module, the rest of the path shows which file it uses.
fn is_imported_item(tree: &Crate, used: &Use) -> bool {
    let imported = tree.modules[used.module].names.get(&used.path[0]);
    let is_use =
        |binding: &Binding| matches!(&binding.meaning, Meaning::Import(import) if import.is_use);
    imported.is_some_and(|bindings| bindings.iter().all(is_use))
        && scope::resolve(&tree.modules, used.module, &used.path[..1])
            .iter()
            .all(|target| !matches!(target, Target::Module(_)))
}

fn describe(
    folder: &str,
    circle: &[usize],
    edges: &BTreeMap<(usize, usize), Places>,
    sources: &[Source],
) -> String {
    let mut text = format!(
        "{folder}: {} files use each other in a circle (move what they share into a file below \
         them):",
        circle.len()
    );
    for (&(from, to), places) in edges {
        if !circle.contains(&from) || !circle.contains(&to) {
            continue;
        }
        let mut places: Vec<(usize, &str)> = places
            .iter()
            .map(|(path, &line)| (line, path.as_str()))
            .collect();
        places.sort_unstable();
        let (from, to) = (&sources[from].path, &sources[to].path);
        let (line, path) = places[0];
        text.push_str(&format!("\n    {from}:{line} -> {to} ({path}"));
        for (line, path) in &places[1..] {
            text.push_str(&format!(", {line}: {path}"));
        }
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests;
