//! The report of a study: every figure as SVG and PNG, and one page with all of them.

mod charts;
mod explain;
mod pictures;
mod sheet;
pub(crate) mod slices;

use crate::ablation::{AXES, Axis};
use crate::folder::{Division, Folder, read_json};
use crate::{Error, ErrorKind, Result, Results, StudyConfig};
use multirnet_base::files::write;
use multirnet_report::{Block, ReportPage, Section, report_page};
use multirnet_train::Cohort;
use multirnet_train::load::Reader;
use sheet::Sheet;
use std::path::{Path, PathBuf};

/// What figures are drawn from.
struct Study<'a> {
    config: StudyConfig,
    folder: Folder,
    cohort: Cohort,
    divisions: Vec<Division>,
    results: Results,
    read: &'a Reader<'a>,
}

impl Study<'_> {
    /// Where score number `index` of each system's list comes from: its division and case.
    fn place(&self, index: usize) -> Option<(&Division, usize)> {
        let all = self.divisions.iter();
        let mut all = all.flat_map(|d| d.test().into_iter().map(move |case| (d, case)));
        all.nth(index)
    }
}

pub(crate) fn drawn(e: multirnet_report::Error) -> Error {
    Error::caused(ErrorKind::Figure, e)
}

/// Draws the report of the study in `root` anew and gives its page; `progress` is told what is
/// drawn.
///
/// # Errors
/// As [`crate::results`]; `Figure`; `Io`.
pub fn report(root: &Path, read: &Reader<'_>, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let (folder, config) = Folder::existing(root)?;
    progress("tables");
    let (results, cohort) = crate::results(&config, &folder)?;
    crate::write_tables(&folder, &results)?;
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
    };
    let mut sections = vec![Section {
        heading: "Tables".into(),
        blocks: crate::tables(&study.results)
            .into_iter()
            .map(|(_, table)| Block::Table(table))
            .collect(),
    }];
    let mut section = |heading: &str, sheet: Sheet| {
        if !sheet.blocks.is_empty() {
            sections.push(Section {
                heading: heading.into(),
                blocks: sheet.blocks,
            });
        }
    };
    if let Some(axes) = &axes {
        progress("ablation bars");
        section("Ablation", charts::ablation(&study, axes)?);
    }
    progress("training curves");
    section("Training", charts::curves(&study)?);
    progress("box plots");
    section("Segmentation", charts::boxes(&study)?);
    progress("Bland–Altman plots");
    section("Lesion volume", charts::agreement(&study)?);
    progress("confusion matrices and ROC curves");
    section("Classification", charts::classification(&study)?);
    progress("overlays");
    section("Examples", pictures::overlays(&study)?);
    progress("surfaces");
    section("Surfaces", pictures::surfaces(&study)?);
    progress("Grad-CAM");
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
