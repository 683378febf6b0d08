//! Figures of scans: all systems on the same slice, and surfaces in three dimensions.

use super::sheet::Sheet;
use super::study::{Study, check_stop, figure_error};
use crate::scoring::TestScan;
use crate::system_result::SystemResult;
use crate::{Error, ErrorKind, Result};
pub(super) use multirnet::evaluation::slices::cut;
use multirnet::evaluation::slices::{busiest, display_hu, frame, title};
use multirnet_anatomy::Intensity;
use multirnet_metrics::Metric;
use multirnet_report::{
    Detail, OverlayCase, OverlayFigure, OverlayMask, PixelBox, SurfaceFigure, Theme, View3,
    overlay_svg, surface_panels, surfaces_svg,
};
use multirnet_volume::{Diagnosis, Volume, io};

const THEME: &Theme = &Theme::LIGHT;

/// A test scan in canonical orientation, as pictures show it.
pub(super) struct Shown {
    /// Title of its pictures.
    pub(super) name: String,
    /// CT in HU, or the display values of [`display_hu`].
    pub(super) ct: Volume<f32>,
    /// Whether its values are not HU.
    grey: bool,
    pub(super) lungs: Volume<u8>,
    pub(super) truth: Volume<u8>,
    /// The scan as it was read.
    pub(super) read: TestScan,
}

impl Shown {
    /// Reads the scan of score number `index`.
    pub(super) fn read(study: &Study<'_>, index: usize) -> Result<Self> {
        let (_, case) = study
            .place(index)
            .ok_or_else(|| Error::new(ErrorKind::Figure, "there is no such test scan"))?;
        let case = &study.cohort.cases[case];
        let prepare = study.config.predict_options()?.prepare;
        let read = TestScan::read(case, &prepare, study.read)?;
        let nothing = || Volume::filled(0, *read.case.scan.geometry());
        let truth = read.case.lesions.clone().unwrap_or_else(nothing);
        Ok(Self {
            name: title(case),
            ct: display_hu(&read.case.scan, case.intensity).to_canonical(),
            grey: case.intensity == Intensity::Unit,
            lungs: read.case.lungs.to_canonical(),
            truth: truth.to_canonical(),
            read,
        })
    }

    /// The slice with the most lesion, or with the most lung where there is no lesion.
    pub(super) fn slice(&self) -> usize {
        let lesion = busiest(&self.truth);
        lesion.or_else(|| busiest(&self.lungs)).unwrap_or(0)
    }

    /// The part of a slice that holds the lungs.
    pub(super) fn frame(&self, z: usize) -> Result<PixelBox> {
        Ok(frame(&self.lungs, z)?)
    }
}

/// The system whose scores choose the scans: the reference, or the first that segments.
fn reference_system<'a>(study: &'a Study<'_>) -> Option<&'a SystemResult> {
    let able = |s: &&SystemResult| s.segmentation().is_some();
    let all = || study.results.systems.iter().filter(able);
    all()
        .find(|s| s.id == study.results.reference)
        .or_else(|| all().next())
}

/// Positions of scores. For each class with lesions these are the scans at the lower and at the upper
/// quartile of the reference system's Dice. Nobody picks the best or the worst by hand.
fn representative_cases(study: &Study<'_>) -> Vec<usize> {
    let Some(system) = reference_system(study) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for class in Diagnosis::ALL {
        let mut ranked: Vec<(f64, usize)> = system
            .cases
            .iter()
            .enumerate()
            .filter(|(_, s)| s.class == Some(class))
            .filter_map(|(i, s)| Some((i, s.segmentation.as_ref()?)))
            .filter(|(_, s)| !s.overlap.truth_is_empty())
            .map(|(i, s)| (Metric::Dice.value(s).unwrap_or(0.0), i))
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let Some(last) = ranked.len().checked_sub(1) else {
            continue;
        };
        let mut places = vec![last / 4, last - last / 4];
        places.dedup();
        all.extend(places.into_iter().map(|p| ranked[p].1));
    }
    all
}

fn mask(study: &Study<'_>, system: &str, index: usize) -> Result<Volume<u8>> {
    let (division, case) = study
        .place(index)
        .ok_or_else(|| Error::new(ErrorKind::Figure, "there is no such test scan"))?;
    let path = study.folder.mask(system, &division.name, case);
    let mask = io::read_labels(&path).map_err(|e| Error::caused(ErrorKind::Malformed, e))?;
    Ok(mask.to_canonical())
}

/// All systems on the same slices.
pub(super) fn overlays<'a>(study: &'a Study<'_>) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    let (mut cases, mut grey) = (Vec::new(), false);
    for index in representative_cases(study) {
        check_stop(study.stop)?;
        let shown = Shown::read(study, index)?;
        grey |= shown.grey;
        let z = shown.slice();
        let frame = shown.frame(z)?;
        let mut systems = Vec::new();
        for system in &study.results.systems {
            let Some(scores) = &system.cases[index].segmentation else {
                continue;
            };
            systems.push(OverlayMask {
                name: system.label.clone(),
                mask: cut(&mask(study, &system.id, index)?, z, &frame)?,
                dice_percent: Metric::Dice.value(scores).map(|d| 100.0 * d),
            });
        }
        cases.push(OverlayCase {
            name: format!("{}, slice {}", shown.name, z + 1),
            scan: cut(&shown.ct, z, &frame)?,
            truth: cut(&shown.truth, z, &frame)?,
            systems,
        });
    }
    let Some(system) = reference_system(study).filter(|_| !cases.is_empty()) else {
        return Ok(sheet);
    };
    let figure = OverlayFigure {
        title: if study.results.synthetic {
            "The same slices, all systems (synthetic phantoms)".into()
        } else {
            "The same slices, all systems".into()
        },
        cases,
        most_columns: 6,
        note: format!(
            "Dice in percent of the whole scan.{}",
            if grey {
                " Grey values that are not HU are spread over the window."
            } else {
                ""
            }
        ),
    };
    sheet.add(
        "overlays",
        overlay_svg(&figure, THEME).map_err(figure_error)?,
        &format!(
            "The slice with most lesion of scans at the lower and upper quartile of {}'s Dice in \
             each class: truth solid, system dashed.",
            system.label
        ),
        "CT slices with the outlines of the true lesions and of each system's",
    )?;
    Ok(sheet)
}

/// Truth and prediction of the reference system in three dimensions, for one scan.
pub(super) fn surfaces<'a>(study: &'a Study<'_>) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    let Some(system) = reference_system(study) else {
        return Ok(sheet);
    };
    // The last case is at an upper quartile, of COVID-19 if there is any.
    let Some(&index) = representative_cases(study).last() else {
        return Ok(sheet);
    };
    let shown = Shown::read(study, index)?;
    let prediction = mask(study, &system.id, index)?;
    let panels = |detail: &Detail| {
        check_stop(study.stop)?;
        surface_panels(Some(&shown.lungs), &shown.truth, &prediction, detail).map_err(figure_error)
    };
    let kind = if study.results.synthetic {
        " (synthetic phantom)"
    } else {
        ""
    };
    let figure = SurfaceFigure {
        title: format!("{}: {}{kind}", system.label, shown.name),
        panels: panels(&Detail::FINE)?,
        views: vec![View3::Anterior, View3::Left, View3::Inferior],
        note: "Marching cubes, smoothed; volumes are counted in voxels.".into(),
    };
    let svg = surfaces_svg(&figure, THEME).map_err(figure_error)?;
    sheet.add(
        "surfaces",
        svg,
        "True lesions, predicted lesions and their difference in translucent lungs.",
        "Lungs with lesions in three views, for truth, prediction and difference",
    )?;
    Ok(sheet)
}
