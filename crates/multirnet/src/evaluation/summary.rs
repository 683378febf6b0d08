//! The summary of an evaluation as text.

use super::tables::tables;
use super::{Classification, EvaluatedCase, Evaluation, Segmentation};
use multirnet_finding::NOTICE;
use multirnet_metrics::{Metric, number};
use std::fmt::Write as _;

/// The summary as text: all scans together, then every source.
pub fn describe(evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{}\n{NOTICE}\nmodel {}\n{} scans scored, {} failed\n",
        evaluation.cohort,
        evaluation.model,
        evaluation.cases.len(),
        evaluation.failed.len()
    );
    let all = &evaluation.scores.all;
    if let Some(lesions) = &all.segmentation {
        text += &dice_lines(lesions);
    }
    if let Some(c) = &all.classification {
        text += &class_lines(c);
    }
    text += &network_line(&evaluation.cases);
    for (_, table) in tables(evaluation) {
        let _ = write!(text, "\n{}", table.to_markdown());
    }
    for (name, reason) in &evaluation.failed {
        let _ = writeln!(text, "failed: {name}: {reason}");
    }
    text
}

/// The volume Dice of all scans together, and the false lesions in scans without lesions.
fn dice_lines(lesions: &Segmentation) -> String {
    let mut text = String::new();
    if let Some(d) = lesions.metrics.score(Metric::Dice) {
        let _ = writeln!(
            text,
            "\nLesions (volume Dice on the scan's own grid, policy for undefined values: {:?})\n  \
             scans with lesions  {} ({} undefined, {} infinite)\n  mean Dice           {}\n  \
             median Dice         {}\n  smallest, largest   {}, {}",
            d.policy,
            d.n,
            d.n_undefined,
            d.n_infinite,
            percent(d.mean),
            percent(d.median),
            percent(d.min),
            percent(d.max)
        );
    }
    let f = &lesions.metrics.false_positives;
    let _ = writeln!(
        text,
        "  lesion-free scans   {}, of which {} with a false lesion ({}); mean false volume {} ml",
        f.n,
        f.n_with_prediction,
        percent(f.rate),
        number::text(f.volume_ml.mean, 1)
    );
    text
}

/// The network's mean work per scan; empty if no scan was scored.
fn network_line(cases: &[EvaluatedCase]) -> String {
    if cases.is_empty() {
        return String::new();
    }
    let n = cases.len() as f64;
    let mean = |f: fn(&EvaluatedCase) -> f64| cases.iter().map(f).sum::<f64>() / n;
    format!(
        "\nNetwork, mean per scan: {:.1} windows or tiles, {:.2} million voxels, {:.2} s of {:.2} s\n",
        mean(|c| c.windows as f64),
        mean(|c| c.voxels as f64 / 1e6),
        mean(|c| c.network_seconds),
        mean(|c| c.seconds)
    )
}

/// A share in percent with its sign, if it is defined.
fn percent(share: Option<f64>) -> String {
    let text = number::percent(share, 2);
    share.map_or(text.clone(), |_| format!("{text} %"))
}

fn class_lines(found: &Classification) -> String {
    let c = &found.scores;
    let mut text = format!(
        "\nClasses of {} scans (rows: truth, columns: prediction)\n  {:<10}{:>9}{:>9}{:>9}{:>11}{:>11}{:>11}\n",
        c.n, "", "normal", "CAP", "COVID-19", "recall", "precision", "F1"
    );
    for class in &c.classes {
        let row = c.confusion.counts[class.class.index()];
        let _ = writeln!(
            text,
            "  {:<10}{:>9}{:>9}{:>9}{:>11}{:>11}{:>11}",
            class.class.label(),
            row[0],
            row[1],
            row[2],
            percent(class.recall),
            percent(class.precision),
            percent(class.f1)
        );
    }
    let _ = writeln!(
        text,
        "  macro recall {}, macro precision {}, accuracy {}\n  F1: mean of classes {}, harmonic mean of macro precision and recall {}\n  macro AUC, each class against the rest {} ({} undefined)",
        percent(c.macro_recall),
        percent(c.macro_precision),
        percent(Some(c.accuracy)),
        percent(c.macro_f1),
        percent(c.macro_f1_harmonic),
        number::text(found.roc.auc.mean, 3),
        found.roc.auc.n_undefined
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::ScoreConfig;

    #[test]
    fn nothing_is_said_of_the_network_if_no_scan_was_scored() {
        let failed = vec![("a.nii".to_owned(), "cannot be read".to_owned())];
        let config = ScoreConfig::default();
        let evaluation = Evaluation::from_cases("c".into(), "m".into(), vec![], failed, &config);
        let text = describe(&evaluation.unwrap());
        assert!(text.contains("0 scans scored, 1 failed"), "{text}");
        assert!(text.contains("failed: a.nii: cannot be read"), "{text}");
        assert!(
            !text.contains("windows") && !text.contains("-0.0"),
            "{text}"
        );
    }
}
