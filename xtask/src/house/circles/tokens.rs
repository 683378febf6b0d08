//! Paths in the tokens of macros, which syn does not parse.

use super::tree::plain;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path among tokens.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenPath {
    /// The path's names.
    pub path: Vec<String>,
    /// Its line.
    pub line: usize,
    /// Whether `!` follows it.
    pub is_macro: bool,
}

/// All paths among tokens that may name an item. Those of `$crate` begin with that name.
pub fn paths(tokens: TokenStream) -> Vec<TokenPath> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                found.extend(paths(group.stream()));
                at += 1;
            }
            TokenTree::Ident(_) => at = read_path(&tokens, at, &mut found),
            _ => at += 1,
        }
    }
    found
}

/// Reads the path that starts at the identifier `start` and returns the index after it.
fn read_path(tokens: &[TokenTree], start: usize, found: &mut Vec<TokenPath>) -> usize {
    let mut names = Vec::new();
    let mut at = start;
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        names.push(plain(ident));
        at += 1;
        if !is_punct(tokens, at, ':') || !is_punct(tokens, at + 1, ':') {
            break;
        }
        at += 2;
    }
    let line = tokens[start].span().start().line;
    if start > 0 && is_punct(tokens, start - 1, '$') && names[0] == "crate" {
        names[0] = "$crate".to_owned();
    }
    if !begins_path(tokens, start, &names[0]) {
        return at;
    }
    if let Some(TokenTree::Group(group)) = tokens.get(at)
        && is_punct(tokens, at - 1, ':')
        && group.delimiter() == Delimiter::Brace
    {
        // A `use` declaration with braces: the names inside continue the path.
        for mut inner in paths_of_braces(group.stream()) {
            inner.path.splice(0..0, names.iter().cloned());
            found.push(inner);
        }
        return at + 1;
    }
    let is_macro = is_punct(tokens, at, '!') && !is_punct(tokens, at + 1, '=');
    let is_call = matches!(tokens.get(at), Some(TokenTree::Group(group))
        if group.delimiter() == Delimiter::Parenthesis);
    // A lone lower-case name is a field or a variable, unless something is done with it.
    let is_lone = names.len() == 1 && names[0].starts_with(|c: char| c.is_lowercase() || c == '_');
    if !is_lone || is_call || is_macro {
        found.push(TokenPath {
            path: names,
            line,
            is_macro,
        });
    }
    at
}

/// Whether the identifier at `start` can begin a path: it is not a field, a lifetime, a variable of
/// a macro or the rest of another path.
fn begins_path(tokens: &[TokenTree], start: usize, first: &str) -> bool {
    if start == 0 {
        return true;
    }
    let before = start - 1;
    if is_punct(tokens, before, '$') {
        return first == "$crate";
    }
    let is_range = before > 0 && is_punct(tokens, before - 1, '.');
    let is_field = is_punct(tokens, before, '.') && !is_range;
    let is_rest = before > 0 && is_punct(tokens, before, ':') && is_punct(tokens, before - 1, ':');
    !is_field && !is_rest && !is_punct(tokens, before, '\'')
}

/// The names in the braces of a `use` declaration.
fn paths_of_braces(tokens: TokenStream) -> Vec<TokenPath> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for part in tokens.split(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ',')) {
        let before = found.len();
        if let Some(TokenTree::Ident(ident)) = part.first() {
            read_path(part, 0, &mut found);
            if found.len() == before {
                // Here a lone lower-case name is a function or a module.
                found.push(TokenPath {
                    path: vec![plain(ident)],
                    line: ident.span().start().line,
                    is_macro: false,
                });
            }
        }
    }
    found
}

fn is_punct(tokens: &[TokenTree], at: usize, character: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        paths(text.parse().unwrap())
            .into_iter()
            .map(|path| path.path.join("::") + if path.is_macro { "!" } else { "" })
            .collect()
    }

    #[test]
    fn paths_calls_types_and_macros_are_found() {
        assert_eq!(
            found("crate::a::B::new(x), f(y), Type { field: super::c() }, call!(z)"),
            ["crate::a::B::new", "f", "Type", "super::c", "call!"]
        );
    }

    #[test]
    fn variables_fields_lifetimes_and_strings_are_not_paths() {
        assert!(found("x, a.B, &'static y, $name, \"crate::a\", $t::D").is_empty());
        assert_eq!(found("0..A, $crate::b::C"), ["A", "$crate::b::C"]);
    }

    #[test]
    fn the_braces_of_a_use_declaration_continue_its_path() {
        assert_eq!(
            found("use crate::a::{B, c::D, e};"),
            ["crate::a::B", "crate::a::c::D", "crate::a::e"]
        );
    }
}
