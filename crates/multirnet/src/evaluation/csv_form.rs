//! The scores of an evaluation as CSV.

use super::Evaluation;
use crate::{Error, ErrorKind, Result};
use multirnet_finding::{LesionKind, ScoredOn};
use multirnet_metrics::stats::Interval;
use multirnet_metrics::{Metric, Overlap};

/// The table of scans as CSV.
///
/// # Errors
/// `Io` if it cannot be written, which does not happen in memory.
pub fn cases_csv(evaluation: &Evaluation) -> Result<Vec<u8>> {
    let header: Vec<String> =
        "scan,true_class,predicted_class,p_normal,p_cap,p_covid19,dice,true_ml,\
        predicted_ml,seconds,windows,voxels,network_seconds,source,patient,surface_dice,\
        surface_tolerance_mm,recall,precision,lesions,lesions_missed,lesions_predicted,\
        lesions_invented,lesion_f1,false_area_mm2,lesion_share"
            .split(',')
            .map(str::to_owned)
            .chain(LesionKind::ALL.map(|k| format!("dice_{}", k.label().replace(' ', "_"))))
            .collect();
    let exact = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
    let rows = evaluation.cases.iter().map(|c| {
        let score = &c.score;
        let metrics = score.segmentation.as_ref();
        let value = |m: Metric| exact(metrics.and_then(|s| m.value(s)));
        let lesions = metrics.map(|s| s.lesions);
        let count = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
        let mut row = vec![
            score.scan.clone(),
            score.class.map_or("unknown", |c| c.name()).to_owned(),
            c.predicted.map_or("", |c| c.name()).to_owned(),
        ];
        row.extend([0, 1, 2].map(|k| exact(score.probabilities.map(|p| p.to_array()[k]))));
        row.extend([
            exact(c.dice),
            exact(c.overlap.as_ref().map(Overlap::truth_ml)),
            exact(score.lesion_ml),
            format!("{:.2}", c.seconds),
            c.windows.to_string(),
            c.voxels.to_string(),
            format!("{:.2}", c.network_seconds),
            score.source.clone(),
            score.patient.clone(),
            value(Metric::SurfaceDice),
            metrics.map_or_else(String::new, |s| s.surface.config.tolerance_mm.to_string()),
            value(Metric::Recall),
            value(Metric::Precision),
            count(lesions.map(|l| l.truth)),
            count(lesions.map(|l| l.missed)),
            count(lesions.map(|l| l.predicted)),
            count(lesions.map(|l| l.invented)),
            value(Metric::LesionF1),
            exact(score.false_area_mm2),
            exact(score.lesion_share),
        ]);
        let kind = |k: usize| exact(score.kinds.and_then(|kinds| kinds[k].dice()));
        row.extend([kind(0), kind(1)]);
        row
    });
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    csv(&header, rows)
}

/// The scores of sources as CSV, one line a score. Shares are in 0..=1.
///
/// # Errors
/// As [`cases_csv`].
pub fn sources_csv(evaluation: &Evaluation) -> Result<Vec<u8>> {
    let header = [
        "source",
        "kind",
        "score",
        "statistic",
        "scans",
        "patients",
        "value",
        "low",
        "high",
    ];
    let mut rows = Vec::new();
    for source in &evaluation.sources {
        let kind = source.kind.map_or("", ScoredOn::label);
        let mut add = |score: &str, statistic: &str, n: usize, i: &Interval| {
            let exact = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
            let mut row = [source.source.as_str(), kind, score, statistic]
                .map(str::to_owned)
                .to_vec();
            row.extend([n.to_string(), i.patients.to_string()]);
            row.extend([i.value, i.low, i.high].map(exact));
            rows.push(row);
        };
        for m in &source.metrics {
            add(m.metric.label(), "mean", m.n, &m.mean);
            add(m.metric.label(), "median", m.n, &m.median);
        }
        for k in &source.kinds {
            add(&format!("Dice of {}", k.kind), "mean", k.n, &k.mean);
            add(&format!("Dice of {}", k.kind), "median", k.n, &k.median);
        }
        if let Some(f) = &source.false_lesions {
            add("any false lesion", "share", f.n, &f.any);
            add(
                "false lesion above 1 cm2 in a slice",
                "share",
                f.n,
                &f.large,
            );
            add(
                "largest false area in a slice, mm2",
                "mean",
                f.n,
                &f.area_mm2,
            );
            add("false volume, ml", "mean", f.n, &f.volume_ml);
        }
        if let Some(auc) = &source.auc {
            add("AUC of lesion share", "value", source.scans, auc);
        }
    }
    csv(&header, rows.into_iter())
}
/// A CSV file of a header and rows.
///
/// # Errors
/// `Write` if a row cannot be written.
pub fn csv(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let bad = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Write, format!("CSV: {e}"));
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(vec![]);
    writer.write_record(header).map_err(|e| bad(&e))?;
    for row in rows {
        writer.write_record(&row).map_err(|e| bad(&e))?;
    }
    writer.into_inner().map_err(|e| bad(&e))
}
