//! Charts of a study's numbers.

use super::sheet::Sheet;
use super::study::{Study, figure_error};
use crate::ablation::Axis;
use crate::system_result::{Compared, SystemResult};
use crate::{Error, ErrorKind, Result};
use multirnet::evaluation::CaseScore;
use multirnet_metrics::Metric;
use multirnet_metrics::stats::{Correction, stars_note};
use multirnet_report::{
    AgreementGroup, AgreementPlot, Bar, BarChart, BarGroup, BoxGroup, BoxPlot, Confusion, Curve,
    CurveFigure, ReliabilityCurve, ReliabilityFigure, RocCurve, RocFigure, Significance, Theme,
    bar_chart_svg, bland_altman_svg, box_plot_svg, confusion_svg, panels_svg, read_log,
    reliability_svg, roc_svg, training_curves_svg,
};
use multirnet_volume::Diagnosis;

const THEME: &Theme = &Theme::LIGHT;

/// Loss and validation Dice of every system, of the first division.
pub(super) fn curves<'a>(study: &'a Study<'_>) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    let division = &study.divisions[0].name;
    let kinds = [
        (
            "train_loss",
            "training-loss",
            "Loss on training windows",
            "loss",
        ),
        (
            "val_loss",
            "validation-loss",
            "Loss on validation windows",
            "loss",
        ),
        (
            "val_dice",
            "validation-dice",
            "Dice on validation windows",
            "Dice",
        ),
        (
            "val_accuracy",
            "validation-accuracy",
            "Accuracy on validation windows",
            "accuracy",
        ),
    ];
    for (column, name, title, axis) in kinds {
        let mut curves: Vec<Curve> = Vec::new();
        for system in &study.results.systems {
            let log = study.folder.run(&system.id, division).join("log.csv");
            let read = read_log(&log, |c| c == column).map_err(figure_error)?;
            let points = read
                .into_iter()
                .next()
                .map(|c| c.points)
                .unwrap_or_default();
            // A system that does not have this task has no values for it.
            if points.iter().any(|p| p[1].is_finite()) {
                curves.push(Curve {
                    name: system.label.clone(),
                    points,
                });
            }
        }
        if curves.is_empty() {
            continue;
        }
        let figure = CurveFigure {
            title: title.into(),
            x_label: "epoch".into(),
            y_label: axis.into(),
            curves,
        };
        sheet.add(
            name,
            training_curves_svg(&figure, THEME),
            &format!(
                "{title}, {division}. Losses of systems with different tasks have different scales."
            ),
            &format!("Curves over epochs: {}", title.to_lowercase()),
        )?;
    }
    Ok(sheet)
}

/// One box plot for each of the paper's metrics.
pub(super) fn boxes<'a>(study: &'a Study<'_>) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    let results = &study.results;
    let systems: Vec<&SystemResult> = results
        .systems
        .iter()
        .filter(|s| s.segmentation().is_some())
        .collect();
    if systems.is_empty() {
        return Ok(sheet);
    }
    let first = systems.iter().position(|s| s.id == results.reference);
    for metric in Metric::PAPER {
        let groups = systems.iter().map(|system| BoxGroup {
            name: system.label.clone(),
            values: system
                .values(metric)
                .into_iter()
                .map(|v| v.map_or(f64::NAN, |v| v * metric.table_scale()))
                .collect(),
        });
        let marks = first.into_iter().flat_map(|first| {
            let others = systems.iter().enumerate();
            others.filter_map(move |(second, system)| {
                let test = results.comparison(Compared::Segmentation(metric), &system.id)?;
                let stars = &test.significance_t.stars;
                Some(Significance {
                    first,
                    second,
                    stars: if stars.is_empty() {
                        "n.s.".into()
                    } else {
                        stars.clone()
                    },
                })
            })
        });
        let compared = Compared::Segmentation(metric);
        let all = results.comparisons.iter();
        let tested = all.filter(|c| c.compared == compared).count();
        let title = capital(metric.label());
        let plot = BoxPlot {
            title: title.clone(),
            axis: format!("{}, {}", metric.label(), metric.unit()),
            groups: groups.collect(),
            marks: marks.collect(),
            range: (!metric.is_distance()).then_some([0.0, 100.0]),
            note: format!(
                "{}; n.s. not significant.",
                stars_note("paired t test", Correction::Holm, tested)
            ),
        };
        sheet.add(
            &format!("box-{}", slug(metric.label())),
            box_plot_svg(&plot, THEME),
            &format!("{title} in the test scans that truly have lesions."),
            &format!("Box plots of {} per system", metric.label()),
        )?;
    }
    Ok(sheet)
}

/// Bland–Altman plots of the lesion volume and of the share of the lungs involved.
pub(super) fn agreement<'a>(study: &'a Study<'_>) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    type Pair = fn(&CaseScore) -> Option<[f64; 2]>;
    let volume: Pair = |s| {
        let overlap = s.segmentation.as_ref()?.overlap;
        Some([overlap.truth_ml(), overlap.predicted_ml()])
    };
    let share: Pair = |s| Some([100.0 * s.true_share?, 100.0 * s.lesion_share?]);
    for system in &study.results.systems {
        if system.segmentation().is_none() {
            continue;
        }
        for (quantity, unit, file, pair) in [
            ("lesion volume", "ml", "bland-altman", volume),
            (
                "share of the lungs involved",
                "%",
                "bland-altman-share",
                share,
            ),
        ] {
            let group = |class: Diagnosis| AgreementGroup {
                name: class.label().into(),
                pairs: system
                    .cases
                    .iter()
                    .filter(|s| s.class == Some(class))
                    .filter_map(pair)
                    .collect(),
            };
            let groups = Diagnosis::ALL.into_iter().map(group);
            let groups: Vec<_> = groups.filter(|g| !g.pairs.is_empty()).collect();
            if groups.is_empty() {
                continue;
            }
            let plot = AgreementPlot {
                title: system.label.clone(),
                quantity: quantity.into(),
                unit: unit.into(),
                groups,
            };
            sheet.add(
                &format!("{file}-{}", system.id),
                bland_altman_svg(&plot, THEME),
                &format!(
                    "{} by {} against the truth.",
                    capital(quantity),
                    system.label
                ),
                &format!(
                    "Differences of the {quantity} over their means, with bias and limits of agreement"
                ),
            )?;
        }
    }
    Ok(sheet)
}

/// Reliability diagrams of the lesion probability, a curve for each source.
pub(super) fn reliability<'a>(study: &'a Study<'_>) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    for system in &study.results.systems {
        let curves = system.scores.sources.iter().filter_map(|source| {
            let lesions = source.scores.calibration.lesions.as_ref()?;
            let bins = lesions.reliability.bins().into_iter().flatten();
            Some(ReliabilityCurve {
                name: source.source.clone(),
                points: bins.map(|b| [b.mean, b.share]).collect(),
                error: lesions.error.unwrap_or(f64::NAN),
            })
        });
        let curves: Vec<_> = curves.collect();
        if curves.is_empty() {
            continue;
        }
        let figure = ReliabilityFigure {
            title: system.label.clone(),
            event: "Truly lesion".into(),
            curves,
            note: "Voxels of the lungs. Error: expected calibration error".into(),
        };
        sheet.add(
            &format!("reliability-{}", system.id),
            reliability_svg(&figure, THEME),
            &format!("Reliability of the lesion probability of {}.", system.label),
            "How often voxels are lesion over their predicted probability",
        )?;
    }
    Ok(sheet)
}

/// Confusion matrices and ROC curves.
pub(super) fn classification<'a>(study: &'a Study<'_>) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    let classes: Vec<String> = Diagnosis::ALL.map(|c| c.label().to_owned()).to_vec();
    let mut matrices = Vec::new();
    for system in &study.results.systems {
        let Some(c) = system.classification() else {
            continue;
        };
        let matrix = Confusion {
            title: system.label.clone(),
            classes: classes.clone(),
            counts: c.scores.confusion.counts.map(|row| row.to_vec()).to_vec(),
        };
        matrices.push(confusion_svg(&matrix, THEME).map_err(figure_error)?);
        let curves = c.roc.classes.iter().filter_map(|class| {
            let curve = class.curve.as_ref()?;
            Some(RocCurve {
                name: class.class.label().into(),
                points: curve
                    .points
                    .iter()
                    .map(|p| [p.false_positive_rate, p.true_positive_rate])
                    .collect(),
                auc: curve.auc,
                interval: None,
                cases: [curve.positives, curve.negatives],
            })
        });
        let figure = RocFigure {
            title: system.label.clone(),
            curves: curves.collect(),
            level_percent: None,
        };
        sheet.add(
            &format!("roc-{}", system.id),
            roc_svg(&figure, THEME),
            &format!(
                "ROC curves of {}, each class against the rest.",
                system.label
            ),
            "ROC curves with the area under each",
        )?;
    }
    if !matrices.is_empty() {
        let columns = matrices.len().min(2);
        sheet.add(
            "confusion",
            panels_svg(columns, &matrices, THEME).map_err(figure_error)?,
            "Confusion matrices: true classes in rows, predicted ones in columns.",
            "Confusion matrices of all systems that classify",
        )?;
    }
    Ok(sheet)
}

/// Bars of every axis of an ablation.
pub(super) fn ablation<'a>(study: &'a Study<'_>, axes: &[Axis]) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    let find = |id: &str| {
        let found = study.results.systems.iter().find(|s| s.id == id);
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::Malformed,
                format!("the ablation's system {id:?} is missing"),
            )
        })
    };
    let mut chart = |name: &str, axis: &str, bar: &dyn Fn(&SystemResult, &str) -> Option<Bar>| {
        let mut groups = Vec::new();
        for one in axes {
            let mut bars = Vec::new();
            for variant in &one.variants {
                bars.extend(bar(find(&variant.system)?, &variant.name));
            }
            if !bars.is_empty() {
                groups.push(BarGroup {
                    name: one.name.clone(),
                    bars,
                });
            }
        }
        if groups.is_empty() {
            return Ok(());
        }
        let chart = BarChart {
            title: capital(axis.split(',').next().unwrap_or(axis)),
            axis: axis.to_owned(),
            groups,
            note: "Intervals: 95 %, bootstrap by patient.".into(),
        };
        sheet.add(
            name,
            bar_chart_svg(&chart, THEME),
            &format!("Ablation: {axis}."),
            "Bars with intervals for each variant",
        )
    };
    for metric in Metric::PAPER {
        let axis = format!("{}, {}", metric.label(), metric.unit());
        chart(
            &format!("ablation-{}", slug(metric.label())),
            &axis,
            &|system, name| {
                let s = system.segmentation()?;
                let scale = metric.table_scale();
                let interval = &s.intervals(metric)?.mean;
                Some(Bar {
                    name: name.to_owned(),
                    value: interval.value.map_or(f64::NAN, |v| v * scale),
                    interval: interval
                        .low
                        .zip(interval.high)
                        .map(|(a, b)| [a * scale, b * scale]),
                    n: s.metrics.score(metric).map_or(0, |a| a.n),
                })
            },
        )?;
    }
    chart("ablation-accuracy", "accuracy, %", &|system, name| {
        let c = system.classification()?;
        let interval = &c.accuracy_interval;
        let interval = interval.low.zip(interval.high);
        Some(Bar {
            name: name.to_owned(),
            value: 100.0 * c.scores.accuracy,
            interval: interval.map(|(a, b)| [100.0 * a, 100.0 * b]),
            n: c.scores.n as usize,
        })
    })?;
    Ok(sheet)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn slug(text: &str) -> String {
    text.to_lowercase().replace(' ', "-")
}
