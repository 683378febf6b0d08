//! Columns and cells of calibration, involvement and heat, for the tables of an evaluation and of a study.

use super::{Calibration, CaseScore, HeatScore};
use multirnet_metrics::stats::{BlandAltman, Limit};
use multirnet_metrics::{Temperature, number};
use multirnet_report::Column;

fn numbers(names: &[&str]) -> Vec<Column> {
    names.iter().map(|n| Column::new(*n, true)).collect()
}

/// Columns of [`calibration_cells`].
pub fn calibration_columns() -> Vec<Column> {
    numbers(&[
        "scans with known lesions",
        "lesions: calibration error, %",
        "from 5 % on, %",
        "Brier score",
        "temperature that fits",
        "scans with known class",
        "classes: calibration error, %",
        "log loss",
        "temperature that fits",
        "log loss with it",
    ])
}

/// The cells of a calibration; `None` if it is empty.
pub fn calibration_cells(calibration: &Calibration) -> Option<Vec<String>> {
    let (lesions, classes) = (calibration.lesions.as_ref(), calibration.classes.as_ref());
    if lesions.is_none() && classes.is_none() {
        return None;
    }
    let count = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
    let of = |t: Option<Temperature>, f: fn(Temperature) -> f64| number::text(t.map(f), 3);
    let mut cells = vec![count(lesions.map(|l| l.scans))];
    cells.extend(match lesions {
        Some(l) => [
            number::percent(l.error, 2),
            number::percent(l.error_above, 2),
            number::text(l.brier, 4),
            of(l.temperature, |t| t.value),
        ],
        None => Default::default(),
    });
    cells.push(count(classes.map(|c| c.scans)));
    cells.extend(match classes {
        Some(c) => [
            number::percent(c.error, 1),
            of(c.temperature, |t| t.loss_before),
            of(c.temperature, |t| t.value),
            of(c.temperature, |t| t.loss_after),
        ],
        None => Default::default(),
    });
    Some(cells)
}

/// A note under a table of calibration.
pub const CALIBRATION_NOTE: &str = "Calibration error: expected calibration error in ten bins of equal width. Lesions: all voxels of the \
     lungs, most of which are far from any lesion, and those whose probability is at least 5 %. Classes: the most \
     probable one. The temperature divides logits. It is above 1 for probabilities that are too sure. It is fitted to \
     these very scans, so it describes them and does not correct them.";

/// Columns of [`involvement_cells`].
pub fn involvement_columns() -> Vec<Column> {
    numbers(&[
        "scans",
        "bias, points",
        "lower limit",
        "upper limit",
        "outside",
    ])
}

/// The cells of an agreement of shares of the lungs.
pub fn involvement_cells(agreement: &BlandAltman) -> Vec<String> {
    let points = |l: &Limit| {
        let [value, low, high] = [l.value, l.low, l.high].map(|v| number::text(Some(100.0 * v), 2));
        format!("{value} ({low} to {high})")
    };
    vec![
        agreement.n.to_string(),
        points(&agreement.bias),
        points(&agreement.lower),
        points(&agreement.upper),
        agreement.n_outside.to_string(),
    ]
}

/// A note under a table of involvement.
pub const INVOLVEMENT_NOTE: &str = "Predicted minus true share of the lungs' volume, in percentage points: Bland and Altman's bias and 95 % limits of \
     agreement, with 95 % confidence intervals over scans. Scans of one patient count as independent.";

/// Columns of [`heat_rows`].
pub fn heat_columns() -> Vec<Column> {
    let mut columns = vec![Column::new("Class", false)];
    columns.extend(numbers(&[
        "scans with heat and lesions",
        "heat in lesions, %",
        "lesions of the lungs, %",
        "heat in the lungs, %",
        "hottest voxel in a lesion",
        "correlation with random weights",
    ]));
    columns
}

/// One row for the scans whose class is right and one for those whose class is wrong, as means over scans that have heat
/// and lesions.
pub fn heat_rows(cases: &[&CaseScore]) -> Vec<Vec<String>> {
    let row = |right: bool| {
        let of_kind = cases
            .iter()
            .filter(|c| c.class.is_some() && (c.class == c.predicted()) == right);
        let heats: Vec<&HeatScore> = of_kind
            .filter_map(|c| c.heat.as_ref())
            .filter(|h| h.in_lesions.is_some())
            .collect();
        let mean = |f: fn(&HeatScore) -> Option<f64>| {
            let values: Vec<f64> = heats.iter().filter_map(|h| f(h)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let peaks = heats.iter().filter(|h| h.peak_in_lesions == Some(true));
        (!heats.is_empty()).then(|| {
            vec![
                if right { "right" } else { "wrong" }.to_owned(),
                heats.len().to_string(),
                number::percent(mean(|h| h.in_lesions), 1),
                number::percent(mean(|h| h.lesions_of_lungs), 1),
                number::percent(mean(|h| h.in_lungs), 1),
                format!("{} of {}", peaks.count(), heats.len()),
                number::text(mean(|h| h.like_random), 2),
            ]
        })
    };
    [true, false].into_iter().filter_map(row).collect()
}

/// A note under a table of heat.
pub const HEAT_NOTE: &str = "Grad-CAM of the most probable class. Heat spread evenly over the lungs would have the lesions' share of the lungs \
     in the lesions. Correlation: Spearman's, with the map of the same net with random weights; near 1 the map shows the \
     picture and the net's structure, not what it has learned.";

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_cohort::Case;
    use multirnet_finding::Probabilities;
    use multirnet_metrics::SurfaceConfig;
    use multirnet_volume::{Diagnosis, Geometry, Volume};

    fn case(class: Diagnosis, in_lesions: Option<f64>, peak: bool) -> CaseScore {
        let grid = Geometry::axial([1, 1, 2], [1.0; 3]).unwrap();
        let said = super::super::Said {
            lesions: None,
            lesion_channels: 0,
            probability: None,
            probabilities: Some(Probabilities::from_array([0.1, 0.2, 0.7])),
        };
        let lungs = Volume::filled(1u8, grid);
        let case = Case::new("a", None, class, "p");
        let surface = SurfaceConfig::default();
        let mut score = CaseScore::from_output(0, &case, None, &lungs, &said, &surface).unwrap();
        score.heat = Some(HeatScore {
            class: Diagnosis::Covid19,
            in_lesions,
            in_lungs: Some(0.8),
            lesions_of_lungs: Some(0.1),
            peak_in_lesions: in_lesions.map(|_| peak),
            like_random: None,
        });
        score
    }

    #[test]
    fn heat_of_right_and_of_wrong_classes() {
        let cases = [
            case(Diagnosis::Covid19, Some(0.5), true),
            case(Diagnosis::Covid19, Some(0.25), false),
            case(Diagnosis::Covid19, None, false),
            case(Diagnosis::Normal, None, false),
        ];
        let rows = heat_rows(&cases.iter().collect::<Vec<_>>());
        assert_eq!(rows.len(), 1, "{rows:?}");
        let expected = ["right", "2", "37.5", "10.0", "80.0", "1 of 2"];
        assert_eq!(rows[0][..6], expected);
    }

    #[test]
    fn cells_fit_their_columns() {
        let cases = [case(Diagnosis::Covid19, None, false)];
        let all = Calibration::from_cases(&[&cases[0]]).unwrap();
        let cells = calibration_cells(&all).unwrap();
        assert_eq!(cells.len(), calibration_columns().len());
        assert_eq!((cells[0].as_str(), cells[5].as_str()), ("", "1"));
        let agreement = BlandAltman::from_pairs(&[0.2, 0.3], &[0.1, 0.1]).unwrap();
        let cells = involvement_cells(&agreement);
        assert_eq!(cells.len(), involvement_columns().len());
        assert!(cells[1].starts_with("15.00 ("), "{}", cells[1]);
        let none = Calibration::from_cases(&[]).unwrap();
        assert!(calibration_cells(&none).is_none());
    }
}
