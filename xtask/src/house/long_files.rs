//! Long files: a file above the limit needs a reason in ARCHITECTURE.md.

use super::architecture::{FILE, LONG_FILES, LongFile};
use super::sources::Source;

/// Most lines of a file that needs no reason.
pub const LIMIT: usize = 500;

/// The files above the limit as lines to print, and what is wrong with them or with the list.
pub fn check(sources: &[Source], allowed: &[LongFile]) -> (Vec<String>, Vec<String>) {
    let mut list = Vec::new();
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| source.lines() > LIMIT) {
        let (path, lines) = (&source.path, source.lines());
        match allowed.iter().find(|file| file.path == *path) {
            Some(file) => list.push(format!("{path}: {lines} lines: {}", file.reason)),
            None => {
                list.push(format!("{path}: {lines} lines, without a reason"));
                problems.push(format!(
                    "{path}: has {lines} lines, more than {LIMIT} (divide the file, or add \
                     \"- `{path}`: reason\" under {LONG_FILES:?} in {FILE})"
                ));
            }
        }
    }
    // A row that outlives its file would allow the next long file of that name.
    for file in allowed {
        let source = sources.iter().find(|source| source.path == file.path);
        let reason = match source.map(Source::lines) {
            None => "which is not a file of the workspace".to_owned(),
            Some(lines) if lines <= LIMIT => format!("which has only {lines} lines"),
            Some(_) => continue,
        };
        problems.push(format!(
            "{FILE}: {LONG_FILES:?} names `{}`, {reason} (remove the row)",
            file.path
        ));
    }
    (list, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, lines: usize) -> Source {
        Source {
            path: path.to_owned(),
            text: "// x\n".repeat(lines),
        }
    }

    fn allowed(path: &str) -> [LongFile; 1] {
        [LongFile {
            path: path.to_owned(),
            reason: "one table".to_owned(),
        }]
    }

    #[test]
    fn a_file_at_the_limit_passes() {
        let (list, problems) = check(&[source("a.rs", LIMIT)], &[]);
        assert!(list.is_empty() && problems.is_empty());
    }

    #[test]
    fn a_longer_file_needs_a_reason() {
        let sources = [source("a.rs", LIMIT + 1)];
        let (list, problems) = check(&sources, &[]);
        assert_eq!(list, ["a.rs: 501 lines, without a reason"]);
        assert!(
            problems[0].starts_with("a.rs: has 501 lines"),
            "{problems:?}"
        );
        let (list, problems) = check(&sources, &allowed("a.rs"));
        assert_eq!(list, ["a.rs: 501 lines: one table"]);
        assert!(problems.is_empty());
    }

    #[test]
    fn a_reason_without_a_long_file_is_reported() {
        let sources = [source("a.rs", 3)];
        let (_, problems) = check(&sources, &allowed("a.rs"));
        assert!(problems[0].contains("only 3 lines"), "{problems:?}");
        let (_, problems) = check(&sources, &allowed("b.rs"));
        assert!(problems[0].contains("not a file"), "{problems:?}");
    }
}
