//! The scores of one source's scans, with intervals by patient.

use super::ScoreConfig;
use super::case_score::CaseScore;
use super::classes::classification;
use super::intervals::{Statistic, interval, patients, scoring, value_under_policy};
use super::source_kind::kind_of;
use crate::Result;
use multirnet_finding::{LesionKind, ScoredOn};
use multirnet_metrics::stats::{Interval, bootstrap};
use multirnet_metrics::{
    ClassificationScores, EmptyPolicy, LesionDetection, Metric, SurfaceConfig, roc,
};
use serde::Serialize;

/// The scores that tables of sources show.
pub const METRICS: [Metric; 5] = [
    Metric::Dice,
    Metric::SurfaceDice,
    Metric::Recall,
    Metric::Precision,
    Metric::LesionF1,
];

/// A false lesion of more than this in one slice counts as large, mm².
pub const LARGE_MM2: f64 = 100.0;

/// The scores of one source's scans.
#[derive(Debug, Clone, Serialize)]
pub struct SourceScores {
    /// The source's name; may be empty.
    pub source: String,
    /// What its scans show; `None` if that is not known.
    pub kind: Option<ScoredOn>,
    /// Scans.
    pub scans: usize,
    /// Patients.
    pub patients: usize,
    /// Convention and tolerance of surface scores.
    pub surface: SurfaceConfig,
    /// Each of [`METRICS`] over the scans that truly have lesions; empty without any.
    pub metrics: Vec<MetricIntervals>,
    /// Single lesions of all scans together, whose lesions are known.
    pub lesions: Option<LesionDetection>,
    /// Each kind of lesion over the scans that truly have it; empty unless they are told apart.
    pub kinds: Vec<KindScores>,
    /// Scans that are known to have no lesion; `None` without any.
    pub false_lesions: Option<FalseLesions>,
    /// Area under the curve of the predicted lesions' share of the lungs, for scans with against
    /// scans without true lesions; `None` unless both are there.
    pub auc: Option<Interval>,
    /// Class scores of the scans whose class is known; `None` without any.
    pub classification: Option<ClassificationScores>,
    /// Positions, among all scored cases of the source, of scans whose lesions are unknown.
    pub lesions_unknown: Vec<usize>,
}

/// One metric over scans, as a share in 0..=1.
#[derive(Debug, Clone, Serialize)]
pub struct MetricIntervals {
    /// The metric.
    pub metric: Metric,
    /// Scans.
    pub n: usize,
    /// Those in which it is undefined.
    pub n_undefined: usize,
    /// Mean.
    pub mean: Interval,
    /// Median.
    pub median: Interval,
}

/// Dice of one kind of lesion.
#[derive(Debug, Clone, Serialize)]
pub struct KindScores {
    /// The kind.
    pub kind: LesionKind,
    /// Scans that truly have it.
    pub n: usize,
    /// Mean Dice.
    pub mean: Interval,
    /// Median Dice.
    pub median: Interval,
}

/// What was predicted in scans without lesions.
#[derive(Debug, Clone, Serialize)]
pub struct FalseLesions {
    /// Scans without lesions.
    pub n: usize,
    /// Their patients.
    pub patients: usize,
    /// Scans with any false lesion.
    pub n_any: usize,
    /// Their share.
    pub any: Interval,
    /// Scans with a slice in which false lesions take more than [`LARGE_MM2`].
    pub n_large: usize,
    /// Their share.
    pub large: Interval,
    /// Mean false volume, ml.
    pub volume_ml: Interval,
    /// Mean of the largest false area in one slice, mm².
    pub area_mm2: Interval,
}

impl SourceScores {
    /// The scores of `scores`, all of `source`.
    ///
    /// # Errors
    /// `Scoring` for draws that mean nothing.
    pub fn from_scores(source: &str, scores: &[&CaseScore], config: &ScoreConfig) -> Result<Self> {
        let unknown = |(_, s): &(usize, &&CaseScore)| s.segmentation.is_none();
        let detections: Vec<LesionDetection> = scores
            .iter()
            .filter_map(|s| Some(s.segmentation.as_ref()?.lesions))
            .collect();
        Ok(Self {
            source: source.to_owned(),
            kind: kind_of(source),
            scans: scores.len(),
            patients: patients(scores.iter().copied()).len(),
            surface: config.surface,
            metrics: metrics(scores, config)?,
            lesions: LesionDetection::pool(&detections),
            kinds: kinds(scores, config)?,
            false_lesions: false_lesions(scores, config)?,
            auc: auc(scores, config)?,
            classification: classification(scores, config)?,
            lesions_unknown: scores
                .iter()
                .enumerate()
                .filter(unknown)
                .map(|(i, _)| i)
                .collect(),
        })
    }
}

fn metrics(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Vec<MetricIntervals>> {
    let bearing: Vec<&CaseScore> = scores.iter().copied().filter(|s| s.has_lesions()).collect();
    if bearing.is_empty() {
        return Ok(Vec::new());
    }
    let by_patient = patients(bearing.iter().copied());
    let of = |metric: Metric| {
        let cases = || bearing.iter().filter_map(|s| s.segmentation.as_ref());
        let values: Vec<_> = cases()
            .map(|c| value_under_policy(metric, c, config.empty))
            .collect();
        let undefined = cases().filter(|c| metric.value(c).is_none_or(|v| !v.is_finite()));
        let over = |s| interval(s, &values, &by_patient, config.empty, &config.bootstrap);
        Ok(MetricIntervals {
            metric,
            n: values.len(),
            n_undefined: undefined.count(),
            mean: over(Statistic::Mean)?,
            median: over(Statistic::Median)?,
        })
    };
    METRICS.into_iter().map(of).collect()
}

fn kinds(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Vec<KindScores>> {
    let mut all = Vec::new();
    for (k, kind) in LesionKind::ALL.into_iter().enumerate() {
        let bearing: Vec<&CaseScore> = scores
            .iter()
            .copied()
            .filter(|s| s.kinds.is_some_and(|kinds| !kinds[k].truth_is_empty()))
            .collect();
        if bearing.is_empty() {
            continue;
        }
        let by_patient = patients(bearing.iter().copied());
        // Defined, since the truth has the kind.
        let values: Vec<_> = bearing
            .iter()
            .map(|s| s.kinds.and_then(|kinds| kinds[k].dice()))
            .collect();
        let over = |s| interval(s, &values, &by_patient, config.empty, &config.bootstrap);
        all.push(KindScores {
            kind,
            n: values.len(),
            mean: over(Statistic::Mean)?,
            median: over(Statistic::Median)?,
        });
    }
    Ok(all)
}

fn false_lesions(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Option<FalseLesions>> {
    let free: Vec<&CaseScore> = scores
        .iter()
        .copied()
        .filter(|s| s.is_lesion_free())
        .collect();
    if free.is_empty() {
        return Ok(None);
    }
    let by_patient = patients(free.iter().copied());
    let area = |s: &&CaseScore| s.false_area_mm2.unwrap_or(0.0);
    let volume = |s: &&CaseScore| s.lesion_ml.unwrap_or(0.0);
    let mean = |value: &dyn Fn(&&CaseScore) -> f64| {
        let values: Vec<_> = free.iter().map(|s| Some(value(s))).collect();
        interval(
            Statistic::Mean,
            &values,
            &by_patient,
            EmptyPolicy::Propagate,
            &config.bootstrap,
        )
    };
    let any = |s: &&CaseScore| area(s) > 0.0;
    let large = |s: &&CaseScore| area(s) > LARGE_MM2;
    Ok(Some(FalseLesions {
        n: free.len(),
        patients: by_patient.len(),
        n_any: free.iter().filter(|s| any(s)).count(),
        any: mean(&|s| f64::from(u8::from(any(s))))?,
        n_large: free.iter().filter(|s| large(s)).count(),
        large: mean(&|s| f64::from(u8::from(large(s))))?,
        volume_ml: mean(&volume)?,
        area_mm2: mean(&area)?,
    }))
}

fn auc(scores: &[&CaseScore], config: &ScoreConfig) -> Result<Option<Interval>> {
    let known: Vec<(&CaseScore, bool, f64)> = scores
        .iter()
        .filter(|s| s.segmentation.is_some())
        .filter_map(|s| Some((*s, s.has_lesions(), s.lesion_share?)))
        .collect();
    let positives = known.iter().filter(|k| k.1).count();
    if positives == 0 || positives == known.len() {
        return Ok(None);
    }
    let by_patient = patients(known.iter().map(|k| k.0));
    let area = |drawn: &[usize]| {
        let scans = drawn.iter().flat_map(|&p| &by_patient[p]);
        let (positive, shares): (Vec<_>, Vec<_>) = scans.map(|&i| (known[i].1, known[i].2)).unzip();
        roc::auc(&positive, &shares).ok().flatten()
    };
    let found = bootstrap(by_patient.len(), &config.bootstrap, area).map_err(scoring)?;
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Said;
    use multirnet_cohort::Case;
    use multirnet_metrics::stats::BootstrapConfig;
    use multirnet_volume::{Diagnosis, Geometry, Volume};

    fn config() -> ScoreConfig {
        ScoreConfig {
            bootstrap: BootstrapConfig {
                replicates: 200,
                ..BootstrapConfig::default()
            },
            ..ScoreConfig::default()
        }
    }

    /// A scan of one slice of 2 × 3 voxels of 10 × 20 mm, 5 mm thick (1 ml a voxel).
    fn score(
        patient: &str,
        class: Option<Diagnosis>,
        truth: Option<[u8; 6]>,
        predicted: [u8; 6],
        p: [f64; 3],
    ) -> CaseScore {
        let grid = Geometry::axial([1, 2, 3], [5.0, 10.0, 20.0]).unwrap();
        let volume = |v: [u8; 6]| Volume::new(v.to_vec(), grid).unwrap();
        let case = Case::new(format!("{patient}.nii"), None, class, patient);
        let (truth, predicted) = (truth.map(volume), volume(predicted));
        let said = Said {
            lesions: Some(&predicted),
            lesion_channels: 2,
            probabilities: Some(multirnet_finding::Probabilities::from_array(p)),
        };
        let lungs = Volume::filled(1u8, grid);
        CaseScore::from_output(0, &case, truth.as_ref(), &lungs, &said, &config().surface).unwrap()
    }

    const SURE: [f64; 3] = [0.1, 0.1, 0.8];

    #[test]
    fn a_sources_scores_by_hand() {
        let covid = Some(Diagnosis::Covid19);
        let scores = [
            // Dice 1; Dice 1/2 with recall 1/2 and precision 1/2; nothing found.
            score(
                "a",
                covid,
                Some([1, 1, 0, 0, 0, 0]),
                [1, 1, 0, 0, 0, 0],
                SURE,
            ),
            score(
                "a",
                covid,
                Some([1, 1, 0, 0, 0, 0]),
                [1, 0, 0, 1, 0, 0],
                SURE,
            ),
            score(
                "b",
                covid,
                Some([0, 0, 0, 0, 0, 1]),
                [0; 6],
                [0.9, 0.1, 0.0],
            ),
            // Without lesion: clear, and a false one of one voxel, 2 cm² and 1 ml.
            score("c", Some(Diagnosis::Normal), Some([0; 6]), [0; 6], SURE),
            score(
                "d",
                Some(Diagnosis::Normal),
                Some([0; 6]),
                [0, 0, 1, 0, 0, 0],
                [1.0, 0.0, 0.0],
            ),
            // Nothing known.
            score("e", None, None, [1; 6], SURE),
        ];
        let all: Vec<&CaseScore> = scores.iter().collect();
        let source = SourceScores::from_scores("coronacases-hu", &all, &config()).unwrap();
        assert_eq!((source.scans, source.patients), (6, 5));
        assert_eq!(source.kind, Some(ScoredOn::Patients));
        let of = |metric| source.metrics.iter().find(|m| m.metric == metric).unwrap();
        let dice = of(Metric::Dice);
        assert_eq!(
            (dice.n, dice.mean.value, dice.median.value),
            (3, Some(0.5), Some(0.5))
        );
        // Patients a (three quarters) and b (nothing) are drawn.
        assert_eq!(
            (dice.mean.patients, dice.mean.low, dice.mean.high),
            (2, Some(0.0), Some(0.75))
        );
        assert_eq!(of(Metric::Recall).mean.value, Some(0.5));
        let precision = of(Metric::Precision);
        assert_eq!(
            (precision.n_undefined, precision.mean.value),
            (1, Some(0.5))
        );
        let free = source.false_lesions.unwrap();
        assert_eq!(
            (free.n, free.patients, free.n_any, free.n_large),
            (2, 2, 1, 1)
        );
        assert_eq!(
            (free.any.value, free.volume_ml.value),
            (Some(0.5), Some(0.5))
        );
        assert_eq!(free.area_mm2.value, Some(100.0));
        // Shares of lung with lesion 1/3, 1/3, 0; without 0, 1/6: of six pairs four and a half.
        assert_eq!(source.auc.unwrap().value, Some(0.75));
        let classes = source.classification.unwrap();
        assert_eq!((classes.n, classes.accuracy), (5, 0.6));
        assert_eq!(source.lesions_unknown, [5]);
        assert!(source.kinds.is_empty());
        let lesions = source.lesions.unwrap();
        assert_eq!((lesions.truth, lesions.missed, lesions.invented), (3, 1, 1));
    }

    #[test]
    fn an_area_of_one_square_centimetre_is_not_large() {
        let grid = Geometry::axial([2, 1, 2], [5.0, 10.0, 10.0]).unwrap();
        let of = |values: [u8; 4]| {
            let nothing = Volume::filled(0u8, grid);
            let predicted = Volume::new(values.to_vec(), grid).unwrap();
            let said = Said {
                lesions: Some(&predicted),
                lesion_channels: 1,
                probabilities: None,
            };
            let case = Case::new("a.nii", None, Diagnosis::Normal, "a");
            let score = CaseScore::from_output(
                0,
                &case,
                Some(&nothing),
                &nothing,
                &said,
                &config().surface,
            );
            let score = score.unwrap();
            false_lesions(&[&score], &config()).unwrap().unwrap()
        };
        // 1 cm² in each of two slices; 2 cm² in one.
        assert_eq!((of([1, 0, 1, 0]).n_any, of([1, 0, 1, 0]).n_large), (1, 0));
        assert_eq!(of([0, 0, 1, 1]).n_large, 1);
    }

    #[test]
    fn kinds_are_scored_where_the_truth_has_them() {
        let covid = Some(Diagnosis::Covid19);
        let scores = [
            score(
                "a",
                covid,
                Some([1, 1, 2, 0, 0, 0]),
                [1, 1, 1, 0, 0, 0],
                SURE,
            ),
            score(
                "b",
                covid,
                Some([2, 2, 0, 0, 0, 0]),
                [2, 2, 0, 0, 0, 0],
                SURE,
            ),
        ];
        let all: Vec<&CaseScore> = scores.iter().collect();
        let source = SourceScores::from_scores("", &all, &config()).unwrap();
        let found: Vec<_> = source
            .kinds
            .iter()
            .map(|k| (k.kind.label(), k.n, k.mean.value))
            .collect();
        assert_eq!(
            found,
            [
                ("ground glass", 1, Some(0.8)),
                ("consolidation", 2, Some(0.5))
            ]
        );
        assert!(source.false_lesions.is_none() && source.auc.is_none());
    }
}
