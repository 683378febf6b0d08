//! The tables of an evaluation, for the terminal and as Markdown.

use super::published::{Published, published};
use super::score_columns as cells;
use super::{EvaluatedCase, Evaluation, LARGE_MM2, Segmentation, SourceScores};
use multirnet_finding::ScoredOn;
use multirnet_metrics::calibration::SHOWN;
use multirnet_metrics::stats::Interval;
use multirnet_metrics::{Metric, number};
use multirnet_report::{Column, Table};

/// A value in the unit of tables with its interval, such as `0.70 (0.65–0.74)` times `scale`.
fn shown(interval: &Interval, scale: f64, decimals: usize) -> String {
    let text = |v: Option<f64>| number::text(v.map(|v| v * scale), decimals);
    match interval.low.zip(interval.high) {
        Some((low, high)) => format!(
            "{} ({}–{})",
            text(interval.value),
            text(Some(low)),
            text(Some(high))
        ),
        None => text(interval.value),
    }
}

/// A heading that describes the scans of a source.
fn heading(source: &SourceScores) -> String {
    let kind = match source.kind {
        Some(ScoredOn::Phantoms) => "synthetic phantoms, not patients",
        Some(ScoredOn::ImplantedLesions) => "lesions that a program implanted, not patients' own",
        Some(ScoredOn::Patients) => "patients",
        None => "",
    };
    match (source.source.as_str(), kind) {
        ("", _) => String::new(),
        (name, kind) => format!("{name} ({kind}): "),
    }
}

fn count(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// A metric's name with its unit, for rows.
fn metric_name(metric: Metric, lesions: &Segmentation) -> String {
    let name = metric.label();
    match metric {
        Metric::SurfaceDice | Metric::SurfaceOverlap => {
            let tolerance = lesions.metrics.surface.tolerance_mm;
            format!("{name} at {tolerance} mm, {}", metric.unit())
        }
        _ => format!("{name}, {}", metric.unit()),
    }
}

fn lesion_table(source: &SourceScores) -> Option<Table> {
    let lesions = source.scores.segmentation.as_ref()?;
    let first = lesions.intervals.first()?;
    let counts = lesions.metrics.score(first.metric)?;
    let mut columns = vec![Column::new("Score", false)];
    columns
        .extend(["scans", "undefined", "infinite", "mean", "median"].map(|n| Column::new(n, true)));
    let metrics = lesions.intervals.iter().filter_map(|m| {
        let counts = lesions.metrics.score(m.metric)?;
        let decimals = if m.metric.is_distance() { 2 } else { 1 };
        let mut row = vec![metric_name(m.metric, lesions)];
        row.extend([counts.n, counts.n_undefined, counts.n_infinite].map(|n| n.to_string()));
        row.extend([&m.mean, &m.median].map(|i| shown(i, m.metric.table_scale(), decimals)));
        Some(row)
    });
    let kinds = lesions.kinds.iter().map(|k| {
        let mut row = vec![format!("Dice of {}, %", k.kind)];
        row.extend([k.n, 0, 0].map(|n| n.to_string()));
        row.extend([&k.mean, &k.median].map(|i| shown(i, 100.0, 1)));
        row
    });
    let rows = metrics.chain(kinds).collect();
    let pooled = lesions.metrics.lesions.as_ref();
    let single = pooled.map_or_else(String::new, |l| {
        format!(
            " Single lesions of all scans together: {} of {} missed, {} of {} predicted ones invented, \
             F1 {} %.",
            l.missed,
            l.truth,
            l.invented,
            l.predicted,
            number::percent(l.f1(), 1)
        )
    });
    Some(Table {
        caption: format!(
            "{}lesions of {} of {} with 95 % bootstrap intervals by patient.",
            heading(source),
            count(counts.n, "scan"),
            count(first.mean.patients, "patient")
        ),
        columns,
        rows,
        note: format!(
            "Surface convention `{}`.{single}",
            lesions.metrics.surface.convention
        ),
    })
}

fn false_table(source: &SourceScores) -> Option<Table> {
    let lesions = source.scores.segmentation.as_ref()?;
    let f = lesions.false_lesions.as_ref()?;
    let of = |n: usize| format!("{n} of {}", f.n);
    let row = |name: String, count: String, interval: &Interval, scale: f64| {
        vec![name, count, shown(interval, scale, 1)]
    };
    let mut rows = vec![
        row(
            "any false lesion, % of scans".into(),
            of(f.n_any),
            &f.any,
            100.0,
        ),
        row(
            format!(
                "more than {} cm² of it in one slice, % of scans",
                LARGE_MM2 / 100.0
            ),
            of(f.n_large),
            &f.large,
            100.0,
        ),
        row(
            "mean of the largest false area in one slice, cm²".into(),
            String::new(),
            &f.area_mm2,
            0.01,
        ),
        row(
            "mean false volume, ml".into(),
            String::new(),
            &f.volume_ml,
            1.0,
        ),
    ];
    if let Some(auc) = &lesions.auc {
        rows.push(vec![
            "AUC of the lesions' share of the lungs, scans with against without lesions".into(),
            String::new(),
            shown(auc, 1.0, 3),
        ]);
    }
    Some(Table {
        caption: format!(
            "{}false lesions in {} of {} without lesions, with 95 % bootstrap intervals by patient.",
            heading(source),
            count(f.n, "scan"),
            count(f.patients, "patient")
        ),
        columns: vec![
            Column::new("Score", false),
            Column::new("scans", true),
            Column::new("value", true),
        ],
        rows,
        note: String::new(),
    })
}

fn class_table(source: &SourceScores) -> Option<Table> {
    let c = &source.scores.classification.as_ref()?.scores;
    let names = [
        "normal",
        "CAP",
        "COVID-19",
        "recall, %",
        "precision, %",
        "F1, %",
    ];
    let mut columns = vec![Column::new("True class", false)];
    columns.extend(names.map(|n| Column::new(n, true)));
    let rows = c
        .classes
        .iter()
        .filter(|class| class.support > 0)
        .map(|class| {
            let counts = c.confusion.counts[class.class.index()];
            let mut row = vec![class.class.label().to_owned()];
            row.extend(counts.map(|n| n.to_string()));
            row.extend([class.recall, class.precision, class.f1].map(|v| number::percent(v, 1)));
            row
        });
    let rows: Vec<_> = rows.collect();
    let patients = source.kind == Some(ScoredOn::Patients);
    Some(Table {
        caption: format!(
            "{}classes of {}, columns: prediction.",
            heading(source),
            count(c.n as usize, "scan")
        ),
        note: format!(
            "Accuracy {} %.{}",
            number::percent(Some(c.accuracy), 1),
            if patients {
                format!(
                    " {}: so few prove nothing about telling classes apart.",
                    count(c.n as usize, "scan")
                )
            } else {
                String::new()
            }
        ),
        columns,
        rows,
    })
}

/// The scans of a source whose lesions or class are unknown, one by one.
fn unknown_table(source: &SourceScores, cases: &[&EvaluatedCase]) -> Option<Table> {
    let names = [
        "p normal",
        "p CAP",
        "p COVID-19",
        "lesions, ml",
        "of the lungs, %",
    ];
    let mut columns = ["Scan", "Patient", "True class", "Most probable"]
        .map(|n| Column::new(n, false))
        .to_vec();
    columns.extend(names.map(|n| Column::new(n, true)));
    let rows: Vec<Vec<String>> = source
        .scores
        .lesions_unknown
        .iter()
        .filter_map(|&i| cases.get(i))
        .map(|c| {
            let s = &c.score;
            let mut row = vec![
                s.scan.clone(),
                s.patient.clone(),
                s.class.map_or("unknown", |c| c.label()).to_owned(),
                c.predicted.map_or("", |c| c.label()).to_owned(),
            ];
            row.extend(
                [0, 1, 2].map(|k| number::text(s.probabilities.map(|p| p.to_array()[k]), 3)),
            );
            row.push(number::text(s.lesion_ml, 1));
            row.push(number::percent(s.lesion_share, 1));
            row
        })
        .collect();
    (!rows.is_empty()).then(|| Table {
        caption: format!(
            "{}{} whose true lesions are unknown: what the model says, case by case.",
            heading(source),
            count(rows.len(), "scan")
        ),
        columns,
        rows,
        note: "Nothing is scored here but classes that are known.".into(),
    })
}

fn calibration_table(source: &SourceScores) -> Option<Table> {
    let row = cells::calibration_cells(&source.scores.calibration)?;
    Some(Table {
        caption: format!("{}calibration of probabilities.", heading(source)),
        columns: cells::calibration_columns(),
        rows: vec![row],
        note: cells::CALIBRATION_NOTE.into(),
    })
}

/// The bins of the lesion probability.
fn reliability_table(source: &SourceScores) -> Option<Table> {
    let lesions = source.scores.calibration.lesions.as_ref()?;
    let width = 100 / SHOWN;
    let rows = lesions.reliability.bins().into_iter().enumerate();
    let rows = rows.filter_map(|(i, bin)| {
        let bin = bin?;
        Some(vec![
            format!("{} to {}", i * width, (i + 1) * width),
            bin.n.to_string(),
            number::percent(Some(bin.mean), 1),
            number::percent(Some(bin.share), 1),
        ])
    });
    Some(Table {
        caption: format!(
            "{}lesion probability of the lungs' voxels beside how many are lesion.",
            heading(source)
        ),
        columns: vec![
            Column::new("Probability, %", false),
            Column::new("voxels", true),
            Column::new("mean probability, %", true),
            Column::new("truly lesion, %", true),
        ],
        rows: rows.collect(),
        note: String::new(),
    })
}

fn involvement_table(source: &SourceScores) -> Option<Table> {
    let agreement = source.scores.involvement.as_ref()?;
    Some(Table {
        caption: format!("{}share of the lungs involved.", heading(source)),
        columns: cells::involvement_columns(),
        rows: vec![cells::involvement_cells(agreement)],
        note: cells::INVOLVEMENT_NOTE.into(),
    })
}

fn heat_table(source: &SourceScores, cases: &[&EvaluatedCase]) -> Option<Table> {
    let scores: Vec<_> = cases.iter().map(|c| &c.score).collect();
    let rows = cells::heat_rows(&scores);
    (!rows.is_empty()).then(|| Table {
        caption: format!("{}where the heat of the class lies.", heading(source)),
        columns: cells::heat_columns(),
        rows,
        note: cells::HEAT_NOTE.into(),
    })
}

fn published_table(source: &SourceScores, figures: &Published) -> Option<Table> {
    let lesions = source.scores.segmentation.as_ref()?;
    let dice = &lesions.intervals(Metric::Dice)?.mean;
    let scans = lesions.metrics.score(Metric::Dice)?.n;
    let mut rows: Vec<Vec<String>> = figures
        .rows
        .iter()
        .map(|r| {
            vec![
                r.system.to_owned(),
                format!("{:.3}", r.dice),
                r.source.to_owned(),
            ]
        })
        .collect();
    rows.push(vec![
        "this model".into(),
        shown(dice, 1.0, 3),
        format!("{} here", count(scans, "scan")),
    ]);
    let same = figures.count == Some(scans);
    Some(Table {
        caption: format!(
            "{}mean Dice beside published figures on {}.",
            heading(source),
            figures.scans
        ),
        columns: vec![
            Column::new("System", false),
            Column::new("Dice", true),
            Column::new("Source", false),
        ],
        rows,
        note: format!(
            "Published figures are as quoted: check them in the papers before quoting.{}",
            if same {
                ""
            } else {
                " They are on other scans than those scored here, so they are not a comparison."
            }
        ),
    })
}

/// The tables of every source, with names for files.
pub fn tables(evaluation: &Evaluation) -> Vec<(String, Table)> {
    let mut all = Vec::new();
    for source in &evaluation.scores.sources {
        let cases = evaluation.cases.iter();
        let cases: Vec<_> = cases.filter(|c| c.score.source == source.source).collect();
        let figures = published(&source.source).and_then(|p| published_table(source, p));
        let own = [
            ("lesions", lesion_table(source)),
            ("published", figures),
            ("false-lesions", false_table(source)),
            ("classes", class_table(source)),
            ("involvement", involvement_table(source)),
            ("calibration", calibration_table(source)),
            ("reliability", reliability_table(source)),
            ("heat", heat_table(source, &cases)),
            ("unknown", unknown_table(source, &cases)),
        ];
        for (name, table) in own {
            let prefix = match source.source.as_str() {
                "" => "scans",
                name => name,
            };
            all.extend(table.map(|t| (format!("{prefix}-{name}"), t)));
        }
    }
    all
}
