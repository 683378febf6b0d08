//! Pictures of single cases: true and predicted outlines on a few slices.

use super::CaseScore;
use super::parts::CasePrediction;
use super::slices::{busiest, cut, display_hu, frame, title};
use crate::{Error, Result};
use multirnet_anatomy::Intensity;
use multirnet_cohort::{Case, load::CaseScan};
use multirnet_report::{OverlayCase, OverlayFigure, OverlayMask, Theme, figure_png, overlay_svg};
use multirnet_volume::Volume;

/// Maximum number of slices that a picture shows.
const SLICES: usize = 4;

/// A picture (PNG) of a case: a few slices with the true outlines (blue, solid), and beside them the
/// same slices with the predicted outlines (orange, dashed).
///
/// # Errors
/// `Draw` if the grids differ or the picture cannot be made.
pub fn case_picture(
    case: &Case,
    scan: &CaseScan,
    prediction: &CasePrediction,
    score: &CaseScore,
) -> Result<Vec<u8>> {
    let ct = display_hu(&scan.scan, case.intensity).to_canonical();
    let lungs = scan.lungs.to_canonical();
    let predicted = prediction.lesions.to_canonical();
    let nothing = || Volume::filled(0, *predicted.geometry());
    let truth = scan
        .lesions
        .as_ref()
        .map_or_else(nothing, Volume::to_canonical);
    let dice = score.segmentation.as_ref().and_then(|s| s.dice);
    let known = scan.lesions.is_some();
    let cases = levels(&truth, &predicted, &lungs).into_iter().map(|z| {
        let frame = frame(&lungs, z)?;
        Ok(OverlayCase {
            name: format!("{}, slice {} of {}", title(case), z + 1, ct.shape()[0]),
            scan: cut(&ct, z, &frame)?,
            truth: cut(&truth, z, &frame)?,
            systems: vec![OverlayMask {
                name: "Model".into(),
                mask: cut(&predicted, z, &frame)?,
                dice_percent: dice.map(|d| 100.0 * d),
            }],
        })
    });
    let figure = OverlayFigure {
        title: score.scan.clone(),
        cases: cases.collect::<Result<_>>()?,
        most_columns: 2,
        note: note(known, case.intensity, score),
    };
    let svg = overlay_svg(&figure, &Theme::LIGHT)?;
    figure_png(&svg, 1.5).map_err(Error::from)
}

fn note(known: bool, intensity: Intensity, score: &CaseScore) -> String {
    let mut note = String::from(if known {
        "Dice of the whole scan."
    } else {
        "The true lesions are unknown: no reference is drawn."
    });
    if intensity == Intensity::Unit {
        note += " Grey values that are not HU are spread over the window.";
    }
    if let (Some(p), Some(class)) = (score.probabilities, score.predicted()) {
        note += &format!(
            " Most probable class: {} ({:.0} %).",
            class.label(),
            100.0 * p.of_class(class)
        );
    }
    note + " For research use only. Not a medical device."
}

/// The slices to show: the one with the most lesion, and others spread evenly over the slices with
/// true or predicted lesions. Without lesions it is the slice with the most lung.
fn levels(truth: &Volume<u8>, predicted: &Volume<u8>, lungs: &Volume<u8>) -> Vec<usize> {
    let marked = |v: &Volume<u8>, z: usize| v.plane(z).iter().any(|l| *l != 0);
    let bearing: Vec<usize> = (0..truth.shape()[0])
        .filter(|&z| marked(truth, z) || marked(predicted, z))
        .collect();
    let Some(busiest) = busiest(truth).or_else(|| busiest(predicted)) else {
        return vec![busiest(lungs).unwrap_or(lungs.shape()[0] / 2)];
    };
    let parts = SLICES - 1;
    let mut levels: Vec<usize> = (0..parts)
        .map(|k| bearing[bearing.len() * (2 * k + 1) / (2 * parts)])
        .chain([busiest])
        .collect();
    levels.sort_unstable();
    levels.dedup();
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    #[test]
    fn slices_are_spread_over_the_lesions() {
        let grid = Geometry::axial([12, 1, 4], [1.0; 3]).unwrap();
        let lungs = Volume::from_fn(grid, |[z, _, x]| u8::from(z == 7 || x == 0));
        let truth = Volume::from_fn(grid, |[z, _, x]| u8::from((2..5).contains(&z) && x < z - 1));
        let predicted = Volume::from_fn(grid, |[z, _, x]| u8::from((4..8).contains(&z) && x == 3));
        assert_eq!(levels(&truth, &predicted, &lungs), [3, 4, 5, 7]);
        let none = Volume::filled(0u8, grid);
        assert_eq!(levels(&none, &none, &lungs), [7]);
    }
}
