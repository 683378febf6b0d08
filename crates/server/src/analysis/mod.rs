//! The analysis of a job's scan, and the folder of its results.

mod preview;
mod study;

pub(crate) use preview::Rounded;
pub use study::StudyQueue;

use crate::analyser::{Analysed, Analyser, AnalysisFailure, Hooks, SUMMARY};
use crate::data::{remove, sync_tree};
use crate::job::{JobInput, JobSummary, ScanFacts, ScanPlace};
use crate::queue::{Admission, Queue, is_plain};
use crate::{Error, ErrorKind, Result};
use multirnet::dicom::{DicomOptions, dicom_refusal, dicom_results, refuse_study, write_dicom};
use multirnet::{
    HeatmapGrid, Prediction, ReadOptions, Scan, Stage, open_scan, to_json, write_results,
};
use multirnet_base::files;
use multirnet_finding::{Timing, lesions};
use multirnet_report::{Overview, PdfFacts, finding_pdf, planes_png, thumbnail_png};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Instant;

/// Pixels of a thumbnail.
const THUMBNAIL: usize = 160;
/// Bytes that reading takes for a voxel: its value, its stored value and a resampled copy.
const READING_BYTES: u64 = 12;
/// Voxels that may be read whatever the budget is, 768 MiB. The plan of an ordinary scan is then compared
/// with the budget, which gives the better message.
const ALWAYS_READ: u64 = 1 << 26;
/// DICOM tags: accession number, patient ID, study date.
const ACCESSION: (u16, u16) = (0x0008, 0x0050);
const PATIENT_ID: (u16, u16) = (0x0010, 0x0020);
const STUDY_DATE: (u16, u16) = (0x0008, 0x0020);

impl Queue {
    /// The file or folder of a job's scan. A path is checked again, with everything that is read with it:
    /// what it leads to may have changed.
    pub(crate) fn scan_path(&self, id: &str, input: &JobInput) -> Result<PathBuf> {
        match &input.place {
            ScanPlace::Stored(name) => Ok(self.data.job(id).join("scan").join(name)),
            ScanPlace::Path(path) => self.allowed_whole(path),
        }
    }

    /// A small file can claim a volume of many GiB. What is known before it is read is only that no
    /// analysis of it would fit if reading it does not.
    fn read_options(&self) -> ReadOptions {
        let most = (self.memory.budget() / READING_BYTES).max(ALWAYS_READ);
        ReadOptions {
            max_voxels: usize::try_from(most).unwrap_or(usize::MAX),
            ..ReadOptions::default()
        }
    }

    /// Reads a job's scan once `bytes` of memory are free, and gives it with its admission.
    ///
    /// The order is the same everywhere: first the turn to read, then the memory. Whoever has memory
    /// does not wait for the turn.
    pub(crate) fn read_scan(&self, id: &str, bytes: u64) -> Result<(Scan, Admission)> {
        let input = self.database.input(id)?;
        let path = self.scan_path(id, &input)?;
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(admission) = self.memory.admit(bytes, &self.stop) else {
            let reason = "the scan needs more memory than the server may take";
            return Err(Error::new(ErrorKind::Full, reason).hint("raise analysis.memory_mib"));
        };
        let scan = open_scan(&path, &self.read_options()).map_err(|e| {
            let error = Error::from(multirnet::Error::from(e));
            // The log does not hold places of scans: their names may be those of patients.
            Error::new(error.kind(), error.reason())
        })?;
        Ok((scan, admission))
    }

    /// Analyses the scan of job `id` and publishes its results.
    pub(crate) fn analyse(&self, id: &str, name: &str, hooks: Hooks<'_>) -> Analysed<JobSummary> {
        let attempt = self.data.job(id).join("attempt");
        remove(&attempt);
        files::make_dir(&attempt)?;
        let result = self.analyse_into(id, name, &attempt, hooks);
        match &result {
            Ok(_) => self.publish(id, &attempt)?,
            // What was written says why the scan was refused.
            Err(AnalysisFailure::Error(e)) if e.kind() == ErrorKind::Scan => {
                self.publish(id, &attempt)?;
            }
            Err(_) => remove(&attempt),
        }
        result
    }

    fn publish(&self, id: &str, attempt: &Path) -> Result<()> {
        sync_tree(attempt)?;
        let results = self.data.results(id);
        // Results of an attempt that failed, or whose row the database did not take.
        remove(&results);
        fs::rename(attempt, &results)
            .map_err(|e| Error::write(&results, "publish the results", e))?;
        Ok(files::sync_dir(&self.data.job(id))?)
    }

    fn analyse_into(
        &self,
        id: &str,
        name: &str,
        out: &Path,
        hooks: Hooks<'_>,
    ) -> Analysed<JobSummary> {
        let Hooks { stop, told } = hooks;
        let input = self.database.input(id)?;
        let path = self.scan_path(id, &input)?;
        let dicom = self.analyser.dicom(&input.replaces)?;
        told(0.0, "read");
        let alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if stop.is_raised() {
            return Err(AnalysisFailure::Stopped);
        }
        let begin = Instant::now();
        let opened = open_scan(&path, &self.read_options()).map_err(multirnet::Error::from);
        let mut scan = match opened {
            Ok(scan) => scan,
            Err(error) => {
                // A study without CT has no series to which an answer could belong.
                let _ = refuse_study(&path, out, &error, &dicom);
                return Err(error.into());
            }
        };
        let read_seconds = begin.elapsed().as_secs_f64();
        let facts = facts(&scan);
        let shown = shown_name(&scan).unwrap_or_else(|| name.to_owned());
        // Results name the scan as people know it, and not by its place on the server.
        scan.path.clone_from(&shown);
        let Analyser { model, options, .. } = &self.analyser;
        let plan = model.plan(scan.volume.geometry(), false, options);
        told(0.02, "waiting for memory");
        let needed = plan.peak();
        let budget = self.memory.budget();
        let Some(_admission) = self.memory.admit(needed, stop) else {
            return Err(match needed > budget {
                true => AnalysisFailure::Memory { needed, budget },
                false => AnalysisFailure::Stopped,
            });
        };
        drop(alone);
        let mut progress = |p: multirnet::Progress| {
            let stage = match p.stage {
                Stage::Windows { done, total } => format!("windows {done} of {total}"),
                other => other.name().to_owned(),
            };
            told(0.05 + 0.75 * p.fraction, &stage);
        };
        let analysed = multirnet::analyse(model, &scan, None, options, stop, &mut progress);
        let mut prediction = match analysed {
            Ok(prediction) => prediction,
            Err(error) => {
                if let (multirnet::ErrorKind::Scan, Some(series)) = (error.kind(), &scan.series) {
                    write_dicom(&dicom_refusal(series, &shown, &error, &dicom)?, out)?;
                }
                return Err(error.into());
            }
        };
        let read = Timing {
            stage: "read".into(),
            seconds: read_seconds,
        };
        prediction.finding.timings.insert(0, read);
        told(0.8, "write");
        let begin = Instant::now();
        let place = (shown.as_str(), out);
        let (maps, extras) = rayon::join(
            || write_results(&scan.volume, &prediction, &shown, HeatmapGrid::Own, out),
            || write_extras(&scan, &prediction, place, &dicom),
        );
        maps?;
        extras?;
        let summary = JobSummary::new(facts, shown, &prediction.finding);
        files::write(&out.join(SUMMARY), to_json(&summary)?.as_bytes())?;
        for timing in &prediction.finding.timings {
            self.metrics.stage(&timing.stage, timing.seconds);
        }
        self.metrics.stage("write", begin.elapsed().as_secs_f64());
        if stop.is_raised() {
            return Err(AnalysisFailure::Stopped);
        }
        Ok(summary)
    }
}

/// Writes what the server shows besides the library's folder of results.
fn write_extras(
    scan: &Scan,
    prediction: &Prediction,
    (name, out): (&str, &Path),
    dicom: &DicomOptions,
) -> Result<()> {
    let (finding, maps) = (&prediction.finding, &prediction.maps);
    let views = || -> Result<()> {
        let preview = preview::write(scan, maps, &out.join("preview"))?;
        let picture = thumbnail_png(&preview.ct, &preview.lungs, &preview.lesions, THUMBNAIL);
        let picture = picture.map_err(multirnet::Error::from)?;
        files::write(&out.join("thumbnail.png"), &picture)?;
        let has_kinds = !finding.lesion_kinds.is_empty();
        let list = lesions(&scan.volume, &maps.lungs, &maps.lesions, has_kinds)?;
        let list = to_json(&serde_json::json!({ "lesions": list }))?;
        Ok(files::write(&out.join("lesions.json"), list.as_bytes())?)
    };
    let documents = || -> Result<()> {
        let overview = Overview {
            scan: &scan.volume,
            finding,
            maps,
        };
        let facts = PdfFacts {
            date: dicom.made_on,
            series_description: facts(scan).description,
            replaces: None,
        };
        let planes = planes_png(&overview).map_err(multirnet::Error::from)?;
        let pdf = finding_pdf(name, finding, &planes, &facts).map_err(multirnet::Error::from)?;
        files::write(&out.join("report.pdf"), &pdf)?;
        // A series that was resampled has no DICOM results: its slices are not the volume's.
        if scan.series.as_ref().is_some_and(|s| s.grid.is_some()) {
            write_dicom(&dicom_results(scan, prediction, name, dicom)?, out)?;
        }
        Ok(())
    };
    let (a, b) = rayon::join(views, documents);
    a.and(b)
}

fn attribute(scan: &Scan, tag: (u16, u16)) -> Option<String> {
    let attributes = scan.series.iter().flat_map(|s| &s.attributes);
    let mut found = attributes.filter(|a| a.tag == tag);
    plain(&found.next()?.value)
}

/// A text of a header as it may be shown; `None` if nothing is left.
fn plain(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| is_plain(*c)).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What the work list shows of a scan.
fn facts(scan: &Scan) -> ScanFacts {
    let uid = scan.series.as_ref().map(|s| &s.series_uid);
    let taken = scan.listing.iter().find(|s| Some(&s.uid) == uid);
    ScanFacts {
        format: scan.format.to_owned(),
        patient: attribute(scan, PATIENT_ID),
        study_date: attribute(scan, STUDY_DATE)
            .filter(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_digit())),
        description: taken.and_then(|s| plain(&s.description)),
    }
}

/// How a study of an archive is named: by accession number and patient ID, which those who see it know.
fn shown_name(scan: &Scan) -> Option<String> {
    let mut parts: Vec<String> = [ACCESSION, PATIENT_ID]
        .into_iter()
        .filter_map(|tag| attribute(scan, tag))
        .collect();
    parts.dedup();
    (!parts.is_empty()).then(|| parts.join(", "))
}
