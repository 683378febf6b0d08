//! Reads the scan at a path.

use crate::error::counted;
use crate::header::{self, Header};
use crate::limits::{AIR_HU, MAX_FILE_BYTES, MIN_SLICES};
use crate::repair::Plan;
use crate::series::{self, Series, SeriesInfo};
use crate::source::{Collection, LARGE_BYTES};
use crate::stack;
use crate::{Error, ErrorKind, ReadOptions, Result, Scan, SeriesReference, codec, pixels};
use multirnet_base::error::name_some;
use multirnet_volume::Volume;
use rayon::prelude::*;
use std::path::Path;

/// Everything that is known before the pixels are decoded.
struct Found {
    collection: Collection,
    headers: Vec<Header>,
    series: Vec<Series>,
    /// Files that could not be opened or parsed, with the reason.
    damaged: Vec<(String, String)>,
    notes: Vec<String>,
    /// UID of the single given file's series.
    single: Option<String>,
}

type Headers = (Vec<Header>, Vec<(String, Error)>);

fn read_headers(collection: &Collection, which: &[usize]) -> Headers {
    let mut parsed: Vec<(usize, Result<Header>)> = which
        .par_iter()
        .map(|&i| match collection.sources[i].bytes {
            0..=LARGE_BYTES => (i, read_header(collection, i, LARGE_BYTES)),
            _ => (i, Err(too_large())),
        })
        .collect();
    // What is large, also by inflating, is read alone.
    for (i, header) in &mut parsed {
        if matches!(header, Err(e) if e.kind() == ErrorKind::TooLarge) {
            *header = read_header(collection, *i, MAX_FILE_BYTES);
        }
    }
    let (mut headers, mut damaged) = (Vec::new(), Vec::new());
    for (i, header) in parsed {
        match header {
            Ok(h) => headers.push(h),
            Err(e) => damaged.push((collection.sources[i].name.clone(), e)),
        }
    }
    (headers, damaged)
}

fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, "the file is large")
}

/// Reads a header. A deflated data set may unpack to `limit` bytes.
fn read_header(collection: &Collection, index: usize, limit: u64) -> Result<Header> {
    let source = &collection.sources[index];
    let bytes = collection.bytes(source)?;
    if bytes.is_empty() {
        return Err(Error::new(ErrorKind::Malformed, "the file is empty").hint("fetch it again"));
    }
    let container = collection.budget.parse(&bytes, limit)?;
    header::read(&source.name, index, &container)
}

fn find(path: &Path) -> Result<Found> {
    let collection = Collection::open(path)?;
    let all: Vec<usize> = (0..collection.sources.len()).collect();
    let mut notes = Vec::new();
    let mut single = None;
    let (mut headers, mut damaged);
    if let Some(given) = collection.single {
        (headers, damaged) = read_headers(&collection, &[given]);
        let Some(header) = headers.first() else {
            let (_, error) = damaged.remove(0);
            return Err(error.at(path));
        };
        single = Some(header.series_uid.clone());
        if header.frames.len() == 1 {
            let others: Vec<usize> = all.into_iter().filter(|&i| i != given).collect();
            let (more, worse) = read_headers(&collection, &others);
            headers.extend(more);
            damaged.extend(worse);
            notes.push(format!(
                "{} is one slice; the files beside it were searched for the rest of its series",
                collection.sources[given].name
            ));
        }
    } else {
        (headers, damaged) = read_headers(&collection, &all);
    }
    headers.sort_by(|a, b| a.name.cmp(&b.name));

    // Files such as DICOMDIR are sound, but do not belong to a series.
    let before = headers.len();
    headers.retain(|h| !h.series_uid.is_empty() || h.has_pixels);
    let others = collection.others + before - headers.len();
    if others > 0 && collection.single.is_none() {
        notes.push(format!(
            "{} skipped",
            counted(
                others,
                "file that is not a DICOM image was",
                "files that are not DICOM images were"
            )
        ));
    }
    if headers.is_empty() {
        return Err(match damaged.into_iter().next() {
            Some((name, error)) => error.at(Path::new(&name)),
            None => Error::new(ErrorKind::NotDicom, "there are no DICOM images here").at(path),
        });
    }
    let damaged = damaged
        .into_iter()
        .map(|(name, error)| (name, error.reason().to_owned()))
        .chain(collection.unreadable.iter().cloned())
        .collect();
    Ok(Found {
        series: series::group(&headers),
        collection,
        headers,
        damaged,
        notes,
        single,
    })
}

/// Lists the series at `path` (folder, file or zip archive). The series that [`read`] takes by
/// default is marked as taken; none is marked if none is suitable.
///
/// # Errors
/// `Io`, `NotDicom`, `Malformed` and `TooLarge`, with the file. Damaged files among sound ones are
/// only logged.
pub fn list(path: &Path) -> Result<Vec<SeriesInfo>> {
    let mut found = find(path)?;
    for (name, reason) in &found.damaged {
        tracing::warn!("{name}: {reason}");
    }
    // The error is not needed: if no series is suitable, the listing itself has the reasons.
    let _ = series::choose(&mut found.series, found.single.as_deref());
    Ok(found.series.into_iter().map(|s| s.info).collect())
}

/// The series at `path` that an answer belongs to which says why nothing could be analysed: the one
/// that [`read`] takes or that `asked` names, or the CT series with the most files if none is suitable.
/// Its slices need not make up a volume; files without a SOP class or instance UID are left out.
///
/// # Errors
/// As [`list`]; `NoSeries` if there is no CT series.
pub fn refused_series(path: &Path, asked: Option<&str>) -> Result<SeriesReference> {
    let mut found = find(path)?;
    let chosen = series::choose(&mut found.series, asked.or(found.single.as_deref())).ok();
    let is_ct = |i: &usize| found.series[*i].info.modality == "CT";
    let largest = (0..found.series.len())
        .filter(is_ct)
        .max_by_key(|&i| (found.series[i].info.files, std::cmp::Reverse(i)));
    let Some(chosen) = chosen.or(largest) else {
        return Err(Error::new(ErrorKind::NoSeries, "there is no CT series here").at(path));
    };
    let uid = &found.series[chosen].info.uid;
    let is_member = |h: &&Header| {
        h.series_uid == *uid && !h.sop_class_uid.is_empty() && !h.instance_uid.is_empty()
    };
    let members = found.headers.iter().filter(is_member).collect();
    Ok(SeriesReference::of_files(members))
}

/// Reads one series at `path` (folder, file or zip archive) as a volume, by the crate's rules.
///
/// # Errors
/// Any [`ErrorKind`], with files, reason and remedy.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Scan> {
    let at = |e: Error| e.at(path);
    let mut found = find(path)?;
    let mut warnings = Vec::new();
    report_damaged(&found.damaged, options, &mut warnings).map_err(at)?;
    let asked = options.series.as_deref().or(found.single.as_deref());
    let chosen = series::choose(&mut found.series, asked).map_err(at)?;
    let listing: Vec<SeriesInfo> = found.series.iter().map(|s| s.info.clone()).collect();
    let series = &found.series[chosen];
    check_series(series, options, &mut warnings, &mut found.notes).map_err(at)?;
    if options.series.is_none() {
        warn_of_studies(&listing, &mut warnings);
    }

    let stack = stack::arrange(&series.slices, options.allow_irregular).map_err(at)?;
    warnings.extend(stack.warnings.iter().cloned());
    let members: Vec<&Header> = stack
        .slices
        .iter()
        .map(|s| &found.headers[s.header])
        .collect();
    for header in &members {
        codec::check_syntax(&header.syntax).map_err(|e| e.at(Path::new(&header.name)))?;
    }
    let plan = Plan::new(&stack, options.max_voxels).map_err(at)?;
    let decoded = pixels::decode(
        &found.collection,
        &found.headers,
        &stack,
        options.max_voxels,
    )
    .map_err(at)?;
    warn_of_values(&members, decoded.padded_tissue, &mut warnings);
    let is_identity = Plan::is_identity(&stack);
    let data = if is_identity {
        decoded.data
    } else {
        plan.resample(&stack, &decoded.data)
    };
    let volume = Volume::new(data, plan.geometry)
        .map_err(|e| Error::new(ErrorKind::Malformed, e.to_string()).at(path))?;
    let grid = is_identity.then(|| *volume.geometry());
    for warning in &warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    let first = members[0];
    Ok(Scan {
        volume,
        series: series.info.clone(),
        listing,
        warnings,
        reference: SeriesReference::new(&found.headers, &stack.slices, grid),
        patient_key: first.patient.clone(),
        files: stack.slices.iter().map(|s| s.name.clone()).collect(),
        notes: found.notes,
    })
}

fn report_damaged(
    damaged: &[(String, String)],
    options: &ReadOptions,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let Some((_, reason)) = damaged.first() else {
        return Ok(());
    };
    let files: Vec<String> = damaged.iter().map(|(name, _)| name.clone()).collect();
    let found = format!(
        "{} cannot be read ({reason}) and may belong to the series",
        counted(files.len(), "file", "files")
    );
    if options.allow_irregular {
        warnings.push(format!("{found}: {}; they are left out", name_some(&files)));
        return Ok(());
    }
    Err(Error::new(ErrorKind::Malformed, found)
        .files(files)
        .hint("fetch them again or move them away; with `allow_irregular` they are left out"))
}

/// Refuses a series without slices, of several patients, with deficient files, or with too few
/// slices. If irregular series are allowed, deficient files are only left out.
fn check_series(
    series: &Series,
    options: &ReadOptions,
    warnings: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let names = |files: &[(String, String)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    if series.slices.is_empty() {
        let files = names(if series.foreign.is_empty() {
            &series.deficient
        } else {
            &series.foreign
        });
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "series {} cannot be read: {}",
                series.info.number,
                series.reason()
            ),
        )
        .files(files)
        .hint("give an axial chest CT"));
    }
    if series.patients > 1 {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "the files of series {} belong to {} patients",
                series.info.number, series.patients
            ),
        )
        .hint("separate the patients' files"));
    }
    if let Some((_, reason)) = series.deficient.first() {
        let files = names(&series.deficient);
        let found = format!(
            "{} ({reason})",
            counted(
                files.len(),
                "file of the series is not a usable slice",
                "files of the series are not usable slices"
            )
        );
        if !options.allow_irregular {
            return Err(Error::new(ErrorKind::Irregular, found)
                .files(files)
                .hint("with `allow_irregular` they are left out"));
        }
        warnings.push(format!("{found}: {}; they are left out", name_some(&files)));
    }
    if series.slices.len() < MIN_SLICES {
        return Err(stack::too_few(series.slices.len())
            .files(series.slices.iter().map(|s| s.name.clone()).collect()));
    }
    if let Some((_, reason)) = series.foreign.first() {
        notes.push(format!(
            "{} skipped ({reason}): {}",
            counted(
                series.foreign.len(),
                "file of the series was",
                "files of the series were"
            ),
            name_some(&names(&series.foreign))
        ));
    }
    if !series.info.orientation.ends_with("axial") && series.info.orientation != "mixed" {
        warnings.push(format!(
            "the series is {}, not axial",
            series.info.orientation
        ));
    }
    Ok(())
}

fn warn_of_studies(listing: &[SeriesInfo], warnings: &mut Vec<String>) {
    let mut studies: Vec<&str> = listing
        .iter()
        .filter(|s| s.slices > 0)
        .map(|s| s.study_uid.as_str())
        .collect();
    studies.sort_unstable();
    studies.dedup();
    if studies.len() > 1 {
        warnings.push(format!(
            "the files belong to {} studies, and only one series was taken; choose another with `series`",
            studies.len()
        ));
    }
}

fn warn_of_values(members: &[&Header], padded_tissue: usize, warnings: &mut Vec<String>) {
    let count = |test: fn(&Header) -> bool| members.iter().filter(|h| test(h)).count();
    let lossy = count(|h| h.lossy);
    if lossy > 0 {
        warnings.push(format!(
            "{} compressed with loss, so the values are not exact",
            counted(lossy, "slice was", "slices were")
        ));
    }
    let assumed = count(|h| h.rescale_assumed);
    if assumed > 0 {
        warnings.push(format!(
            "{} no rescale slope and intercept; the values are taken as Hounsfield units",
            counted(assumed, "slice gives", "slices give")
        ));
    }
    if let Some(h) = members
        .iter()
        .find(|h| !matches!(h.rescale_type.as_str(), "" | "HU" | "US"))
    {
        warnings.push(format!(
            "the rescale type is {}, not Hounsfield units",
            h.rescale_type
        ));
    }
    if padded_tissue > 0 {
        warnings.push(format!(
            "{} the pixel padding value, which lies in the range of tissue, and became {AIR_HU} HU",
            counted(padded_tissue, "voxel has", "voxels have")
        ));
    }
}
