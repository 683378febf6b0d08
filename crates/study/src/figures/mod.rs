//! The report of a study: every figure as SVG and PNG, and one page with all of them.

mod charts;
mod explain;
mod pictures;
mod sheet;
mod study;

use crate::ablation::{AXES, Axis};
use crate::division::Division;
use crate::folder::{Folder, read_json};
use crate::{Result, Results};
use multirnet_base::{StopToken, files::write};
use multirnet_cohort::load::Reader;
use multirnet_infer::DeviceChoice;
use multirnet_report::{Block, ReportPage, Section, report_page};
use sheet::Sheet;
use std::path::{Path, PathBuf};
use study::{Study, check_stop};

/// Draws the report of the study in `root` anew and returns the path of its page. `progress` receives
/// the name of the current part. `results` are those of the study, if they are known already and
/// their tables are written. Without them, this function reads them and writes the tables.
///
/// Only the heat maps run networks, on `device`. All other figures come from scores, logs and masks.
/// Raising `stop` ends the drawing before the next figure or system. The figures drawn so far and the
/// page of an earlier report stay.
///
/// # Errors
/// As [`crate::results`]; `Figure` if a figure cannot be drawn; `Write` if a file cannot be written;
/// `Interrupted` if `stop` was raised.
pub fn report(
    root: &Path,
    read: &Reader<'_>,
    device: DeviceChoice,
    results: Option<Results>,
    progress: &mut dyn FnMut(&str),
    stop: &StopToken,
) -> Result<PathBuf> {
    let (folder, config) = Folder::existing(root)?;
    let mut begin = |what: &str| {
        progress(what);
        check_stop(stop)
    };
    begin("tables")?;
    let cohort = crate::cohort::existing(&config.cohort, &folder)?;
    let results = match results {
        Some(results) => results,
        None => {
            let results = Results::read(&config, &folder, &cohort)?;
            crate::write_tables(&folder, &results)?;
            results
        }
    };
    let divisions = Division::all(&config, &cohort)?;
    let cohort = cohort.cohort;
    let axes: Option<Vec<Axis>> = read_json(&root.join(AXES))?;
    let study = Study {
        config,
        folder,
        cohort,
        divisions,
        results,
        read,
        device,
        stop,
    };
    let mut sections = vec![Section {
        heading: "Tables".into(),
        blocks: crate::tables(&study.results)
            .into_iter()
            .map(|(_, table)| Block::Table(table))
            .collect(),
    }];
    let mut section = |heading: &str, sheet: Sheet<'_>| {
        if !sheet.blocks.is_empty() {
            sections.push(Section {
                heading: heading.into(),
                blocks: sheet.blocks,
            });
        }
    };
    if let Some(axes) = &axes {
        begin("ablation bars")?;
        section("Ablation", charts::ablation(&study, axes)?);
    }
    begin("training curves")?;
    section("Training", charts::curves(&study)?);
    begin("box plots")?;
    section("Segmentation", charts::boxes(&study)?);
    begin("Bland–Altman plots")?;
    section("Agreement", charts::agreement(&study)?);
    begin("reliability diagrams")?;
    section("Calibration", charts::reliability(&study)?);
    begin("confusion matrices and ROC curves")?;
    section("Classification", charts::classification(&study)?);
    begin("overlays")?;
    section("Examples", pictures::overlays(&study)?);
    begin("surfaces")?;
    section("Surfaces", pictures::surfaces(&study)?);
    begin("Grad-CAM")?;
    section("Explanation", explain::panels(&study)?);
    let page = ReportPage {
        title: study.results.title.clone(),
        lead: "Systems trained alike on the same scans and scored alike on the same test scans."
            .into(),
        synthetic: study.results.synthetic,
        sections,
        provenance: vec![
            ("Program".into(), env!("CARGO_PKG_VERSION").into()),
            ("Divisions".into(), study.results.divisions.join(", ")),
            ("Configuration".into(), "study.toml beside this page".into()),
        ],
    };
    let path = root.join("index.html");
    write(&path, report_page(&page).as_bytes())?;
    Ok(path)
}
