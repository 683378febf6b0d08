//! What readers confirmed and corrected, as a manifest that `train` reads.

use crate::corrections::read_finding;
use crate::database::{Correction, Database};
use crate::job::{Job, ScanPlace, Verdict};
use crate::queue::{link, link_tree};
use crate::{Error, ErrorKind, Result};
use multirnet::Diagnosis;
use multirnet_base::{StagedFolder, files};
use std::fmt::Write;
use std::path::Path;

/// The manifest's name.
const MANIFEST: &str = "cohort.csv";
const HEADER: &str = "scan,mask,class,patient,source,mask_values\n";
const SOURCE: &str = "corrections";
const UNKNOWN: &str = "unknown";

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Scans whose latest version confirms the model.
    pub confirmed: usize,
    /// Scans whose latest version corrects the model.
    pub corrected: usize,
}

/// Writes the scans that readers confirmed or corrected in the data folder `data` into the folder
/// `out`, with a manifest `cohort.csv`. A server may be using `data` meanwhile.
///
/// Of each scan the latest version counts. A confirmation confirms lesions and class. A correction that
/// leaves the class or the map as it was keeps that of an earlier version; without one, it is unknown. Scans that the server analysed where they lie are named by their paths;
/// other files are linked or copied, so that deleting a job takes nothing away.
///
/// # Errors
/// `Read` if there is no database; `Conflict` if nothing was reviewed; `Write`.
pub fn export_cohort(data: &Path, out: &Path) -> Result<Exported> {
    let path = data.join("server.db");
    if !path.is_file() {
        return Err(Error::new(
            ErrorKind::Read,
            "there is no server's database in the folder",
        )
        .hint("name the folder that `multirnet serve --data` names")
        .at(data));
    }
    if out.join(MANIFEST).exists() {
        return Err(
            Error::new(ErrorKind::Write, "the folder has a manifest already")
                .hint("choose another folder")
                .at(out),
        );
    }
    let database = Database::open(&path)?;
    let mut exported = Exported::default();
    let mut rows = String::new();
    let staged = StagedFolder::new(out)?;
    for job in database.reviewed()? {
        let versions = database.corrections_of(&job.id)?;
        let Some(latest) = versions.last() else {
            continue;
        };
        match latest.verdict {
            Verdict::Confirmed => exported.confirmed += 1,
            Verdict::Corrected => exported.corrected += 1,
        }
        rows += &row(&database, data, staged.folder(), &job, &versions, latest)?;
    }
    if rows.is_empty() {
        return Err(
            Error::new(ErrorKind::Conflict, "no result was confirmed or corrected")
                .hint("review scans in the viewer first")
                .at(data),
        );
    }
    let head = "# Scans that readers confirmed or corrected in a server of multirnet.\n";
    let text = format!("{head}{HEADER}{rows}");
    staged.write(MANIFEST, text.as_bytes())?;
    staged.publish()?;
    Ok(exported)
}

/// Copies the files of a job and gives its line of the manifest.
fn row(
    database: &Database,
    data: &Path,
    out: &Path,
    job: &Job,
    versions: &[Correction],
    latest: &Correction,
) -> Result<String> {
    let folder = data.join("jobs").join(&job.id);
    let scan = match database.input(&job.id)?.place {
        ScanPlace::Path(path) => path.display().to_string(),
        ScanPlace::Stored(name) if name.is_empty() => {
            let place = out.join("scans").join(&job.id);
            files::make_dir(&place)?;
            link_tree(&folder.join("scan"), &place)?;
            format!("scans/{}", job.id)
        }
        ScanPlace::Stored(name) => {
            let ending = name.trim_start_matches("scan");
            let own = format!("scans/{}{ending}", job.id);
            files::make_dir(&out.join("scans"))?;
            link(&folder.join("scan").join(&name), &out.join(&own))?;
            own
        }
    };
    let map = match latest.verdict {
        Verdict::Confirmed => Some(folder.join("results").join("lesions.nii.gz")),
        Verdict::Corrected => versions.iter().rev().find(|v| v.has_mask).map(|v| {
            let version = folder.join("versions").join(v.version.to_string());
            version.join("lesions.nii.gz")
        }),
    };
    let mask = match map {
        None => UNKNOWN.to_owned(),
        Some(map) => {
            files::make_dir(&out.join("masks"))?;
            let own = format!("masks/{}.nii.gz", job.id);
            link(&map, &out.join(&own))?;
            own
        }
    };
    let class = match latest.verdict {
        Verdict::Confirmed => job.diagnosis,
        Verdict::Corrected => versions.iter().rev().find_map(|v| v.diagnosis),
    };
    // The map's labels are those of the model.
    let results = folder.join("results");
    let has_kinds = mask != UNKNOWN && !read_finding(&results)?.lesion_kinds.is_empty();
    let mut line = String::new();
    let patient = job
        .patient
        .clone()
        .unwrap_or_else(|| format!("job {}", job.id));
    // Writing to a text cannot fail.
    let _ = writeln!(
        line,
        "{},{mask},{},{},{SOURCE},{}",
        quoted(&scan),
        class.map_or(UNKNOWN, Diagnosis::name),
        quoted(&unarmed(&patient)),
        if has_kinds { "1;2" } else { "" }
    );
    Ok(line)
}

/// A text that a spreadsheet does not take for a formula. Plain IDs, also those with a sign, stay as
/// they are: training tells patients apart by them.
fn unarmed(text: &str) -> String {
    let is_plain_id = |t: &str| t.chars().all(|c| c.is_alphanumeric() || "._- ".contains(c));
    match text.chars().next() {
        Some('=' | '@') => format!("'{text}"),
        Some('+' | '-') if !is_plain_id(&text[1..]) => format!("'{text}"),
        _ => text.to_owned(),
    }
}

/// A value of a CSV. One that begins with `#` would be a comment.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r', '#']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_neither_a_formula_nor_a_comment_nor_two_values() {
        for (text, written) in [
            ("P-17", "P-17"),
            ("-17", "-17"),
            ("+49 170", "+49 170"),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
            ("=A,\"B\"", "\"'=A,\"\"B\"\"\""),
            ("#1", "\"#1\""),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(quoted(&unarmed(text)), written);
        }
    }
}
