//! The results of a study, computed from its scores.

use crate::Result;
use crate::cohort::StudyCohort;
use crate::config::{StudyConfig, SystemEntry};
use crate::division::Division;
use crate::folder::Folder;
use crate::scoring::read_scores;
use crate::seeds::{SeedGroup, seed_groups};
use crate::system_result::{Compared, SystemResult};
use crate::training::Trained;
use multirnet::evaluation::intervals::scoring;
use multirnet::evaluation::{CaseScore, SystemScores};
use multirnet_finding::ScoredOn;
use multirnet_metrics::stats::{
    PairedT, Significance, Wilcoxon, defined_pairs, paired_t, significance, wilcoxon,
};
use multirnet_metrics::{EmptyPolicy, Metric};
use serde::Serialize;

/// The results of a study: the content of its tables.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// The study's title.
    pub title: String,
    /// Whether the scans are synthetic phantoms.
    pub synthetic: bool,
    /// Kind of the test scans; `None` if it is unknown or mixed.
    pub kind: Option<ScoredOn>,
    /// Scans per class in logit order: of the cohort, and of all test sides together.
    pub scans: [[usize; 3]; 2],
    /// Names of the divisions.
    pub divisions: Vec<String>,
    /// Every system, in the order of the configuration.
    pub systems: Vec<SystemResult>,
    /// Id of the system that the others are tested against.
    pub reference: String,
    /// The tests, metric by metric. Only the first of several trainings that differ only in their
    /// seed is tested.
    pub comparisons: Vec<Comparison>,
    /// The spread over trainings that differ only in their seed.
    pub seeds: Vec<SeedGroup>,
    /// The values that undefined and infinite scores have in means.
    pub empty: EmptyPolicy,
}

/// Tests between the reference and another system on the same scans.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The compared score.
    pub compared: Compared,
    /// The other system's id.
    pub system: String,
    /// Paired t test, reference minus other; `None` below two pairs.
    pub t: Option<PairedT>,
    /// Wilcoxon's signed-rank test on the same pairs.
    pub wilcoxon: Option<Wilcoxon>,
    /// Number of scans left out because a value is undefined or infinite (0 under the policy
    /// `worst`).
    pub left_out: usize,
    /// The t test's p value, corrected over all systems compared in this metric.
    pub significance_t: Significance,
    /// The p value of Wilcoxon's test, corrected in the same way.
    pub significance_wilcoxon: Significance,
}

impl Results {
    /// Reads the scores of a finished study and computes its results.
    ///
    /// # Errors
    /// `Scoring` if a score is missing, `Malformed` if one is damaged, `Config`.
    pub fn read(config: &StudyConfig, folder: &Folder, study: &StudyCohort) -> Result<Self> {
        let cohort = &study.cohort;
        let divisions = Division::all(config, study)?;
        let systems = config
            .systems
            .iter()
            .map(|system| {
                let scores = read_scores(folder, system, &divisions)?;
                let trained = Trained::read(folder, &system.id, &divisions[0].name)?;
                system_result(config, system, scores, trained.map_or(0, |t| t.parameters))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut tested = [0; 3];
        let mut sources = Vec::new();
        for division in &divisions {
            for case in division.test() {
                sources.push(cohort.cases[case].source.as_str());
                if let Some(class) = cohort.cases[case].class {
                    tested[class.index()] += 1;
                }
            }
        }
        let reference = config.reference().id.clone();
        let synthetic = config.cohort.is_synthetic();
        let kind = if synthetic {
            Some(ScoredOn::Phantoms)
        } else {
            multirnet::evaluation::common_kind(sources)
        };
        let comparisons = compare(&systems, &reference, config.score.empty)?;
        Ok(Self {
            title: config.title.clone(),
            synthetic,
            kind,
            scans: [study.class_counts(), tested],
            seeds: seed_groups(&systems, config.score.empty, |s| {
                folder.run(&s.id, &divisions[0].name).join("log.csv")
            })?,
            divisions: divisions.into_iter().map(|d| d.name).collect(),
            systems,
            reference,
            comparisons,
            empty: config.score.empty,
        })
    }

    /// The tests between the reference and `system` in one metric.
    pub fn comparison(&self, compared: Compared, system: &str) -> Option<&Comparison> {
        let mut all = self.comparisons.iter();
        all.find(|c| c.compared == compared && c.system == system)
    }
}

fn system_result(
    config: &StudyConfig,
    system: &SystemEntry,
    cases: Vec<CaseScore>,
    parameters: usize,
) -> Result<SystemResult> {
    let train = config.train_config(system)?;
    let all: Vec<&CaseScore> = cases.iter().collect();
    Ok(SystemResult {
        id: system.id.clone(),
        label: system.label(&train),
        card: train.model.card(),
        paper: system.paper.clone(),
        group: system.group.clone(),
        parameters,
        scores: SystemScores::from_cases(&all, &config.score)?,
        cases,
    })
}

/// Whether `other` is tested against `base`: it is another system, and the first of its group of
/// seeds if it has one.
fn tested(systems: &[SystemResult], base: &SystemResult, other: &SystemResult) -> bool {
    let same = |s: &&SystemResult| s.group.is_some() && s.group == other.group;
    let first = systems.iter().find(same).map_or(&other.id, |s| &s.id);
    other.id != base.id && *first == other.id && (base.group.is_none() || base.group != other.group)
}

fn compare(
    systems: &[SystemResult],
    reference: &str,
    policy: EmptyPolicy,
) -> Result<Vec<Comparison>> {
    let Some(base) = systems.iter().find(|s| s.id == reference) else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    let compared = Metric::PAPER
        .map(Compared::Segmentation)
        .into_iter()
        .chain([Compared::CorrectClass]);
    for what in compared {
        let ours = base.compared(what, policy);
        let mut family = Vec::new();
        for other in systems.iter().filter(|s| tested(systems, base, s)) {
            let theirs = other.compared(what, policy);
            let able = match what {
                Compared::Segmentation(_) => true,
                Compared::CorrectClass => {
                    other.classification().is_some() && base.classification().is_some()
                }
            };
            // A system that does not have this task has no values.
            if !able || theirs.is_empty() || theirs.len() != ours.len() {
                continue;
            }
            let (a, b, left_out) = defined_pairs(&ours, &theirs);
            let enough = a.len() > 1;
            let t = enough.then(|| paired_t(&a, &b)).transpose();
            let w = enough.then(|| wilcoxon(&a, &b)).transpose();
            family.push((
                other.id.clone(),
                t.map_err(scoring)?,
                w.map_err(scoring)?,
                left_out,
            ));
        }
        let p_t: Vec<_> = family
            .iter()
            .map(|f| f.1.as_ref().and_then(|t| t.p))
            .collect();
        let p_w: Vec<_> = family.iter().map(|f| f.2.as_ref().map(|w| w.p)).collect();
        let marks = significance(&p_t)
            .map_err(scoring)?
            .into_iter()
            .zip(significance(&p_w).map_err(scoring)?);
        for ((system, t, wilcoxon, left_out), (significance_t, significance_wilcoxon)) in
            family.into_iter().zip(marks)
        {
            all.push(Comparison {
                compared: what,
                system,
                t,
                wilcoxon,
                left_out,
                significance_t,
                significance_wilcoxon,
            });
        }
    }
    Ok(all)
}
