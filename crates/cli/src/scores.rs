//! Scoring findings against the truth, scan by scan and together.

use crate::failure::{Exit, Failure, Outcome};
use multirnet_infer::Prediction;
use multirnet_metrics::segmentation::CaseOverlap;
use multirnet_metrics::{
    ClassificationScores, ConfusionMatrix, EmptyPolicy, Overlap, SegmentationScores,
};
use multirnet_volume::{Diagnosis, Volume};
use serde::Serialize;
use std::fmt::Write as _;

/// One scan's scores.
#[derive(Debug, Clone, Serialize)]
pub struct CaseScore {
    /// The scan.
    pub name: String,
    /// Its true class.
    pub truth: Diagnosis,
    /// Its most probable class.
    pub predicted: Diagnosis,
    /// Probabilities in logit order.
    pub probabilities: [f64; 3],
    /// Lesion overlap; absent if no mask is known.
    pub overlap: Option<Overlap>,
    /// Volume Dice; absent without a mask or if undefined.
    pub dice: Option<f64>,
    /// Windows or tiles that the network saw.
    pub windows: usize,
    /// Their voxels in all.
    pub voxels: usize,
    /// Wall-clock seconds of the analysis.
    pub seconds: f64,
    /// Seconds of it that the network took.
    pub network_seconds: f64,
}

impl CaseScore {
    /// Scores one prediction. `lesions`: true lesions (non-zero) on the scan's grid.
    pub fn of(
        name: &str,
        truth: Diagnosis,
        lesions: Option<&Volume<u8>>,
        prediction: &Prediction,
    ) -> Outcome<Self> {
        let finding = &prediction.finding;
        let overlap = lesions
            .map(|l| Overlap::of(l, &prediction.maps.lesions))
            .transpose()
            .map_err(|e| Failure::input(format!("{name}: {e}")))?;
        Ok(Self {
            name: name.to_owned(),
            truth,
            predicted: finding.diagnosis,
            probabilities: finding.probabilities.to_array(),
            dice: overlap.as_ref().and_then(Overlap::dice),
            overlap,
            windows: finding.provenance.windows,
            voxels: finding.provenance.voxels,
            seconds: finding.timings.iter().map(|t| t.seconds).sum(),
            network_seconds: finding
                .timings
                .iter()
                .filter(|t| ["global", "windows"].contains(&t.stage.as_str()))
                .map(|t| t.seconds)
                .sum(),
        })
    }
}

/// All scans' scores.
#[derive(Debug, Clone, Serialize)]
pub struct Scores {
    /// What was scored.
    pub cohort: String,
    /// Model name and digest.
    pub model: String,
    /// Lesion scores (volume Dice on the scan's own grid); absent if no scan has a mask.
    pub segmentation: Option<SegmentationScores>,
    /// Class scores.
    pub classification: ClassificationScores,
    /// Scans that could not be analysed, with the reason.
    pub failed: Vec<(String, String)>,
    /// Per scan.
    pub cases: Vec<CaseScore>,
}

impl Scores {
    /// Scores of `cases` under `policy` for what is undefined.
    pub fn of(
        cohort: String,
        model: String,
        cases: Vec<CaseScore>,
        failed: Vec<(String, String)>,
        policy: EmptyPolicy,
    ) -> Outcome<Self> {
        let internal = |e: multirnet_metrics::Error| Failure::new(Exit::Internal, e);
        let truth: Vec<_> = cases.iter().map(|c| c.truth).collect();
        let predicted: Vec<_> = cases.iter().map(|c| c.predicted).collect();
        let overlaps: Vec<_> = cases
            .iter()
            .filter_map(|c| {
                Some(CaseOverlap {
                    id: c.name.clone(),
                    overlap: c.overlap?,
                })
            })
            .collect();
        Ok(Self {
            cohort,
            model,
            segmentation: (!overlaps.is_empty()).then(|| SegmentationScores::of(&overlaps, policy)),
            classification: ConfusionMatrix::of(&truth, &predicted)
                .and_then(|m| m.scores(policy))
                .map_err(internal)?,
            failed,
            cases,
        })
    }

    /// The per-case table as CSV.
    pub fn csv(&self) -> String {
        let mut text = String::from(
            "scan,true_class,predicted_class,p_normal,p_cap,p_covid19,dice,true_ml,predicted_ml,seconds,windows,voxels,network_seconds\n",
        );
        let number = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
        for c in &self.cases {
            let [n, p, v] = c.probabilities;
            let o = c.overlap.as_ref();
            let _ = writeln!(
                text,
                "{},{},{},{n:.6},{p:.6},{v:.6},{},{},{},{:.2},{},{},{:.2}",
                quoted(&c.name),
                c.truth.name(),
                c.predicted.name(),
                number(c.dice),
                number(o.map(Overlap::truth_ml)),
                number(o.map(Overlap::predicted_ml)),
                c.seconds,
                c.windows,
                c.voxels,
                c.network_seconds
            );
        }
        text
    }

    /// The summary for people.
    pub fn describe(&self) -> String {
        let percent = |v: Option<f64>| {
            v.map_or_else(|| "undefined".into(), |v| format!("{:.2} %", 100.0 * v))
        };
        let c = &self.classification;
        let mut text = format!(
            "{}\nmodel {}\n{} scans scored, {} failed\n\n",
            self.cohort,
            self.model,
            self.cases.len(),
            self.failed.len()
        );
        if let Some(s) = &self.segmentation {
            let d = &s.dice;
            let _ = writeln!(
                text,
                "Lesions (volume Dice on the scan's own grid, policy for undefined values: {:?})\n  \
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
            let f = &s.false_positives;
            let _ = writeln!(
                text,
                "  lesion-free scans   {}, of which {} with a false lesion ({}); mean false volume {} ml\n",
                f.n,
                f.n_with_prediction,
                percent(f.rate),
                f.volume_ml
                    .mean
                    .map_or_else(|| "–".into(), |v| format!("{v:.1}"))
            );
        }
        let _ = writeln!(text, "Classes (rows: truth, columns: prediction)");
        let _ = writeln!(
            text,
            "  {:<10}{:>9}{:>9}{:>9}{:>11}{:>11}{:>11}",
            "", "normal", "CAP", "COVID-19", "recall", "precision", "F1"
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
            "  macro recall {}, macro precision {}, accuracy {}\n  F1: mean of classes {}, harmonic mean of macro precision and recall {}",
            percent(c.macro_recall),
            percent(c.macro_precision),
            percent(Some(c.accuracy)),
            percent(c.macro_f1),
            percent(c.macro_f1_harmonic)
        );
        let count = self.cases.len().max(1) as f64;
        let mean = |f: fn(&CaseScore) -> f64| self.cases.iter().map(f).sum::<f64>() / count;
        let _ = writeln!(
            text,
            "\nNetwork, mean per scan: {:.1} windows or tiles, {:.2} million voxels, {:.2} s of {:.2} s",
            mean(|c| c.windows as f64),
            mean(|c| c.voxels as f64 / 1e6),
            mean(|c| c.network_seconds),
            mean(|c| c.seconds)
        );
        for (name, reason) in &self.failed {
            let _ = writeln!(text, "failed: {name}: {reason}");
        }
        text
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
