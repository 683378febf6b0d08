//! The commands in a document's blocks of shell code.

use std::fmt;

/// A command as a document shows it, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The document, relative to the workspace.
    pub document: String,
    /// Line of the document that the command begins in, from 1.
    pub line: usize,
    /// The command without comments and line ends.
    pub text: String,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}`", self.document, self.line, self.text)
    }
}

/// The commands of all blocks that are marked `sh`, in order.
///
/// # Panics
/// If a block is not closed, or if a comment follows a `\` at a line's end: the shell would not join
/// such lines.
pub fn commands(document: &str, text: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut inside = false;
    // Whether the block holds shell commands, and the command whose lines are being joined.
    let (mut is_shell, mut open): (bool, Option<Shown>) = (false, None);
    for (line, raw) in (1..).zip(text.lines()) {
        if let Some(mark) = raw.trim_start().strip_prefix("```") {
            is_shell = !inside && mark.trim() == "sh";
            inside = !inside;
            found.extend(open.take());
            continue;
        }
        if !is_shell {
            continue;
        }
        let code = without_comment(raw);
        let (part, goes_on) = match code.strip_suffix('\\') {
            Some(part) => (part.trim(), true),
            None => (code.trim(), false),
        };
        assert!(
            !goes_on || raw.ends_with('\\'),
            "{document}:{line}: text follows the \\ that should end the line"
        );
        if open.is_none() && part.is_empty() {
            continue;
        }
        let command = open.get_or_insert_with(|| Shown {
            document: document.to_owned(),
            line,
            text: String::new(),
        });
        if !command.text.is_empty() {
            command.text.push(' ');
        }
        command.text.push_str(part);
        if !goes_on {
            found.extend(open.take());
        }
    }
    assert!(!inside, "{document}: the last block of code is not closed");
    found
}

/// A line without the comment at its end, and without blanks there.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (i, c) in line.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c == '#' && before.is_whitespace() => return line[..i].trim_end(),
            None => {}
        }
        before = c;
    }
    line.trim_end()
}

/// The words of a command, without quotes. Quotes hold words with blanks together. The documents do
/// not use other rules of the shell.
pub fn words(text: &str) -> Vec<String> {
    let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if matches!(c, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Replaces each word, or part of a path, in capitals by its partner in `stands_for`.
///
/// # Errors
/// The first word in capitals that `stands_for` does not have.
pub fn replace_capitals(text: &str, stands_for: &[(&str, &str)]) -> Result<String, String> {
    let is_border = |c: char| c.is_whitespace() || matches!(c, '/' | '=');
    let is_capital = |part: &str| {
        part.len() > 1
            && part.starts_with(|c: char| c.is_ascii_uppercase())
            && part
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "-_…".contains(c))
    };
    let mut out = String::new();
    for piece in text.split_inclusive(is_border) {
        let part = piece.trim_end_matches(is_border);
        if !is_capital(part) {
            out.push_str(piece);
            continue;
        }
        let (_, real) = stands_for
            .iter()
            .find(|(word, _)| *word == part)
            .ok_or_else(|| part.to_owned())?;
        out.push_str(real);
        out.push_str(&piece[part.len()..]);
    }
    Ok(out)
}

#[test]
fn commands_are_joined_and_comments_removed() {
    let text = "\
```sh
# A comment of its own.
a b \\
  c   # at the end
d 'e # f' # g

```
```toml
h = 1
```
  ```sh
i#j
  ```
";
    let found: Vec<(usize, String)> = commands("x.md", text)
        .into_iter()
        .map(|c| (c.line, c.text))
        .collect();
    let want = [(3, "a b c"), (5, "d 'e # f'"), (12, "i#j")];
    assert_eq!(found, want.map(|(line, text)| (line, text.to_owned())));
    assert_eq!(words("d 'e # f' g\"h\""), ["d", "e # f", "gh"]);
}

#[test]
#[should_panic(expected = "x.md:2")]
fn a_comment_between_joined_lines_is_found() {
    commands("x.md", "```sh\na \\ # no\n  b\n```\n");
}

#[test]
fn words_in_capitals_are_replaced() {
    let table = [("DATA", "data"), ("MODEL", "m")];
    let replaced = |text: &str| replace_capitals(text, &table);
    assert_eq!(
        replaced("a --data DATA DATA/b/*.gz -x=MODEL A UPPER.md").unwrap(),
        "a --data data data/b/*.gz -x=m A UPPER.md"
    );
    assert_eq!(replaced("a SYSTEM/b").unwrap_err(), "SYSTEM");
}
