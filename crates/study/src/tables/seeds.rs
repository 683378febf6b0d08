//! Tables of trainings that differ only in their seed.

use crate::results::Results;
use crate::seeds::SeedGroup;
use crate::system_result::Compared;
use multirnet_metrics::number;
use multirnet_report::{Column, Table};
use std::collections::BTreeSet;

/// The table of the spread over trainings that differ only in their seed; `None` without such
/// trainings.
pub fn seeds_table(results: &Results) -> Option<Table> {
    let mut rows = Vec::new();
    for group in &results.seeds {
        for spread in &group.scores {
            let (scale, unit) = match spread.score {
                Compared::Segmentation(metric) => (metric.table_scale(), metric.unit()),
                Compared::CorrectClass => (100.0, "%"),
            };
            let shown = |v: Option<f64>| number::text(v.map(|v| v * scale), 2);
            let each: Vec<String> = spread.values.iter().map(|v| shown(*v)).collect();
            rows.push(vec![
                group.label.clone(),
                format!("{}, {unit}", spread.score.label()),
                group.systems.len().to_string(),
                shown(spread.mean),
                shown(spread.sd),
                shown(spread.min),
                shown(spread.max),
                each.join(", "),
            ]);
        }
    }
    let names = [
        "trainings",
        "mean",
        "standard deviation",
        "smallest",
        "largest",
    ];
    let mut columns = vec![Column::new("System", false), Column::new("Score", false)];
    columns.extend(names.map(|n| Column::new(n, true)));
    columns.push(Column::new("each", false));
    (!rows.is_empty()).then(|| Table {
        caption: "The same system, trained several times with different seeds: spread of the mean \
                  over the same test scans."
            .to_owned(),
        columns,
        rows,
        note:
            "This is the spread over trainings. Intervals in other tables are over patients, for \
               one training each; neither holds the other. Marks and tests are for the first \
               training of a group."
                .into(),
    })
}

/// Losses by epoch in trainings that differ only in their seed; `None` without such trainings.
pub fn losses_table(results: &Results) -> Option<Table> {
    let groups: Vec<&SeedGroup> = results.seeds.iter().collect();
    let (columns, rows) = losses_rows(&groups);
    (!rows.is_empty()).then(|| Table {
        caption: "Losses by epoch of the same system, trained several times with different seeds: \
                  mean, smallest and largest."
            .to_owned(),
        columns,
        rows,
        note: "Means are over the trainings that have the epoch.".into(),
    })
}

/// Intervals for the share of the lungs involved; `None` without trainings that differ only in their seed.
pub fn intervals_table(results: &Results) -> Option<Table> {
    let percent = |v: Option<f64>| number::percent(v, 2);
    let of = |n: usize, all: usize| format!("{n} of {all}");
    let rows = results.seeds.iter().flat_map(|group| {
        group.intervals.iter().map(move |i| {
            let carried = i.first_factor_holds;
            vec![
                group.label.clone(),
                i.source.clone(),
                of(i.student_holds, i.scans),
                percent(Some(i.student_width)),
                number::text(i.factor, 2),
                carried.map_or_else(String::new, |n| of(n, i.scans)),
                percent(i.first_factor_width),
            ]
        })
    });
    let rows: Vec<_> = rows.collect();
    let mut columns = vec![Column::new("System", false), Column::new("Source", false)];
    columns.extend(
        [
            "within Student's interval",
            "mean width, points",
            "factor that holds 90 %",
            "held by the first source's factor",
            "mean width, points",
        ]
        .map(|n| Column::new(n, true)),
    );
    (!rows.is_empty()).then(|| Table {
        caption: "Intervals for the share of the lungs involved, from the disagreement of trainings with different \
                  seeds: how often they hold the true share."
            .to_owned(),
        columns,
        rows,
        note: "Student's interval: 90 % prediction interval of the trainings' shares. It holds what another training would \
               say, and the truth only if all trainings together are right. Factor: standard deviations around the mean \
               that hold the truth of 90 % of the scans, as conformal prediction counts them. The factor of the first \
               source was chosen on that source and is tested on the others."
            .into(),
    })
}

/// Columns and rows of the table of losses.
fn losses_rows(groups: &[&SeedGroup]) -> (Vec<Column>, Vec<Vec<String>>) {
    let groups = || groups.iter().filter(|g| !g.losses.is_empty());
    let mut columns = vec![Column::new("Epoch", true)];
    for group in groups() {
        let of = |loss: &str| Column::new(format!("{}: {loss}", group.label), true);
        columns.extend(["training", "validation"].map(of));
    }
    let epochs: BTreeSet<u64> = groups()
        .flat_map(|g| g.losses.iter().map(|l| l.epoch))
        .collect();
    let shown = |values: &[Option<f64>]| {
        let kept: Vec<f64> = values.iter().copied().flatten().collect();
        let Some([low, high]) = ends(&kept) else {
            return String::new();
        };
        let mean = kept.iter().sum::<f64>() / kept.len() as f64;
        format!("{mean:.4} ({low:.4}–{high:.4})")
    };
    let row = |epoch: &u64| {
        let mut row = vec![epoch.to_string()];
        for group in groups() {
            let found = group.losses.iter().find(|l| l.epoch == *epoch);
            row.extend(match found {
                Some(l) => [shown(&l.training), shown(&l.validation)],
                None => [String::new(), String::new()],
            });
        }
        row
    };
    (columns, epochs.iter().map(row).collect())
}

/// The smallest and the largest value.
fn ends(values: &[f64]) -> Option<[f64; 2]> {
    let of = |f: fn(f64, f64) -> f64| values.iter().copied().reduce(f);
    Some([of(f64::min)?, of(f64::max)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::EpochLosses;

    fn losses(epoch: u64, training: &[f64], validation: [Option<f64>; 2]) -> EpochLosses {
        EpochLosses {
            epoch,
            training: training.iter().copied().map(Some).collect(),
            validation: validation.to_vec(),
        }
    }

    fn group(label: &str, losses: Vec<EpochLosses>) -> SeedGroup {
        SeedGroup {
            group: label.into(),
            label: label.into(),
            systems: Vec::new(),
            scores: Vec::new(),
            losses,
            intervals: Vec::new(),
        }
    }

    #[test]
    fn losses_have_a_row_for_every_epoch_of_any_group() {
        let a = group(
            "A",
            vec![
                losses(1, &[1.0, 0.5], [None, Some(0.75)]),
                losses(2, &[0.25], [None, None]),
            ],
        );
        let b = group("B", vec![losses(1, &[2.0, 1.0], [Some(1.0), Some(3.0)])]);
        let (columns, rows) = losses_rows(&[&a, &b, &group("C", Vec::new())]);
        assert_eq!(columns.len(), 5);
        let first = ["1", "0.7500 (0.5000–1.0000)", "0.7500 (0.7500–0.7500)"];
        assert_eq!(rows[0][..3], first);
        assert_eq!(
            rows[0][3..],
            ["1.5000 (1.0000–2.0000)", "2.0000 (1.0000–3.0000)"]
        );
        assert_eq!(rows[1], ["2", "0.2500 (0.2500–0.2500)", "", "", ""]);
    }
}
