//! The parts of ARCHITECTURE.md that are checked: the table of crates and the list of long files.

/// The document's name.
pub const FILE: &str = "ARCHITECTURE.md";
/// Heading of the table of crates.
pub const CRATES: &str = "## Crates";
/// Heading of the list of long files.
pub const LONG_FILES: &str = "## Long files";

/// A row of the table of crates.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The crate's folder under `crates/`.
    pub folder: String,
    /// What the crate may use.
    pub uses: Uses,
}

/// The crates that a crate may use.
#[derive(Debug, PartialEq, Eq)]
pub enum Uses {
    /// Every other crate.
    All,
    /// These folders, and what those may use.
    Listed(Vec<String>),
}

/// A long file that the document allows.
#[derive(Debug, PartialEq, Eq)]
pub struct LongFile {
    /// Its path from the workspace's folder.
    pub path: String,
    /// The reason why it is long.
    pub reason: String,
}

/// The lines below `heading`, up to the next heading of its level.
fn section<'a>(document: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    document
        .lines()
        .skip_while(move |line| line.trim_end() != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
}

/// The rows of the table of crates.
///
/// # Errors
/// If there is no table, or a row does not have a folder and a list of uses.
pub fn rows(document: &str) -> Result<Vec<Row>, String> {
    let rows: Vec<Row> = section(document, CRATES)
        .filter(|line| line.starts_with("| `"))
        .map(row)
        .collect::<Result<_, _>>()?;
    if rows.is_empty() {
        return Err(format!(
            "{FILE}: there is no table of crates under the heading {CRATES:?} \
             (write a row \"| `crates/NAME` | what lives there | USES |\" for each crate)"
        ));
    }
    Ok(rows)
}

fn row(line: &str) -> Result<Row, String> {
    // Only the first and the last cell count: the text between them may contain a `|`.
    let cells: Vec<&str> = line
        .trim()
        .trim_matches('|')
        .split('|')
        .map(str::trim)
        .collect();
    let folder = cells[0].trim_matches('`').strip_prefix("crates/");
    let (Some(folder), true) = (folder, cells.len() >= 3) else {
        return Err(format!(
            "{FILE}: the row {line:?} does not name a crate and its uses \
             (write \"| `crates/NAME` | what lives there | USES |\")"
        ));
    };
    let uses = match cells[cells.len() - 1] {
        "all" => Uses::All,
        "–" | "-" => Uses::Listed(Vec::new()),
        names => Uses::Listed(
            names
                .split(',')
                .map(|name| name.trim().trim_matches('`').to_owned())
                .collect(),
        ),
    };
    Ok(Row {
        folder: folder.to_owned(),
        uses,
    })
}

/// The long files that the document allows; none if it lacks the section.
///
/// # Errors
/// If a row lacks its path or its reason.
pub fn long_files(document: &str) -> Result<Vec<LongFile>, String> {
    section(document, LONG_FILES)
        .filter(|line| line.starts_with("- "))
        .map(|line| {
            line.strip_prefix("- `")
                .and_then(|rest| rest.split_once("`:"))
                .map(|(path, reason)| LongFile {
                    path: path.to_owned(),
                    reason: reason.trim().to_owned(),
                })
                .filter(|file| !file.reason.is_empty())
                .ok_or_else(|| {
                    format!(
                        "{FILE}: the row {line:?} under {LONG_FILES:?} does not name a file and \
                         its reason (write \"- `path`: reason\")"
                    )
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# Map

## Crates

| folder | what lives there | uses |
|---|---|---|
| `crates/base` | errors | – |
| `crates/volume` | `a | b` | base |
| `crates/cli` | the program | all |

Outside `crates/`: more.

## Long files

- `crates/base/src/a.rs`: one table
";

    #[test]
    fn rows_have_a_folder_and_uses() {
        let rows = rows(DOCUMENT).unwrap();
        let folders: Vec<&str> = rows.iter().map(|row| row.folder.as_str()).collect();
        assert_eq!(folders, ["base", "volume", "cli"]);
        assert_eq!(rows[0].uses, Uses::Listed(Vec::new()));
        assert_eq!(rows[1].uses, Uses::Listed(vec!["base".to_owned()]));
        assert_eq!(rows[2].uses, Uses::All);
    }

    #[test]
    fn a_document_without_a_table_is_refused() {
        let message = rows("# Map\n\n## Crates\n\nnone\n").unwrap_err();
        assert!(message.contains("there is no table"), "{message}");
    }

    #[test]
    fn a_row_without_uses_is_refused() {
        let message = rows("## Crates\n| `crates/base` | errors |\n").unwrap_err();
        assert!(message.contains("does not name a crate"), "{message}");
    }

    #[test]
    fn long_files_need_a_reason() {
        let files = long_files(DOCUMENT).unwrap();
        assert_eq!(files[0].path, "crates/base/src/a.rs");
        assert_eq!(files[0].reason, "one table");
        let message = long_files("## Long files\n- `a.rs`:\n").unwrap_err();
        assert!(message.contains("its reason"), "{message}");
    }
}
