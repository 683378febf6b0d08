//! The tables of a study, for pages, Markdown, CSV and the terminal.

mod calibration;
mod form;
mod seeds;

pub use calibration::{calibration_table, heat_table, involvement_table};
pub use form::{tables_text, write_tables};
pub use seeds::{intervals_table, losses_table, seeds_table};

use crate::paper;
use crate::results::Results;
use crate::system_result::{Compared, SystemResult};
use multirnet_finding::ScoredOn;
use multirnet_metrics::stats::{Correction, Interval, stars_note};
use multirnet_metrics::{Metric, number};
use multirnet_report::{Column, Table};

/// The columns of the table of sources.
const SOURCE_METRICS: [Metric; 5] = [
    Metric::Dice,
    Metric::SurfaceDice,
    Metric::Recall,
    Metric::Precision,
    Metric::LesionF1,
];

/// A mean in the unit of tables with its interval, such as `69.95 (68.10–71.20)`.
fn with_interval(mean: Option<f64>, interval: Option<&Interval>, metric: Metric) -> String {
    let shown = |v: Option<f64>| number::text(v.map(|v| v * metric.table_scale()), 2);
    let ends = interval.and_then(|i| Some((i.low?, i.high?)));
    match ends {
        Some((low, high)) => {
            format!(
                "{} ({}–{})",
                shown(mean),
                shown(Some(low)),
                shown(Some(high))
            )
        }
        None => shown(mean),
    }
}

/// A line that describes the test scans.
fn scans_line(results: &Results) -> String {
    let [normal, cap, covid19] = results.scans[1];
    let kind = match results.kind {
        Some(ScoredOn::Phantoms) => "synthetic phantoms, not patients",
        Some(ScoredOn::ImplantedLesions) => {
            "scans with lesions that a program implanted, not patients' own"
        }
        Some(ScoredOn::Patients) => "scans of patients",
        None => "scans",
    };
    format!("{normal} normal, {cap} CAP and {covid19} COVID-19 test {kind}")
}

/// Table 2: segmentation, with the paper's figures beside ours if systems name a row of the paper.
pub fn segmentation_table(results: &Results) -> Table {
    let key = |s: &SystemResult| paper::segmentation(s.paper.as_deref()).is_some();
    let with_paper = results.systems.iter().any(key);
    let mut columns = vec![
        Column::new("System", false),
        Column::new("Parameters", true),
    ];
    for metric in Metric::PAPER {
        columns.push(Column::new(
            format!("{}, {}", metric.label(), metric.unit()),
            true,
        ));
        if with_paper {
            columns.push(Column::new(format!("paper, {}", metric.unit()), true));
        }
    }
    columns.push(Column::new("undefined / infinite ASD", true));
    let rows = results
        .systems
        .iter()
        .filter_map(|s| Some((s, s.segmentation()?)));
    let rows = rows.map(|(system, segmentation)| {
        let mut row = vec![system.label.clone(), system.parameters.to_string()];
        let theirs = paper::segmentation(system.paper.as_deref());
        for metric in Metric::PAPER {
            let mean = segmentation.metrics.score(metric).and_then(|a| a.mean);
            let stars = results
                .comparison(Compared::Segmentation(metric), &system.id)
                .map_or("", |c| &c.significance_t.stars);
            let interval = segmentation.intervals(metric).map(|m| &m.mean);
            let text = with_interval(mean, interval, metric);
            row.push(format!("{text}{stars}"));
            if with_paper {
                row.push(theirs.map_or_else(String::new, |t| match metric {
                    Metric::Asd => format!("{:.4}", t.asd_mm),
                    Metric::Dice => format!("{:.2}", t.dice),
                    Metric::SurfaceOverlap => format!("{:.2}", t.surface_overlap),
                    _ => format!("{:.2}", t.surface_dice),
                }));
            }
        }
        let asd = segmentation.metrics.score(Metric::Asd);
        row.push(asd.map_or_else(String::new, |a| {
            format!("{} / {}", a.n_undefined, a.n_infinite)
        }));
        row
    });
    let rows: Vec<_> = rows.collect();
    let first = results.systems.iter().find_map(SystemResult::segmentation);
    let conventions = first.map_or_else(String::new, |s| {
        format!(
            "surface convention `{}`, tolerance {} mm",
            s.metrics.surface.convention, s.metrics.surface.tolerance_mm
        )
    });
    Table {
        caption: format!(
            "Lesion segmentation (the paper's table 2) on the test scans that truly have lesions, of {}. \
             Means with 95 % bootstrap intervals by patient.",
            scans_line(results)
        ),
        columns,
        note: format!(
            "{conventions}; undefined and infinite values: policy `{}` (worst: 0 for shares, the \
             scan's diagonal for distances). Marks against {}: {}.{}",
            policy(results),
            label(results, &results.reference),
            stars_note(
                "paired t test",
                Correction::Holm,
                tested(results, Compared::Segmentation(Metric::Dice))
            ),
            if with_paper { PAPERS } else { "" },
        ),
        rows,
    }
}

/// Number of systems that are tested against the reference.
fn tested(results: &Results, compared: Compared) -> usize {
    let all = results.comparisons.iter();
    all.filter(|c| c.compared == compared).count()
}

/// A note about the paper's figures beside ours.
const PAPERS: &str = " The paper's figures are from patients: they stand beside ours, but are not \
                      comparable with them.";

fn policy(results: &Results) -> String {
    let name = serde_json::to_value(results.empty).ok();
    name.and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn label(results: &Results, id: &str) -> String {
    let found = results.systems.iter().find(|s| s.id == id);
    found.map_or_else(|| id.to_owned(), |s| s.label.clone())
}

/// Table 3: classification, with the paper's figures in the same way; `None` if no system classifies
/// or all scans have the same class.
pub fn classification_table(results: &Results) -> Option<Table> {
    let names = [
        "accuracy",
        "macro recall",
        "macro precision",
        "F1 (of both)",
    ];
    let mut columns = vec![
        Column::new("System", false),
        Column::new("Parameters", true),
    ];
    let key = |s: &SystemResult| paper::classification(s.paper.as_deref()).is_some();
    let with_paper = results.systems.iter().any(key);
    for name in names {
        columns.push(Column::new(format!("{name}, %"), true));
        if with_paper {
            columns.push(Column::new("paper, %", true));
        }
    }
    columns.push(Column::new("mean of class F1, %", true));
    columns.push(Column::new("macro AUC", true));
    let mut rows = Vec::new();
    for system in &results.systems {
        let Some(c) = system.classification() else {
            continue;
        };
        let theirs = paper::classification(system.paper.as_deref());
        let theirs = theirs.map(|t| [t.accuracy, t.recall, t.precision, t.f1]);
        let s = &c.scores;
        let stars = results
            .comparison(Compared::CorrectClass, &system.id)
            .map_or("", |c| &c.significance_t.stars);
        let accuracy = format!(
            "{} ({}–{}){stars}",
            number::percent(Some(s.accuracy), 2),
            number::percent(c.accuracy_interval.low, 2),
            number::percent(c.accuracy_interval.high, 2)
        );
        let ours = [
            accuracy,
            number::percent(s.macro_recall, 2),
            number::percent(s.macro_precision, 2),
            number::percent(s.macro_f1_harmonic, 2),
        ];
        let mut row = vec![system.label.clone(), system.parameters.to_string()];
        for (i, value) in ours.into_iter().enumerate() {
            row.push(value);
            if with_paper {
                row.push(theirs.map_or_else(String::new, |t| format!("{:.3}", t[i])));
            }
        }
        row.push(number::percent(s.macro_f1, 2));
        row.push(number::text(c.roc.auc.mean, 3));
        rows.push(row);
    }
    if rows.is_empty() {
        return None;
    }
    Some(Table {
        caption: format!(
            "Classification (the paper's table 3) of {}. Accuracy with 95 % bootstrap interval by \
             patient.",
            scans_line(results)
        ),
        columns,
        note: format!(
            "F1 (of both) is the harmonic mean of macro recall and macro precision, which is what \
             the paper prints. Marks against {} in right (1) and wrong (0) classes of the same scans: {}.{}",
            label(results, &results.reference),
            stars_note(
                "paired t test",
                Correction::Holm,
                tested(results, Compared::CorrectClass)
            ),
            if with_paper { PAPERS } else { "" },
        ),
        rows,
    })
}

/// The table of scans that truly have no lesion, and of single lesions.
pub fn detection_table(results: &Results) -> Table {
    let names = [
        "scans without lesion",
        "of them with a false one",
        "mean false volume, ml",
        "true lesions",
        "missed",
        "predicted lesions",
        "invented",
        "lesion F1, %",
    ];
    let mut columns = vec![Column::new("System", false)];
    columns.extend(names.map(|n| Column::new(n, true)));
    let rows = results.systems.iter().filter_map(|system| {
        let scores = &system.segmentation()?.metrics;
        let (f, l) = (&scores.false_positives, scores.lesions.as_ref());
        let count = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
        Some(vec![
            system.label.clone(),
            f.n.to_string(),
            f.n_with_prediction.to_string(),
            number::text(f.volume_ml.mean, 2),
            count(l.map(|l| l.truth)),
            count(l.map(|l| l.missed)),
            count(l.map(|l| l.predicted)),
            count(l.map(|l| l.invented)),
            number::percent(l.and_then(|l| l.f1()), 2),
        ])
    });
    Table {
        caption: "False lesions in scans without any, and single lesions (26-connected \
                  components, found if one voxel overlaps) of all test scans together."
            .to_owned(),
        rows: rows.collect(),
        columns,
        note: String::new(),
    }
}

/// The table of all tests between the reference and another system.
pub fn tests_table(results: &Results) -> Table {
    let names = [
        "pairs",
        "left out",
        "mean difference",
        "t",
        "p (t)",
        "Holm",
        "W",
        "p (Wilcoxon)",
        "Holm",
    ];
    let mut columns = vec![Column::new("Metric", false), Column::new("System", false)];
    columns.extend(names.map(|n| Column::new(n, true)));
    columns.push(Column::new("mark", false));
    let p = |p: Option<f64>| match p {
        Some(p) if p < 1e-4 => format!("{p:.1e}"),
        p => number::text(p, 4),
    };
    let rows = results.comparisons.iter().map(|c| {
        let scale = match c.compared {
            Compared::Segmentation(metric) => metric.table_scale(),
            Compared::CorrectClass => 100.0,
        };
        let t = c.t.as_ref();
        vec![
            c.compared.label().to_owned(),
            label(results, &c.system),
            t.map_or(0, |t| t.n).to_string(),
            c.left_out.to_string(),
            number::text(t.and_then(|t| t.mean_difference).map(|d| d * scale), 3),
            number::text(t.and_then(|t| t.t), 3),
            p(c.significance_t.p),
            p(c.significance_t.p_corrected),
            number::text(c.wilcoxon.as_ref().map(|w| w.statistic), 1),
            p(c.significance_wilcoxon.p),
            p(c.significance_wilcoxon.p_corrected),
            c.significance_t.stars.clone(),
        ]
    });
    Table {
        caption: format!(
            "Paired tests of {} against each other system on the same scans. Differences are \
             {} minus the other, in mm or percentage points.",
            label(results, &results.reference),
            label(results, &results.reference)
        ),
        columns,
        rows: rows.collect(),
        note: "Holm: corrected by Holm's method over all systems compared in the metric.".into(),
    }
}

/// The table of lesion scores per source of test scans; `None` unless there are several sources.
pub fn sources_table(results: &Results) -> Option<Table> {
    let first = results
        .systems
        .iter()
        .find(|s| s.segmentation().is_some())?;
    if first.scores.sources.len() < 2 {
        return None;
    }
    let mut columns = ["Source", "System"].map(|n| Column::new(n, false)).to_vec();
    columns.extend(["scans", "patients"].map(|n| Column::new(n, true)));
    columns.extend(SOURCE_METRICS.map(|m| Column::new(format!("{}, %", m.label()), true)));
    columns.push(Column::new(
        "scans without lesion, of them with a false one",
        true,
    ));
    let mut rows = Vec::new();
    for (i, source) in first.scores.sources.iter().enumerate() {
        for system in results
            .systems
            .iter()
            .filter(|s| s.segmentation().is_some())
        {
            let Some(own) = system.scores.sources.get(i).map(|s| &s.scores) else {
                continue;
            };
            let lesions = own.segmentation.as_ref();
            let mut row = vec![
                source.source.clone(),
                system.label.clone(),
                own.scans.to_string(),
                own.patients.to_string(),
            ];
            row.extend(SOURCE_METRICS.map(|metric| {
                let found = lesions.and_then(|l| l.intervals(metric));
                found.map_or_else(String::new, |m| {
                    with_interval(m.mean.value, Some(&m.mean), metric)
                })
            }));
            let free = lesions.and_then(|l| l.false_lesions.as_ref());
            row.push(free.map_or_else(String::new, |f| format!("{}, {}", f.n, f.n_any)));
            rows.push(row);
        }
    }
    Some(Table {
        caption: "Each source of test scans by itself: means over the scans that truly have \
                  lesions, with 95 % bootstrap intervals by patient."
            .to_owned(),
        columns,
        rows,
        note: String::new(),
    })
}

/// The table that describes each system.
pub fn cards_table(results: &Results) -> Table {
    let row = |s: &SystemResult| {
        vec![
            s.label.clone(),
            s.parameters.to_string(),
            s.card.source.to_owned(),
            s.card.differs.to_owned(),
        ]
    };
    Table {
        caption: "The systems.".to_owned(),
        columns: vec![
            Column::new("System", false),
            Column::new("Parameters", true),
            Column::new("Source", false),
            Column::new("What differs here", false),
        ],
        rows: results.systems.iter().map(row).collect(),
        note: String::new(),
    }
}

/// All tables of a study with their file names.
pub fn tables(results: &Results) -> Vec<(&'static str, Table)> {
    let mut all = vec![("table-2-segmentation", segmentation_table(results))];
    if let Some(table) = classification_table(results) {
        all.push(("table-3-classification", table));
    }
    all.push(("detection", detection_table(results)));
    if let Some(table) = sources_table(results) {
        all.push(("sources", table));
    }
    if let Some(table) = seeds_table(results) {
        all.push(("seeds", table));
    }
    if let Some(table) = losses_table(results) {
        all.push(("losses", table));
    }
    let more = [
        ("intervals", intervals_table(results)),
        ("involvement", involvement_table(results)),
        ("calibration", calibration_table(results)),
        ("heat", heat_table(results)),
    ];
    all.extend(
        more.into_iter()
            .filter_map(|(name, table)| Some((name, table?))),
    );
    all.push(("tests", tests_table(results)));
    all.push(("systems", cards_table(results)));
    all
}
