//! Grad-CAM of right and wrong cases, with the check by randomised weights.

use super::pictures::{Shown, cut};
use super::sheet::Sheet;
use super::{Study, drawn};
use crate::results::SystemResult;
use crate::scoring::load_system;
use crate::{Error, ErrorKind, Result};
use multirnet_infer::{Network, PredictOptions, network_of};
use multirnet_nn::device::Device;
use multirnet_report::{GradCam, GradCamCase, RandomisedCheck, Slice, Theme, gradcam_svg};
use multirnet_volume::{Diagnosis, Volume};

/// Cases of each kind that are shown.
const CASES: usize = 3;

/// Seed of the randomised weights.
const SEED: u64 = 0x5EED;

/// One figure for each system that classifies and whose heat map can be made.
pub(super) fn panels(study: &Study<'_>) -> Result<Sheet> {
    let mut sheet = Sheet::new(&study.folder);
    for system in &study.results.systems {
        if system.classification.is_some() {
            panel(study, system, &mut sheet)?;
        }
    }
    Ok(sheet)
}

/// Positions of scores: the first right and the first wrong ones of each class in turn.
fn chosen(system: &SystemResult) -> Vec<usize> {
    let mut all = Vec::new();
    for right in [true, false] {
        let of = |class: Diagnosis| {
            let scores = system.scores.iter().enumerate();
            scores
                .filter(move |(_, s)| {
                    s.class == Some(class) && (s.predicted() == Some(class)) == right
                })
                .map(|(i, _)| i)
                .collect::<Vec<_>>()
        };
        // Lesions first: there the share of heat inside them can be told.
        let lists = [Diagnosis::Covid19, Diagnosis::Cap, Diagnosis::Normal].map(of);
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        let turns = (0..longest).flat_map(|k| lists.iter().filter_map(move |l| l.get(k)));
        all.extend(turns.copied().take(CASES));
    }
    all
}

fn panel(study: &Study<'_>, system: &SystemResult, sheet: &mut Sheet) -> Result<()> {
    let device = Device::flex();
    let network = |net| {
        network_of(net, device.clone(), true).map_err(|e| Error::caused(ErrorKind::Figure, e))
    };
    let entry = study.config.systems.iter().find(|s| s.id == system.id);
    let entry = entry.ok_or_else(|| Error::new(ErrorKind::Figure, "a system is missing"))?;
    device.seed(SEED);
    let random = network(study.config.train_config(entry)?.model.init(&device))?;
    let mut trained: Option<(String, Box<dyn Network>)> = None;
    let mut cases = Vec::new();
    for index in chosen(system) {
        let Some((division, _)) = study.place(index) else {
            continue;
        };
        let network = match &mut trained {
            Some((name, network)) if *name == division.name => network,
            other => {
                let net = load_system(&study.folder, entry, &division.name, &device)?;
                &mut other.insert((division.name.clone(), network(net)?)).1
            }
        };
        let score = &system.scores[index];
        let (Some(class), Some(predicted), Some(probabilities)) =
            (score.class, score.predicted(), score.probabilities)
        else {
            continue;
        };
        let shown = Shown::read(study, index)?;
        let options = PredictOptions {
            explain: true,
            explain_class: Some(predicted),
            ..study.config.predict_options()?
        };
        let Some(heat) = heat(network.as_ref(), &shown, &options)? else {
            // This net's heat map cannot be made.
            return Ok(());
        };
        let z = shown.slice();
        let frame = shown.frame(z)?;
        let randomised = heat_of_random(random.as_ref(), &shown, &options)?
            .map(|map| -> Result<_> {
                let (a, b) = (cut(&heat, z, &frame)?, cut(&map, z, &frame)?);
                Ok(RandomisedCheck {
                    correlation: rank_correlation(a.data(), b.data()),
                    similarity: structural_similarity(&a, &b),
                    heat: b,
                })
            })
            .transpose()?;
        cases.push(GradCamCase {
            name: format!("{}, slice {}", score.patient, z + 1),
            truth: class.label().into(),
            predicted: predicted.label().into(),
            probability: probabilities[predicted.index()],
            scan: cut(&shown.ct, z, &frame)?,
            heat: cut(&heat, z, &frame)?,
            lesion: cut(&shown.truth, z, &frame)?,
            share_in_lesion: share(&heat, &shown.truth),
            randomised,
        });
    }
    if cases.is_empty() {
        return Ok(());
    }
    let kind = if study.results.synthetic {
        " (synthetic phantoms)"
    } else {
        ""
    };
    let figure = GradCam {
        title: format!("{}: Grad-CAM of the predicted class{kind}", system.label),
        cases,
        note: "Share: heat inside the lesion of the whole scan's heat. r: Spearman's rank \
               correlation, SSIM: structural similarity, each of this slice's map with the same \
               net's before any training."
            .into(),
    };
    sheet.add(
        &format!("grad-cam-{}", system.id),
        gradcam_svg(&figure, &Theme::LIGHT).map_err(drawn)?,
        &format!(
            "Grad-CAM of {}: the first right and the first wrong test scans of each class in turn.",
            system.label
        ),
        "CT slices with heat maps of trained and of randomised weights",
    )
}

fn heat(
    network: &dyn Network,
    shown: &Shown,
    options: &PredictOptions,
) -> Result<Option<Volume<f32>>> {
    let said = shown.read.answer(network, options)?;
    Ok(said.heatmap.map(|h| h.to_volume().to_canonical()))
}

/// The untrained net's heat map, of the view of the whole chest alone: its lesion map means nothing
/// and would send it everywhere.
fn heat_of_random(
    network: &dyn Network,
    shown: &Shown,
    options: &PredictOptions,
) -> Result<Option<Volume<f32>>> {
    let options = PredictOptions {
        pipeline: multirnet_infer::Pipeline::Global,
        ..options.clone()
    };
    heat(network, shown, &options)
}

/// Share of the heat that lies inside the lesion; `None` without lesion or heat.
fn share(heat: &Volume<f32>, lesion: &Volume<u8>) -> Option<f64> {
    let pairs = heat.data().iter().zip(lesion.data());
    let (mut inside, mut all, mut any) = (0.0f64, 0.0f64, false);
    for (&h, &l) in pairs {
        all += f64::from(h);
        if l != 0 {
            inside += f64::from(h);
            any = true;
        }
    }
    (any && all > 0.0).then(|| inside / all)
}

/// Ranks from 1, ties sharing their mean.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&i| ranks[i] = rank);
        first += tied.len();
    }
    ranks
}

/// Spearman's rank correlation; NaN if one of the two is constant.
fn rank_correlation(a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        let pairs = a.iter().zip(&b);
        pairs.map(|(x, y)| f(x - mean, y - mean)).sum()
    };
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// Mean structural similarity of two maps in `[0, 1]` over windows of 7 × 7 pixels (Wang et al., IEEE
/// Transactions on Image Processing 13, 2004; K1 = 0.01, K2 = 0.03); NaN for smaller maps.
fn structural_similarity(a: &Slice<f32>, b: &Slice<f32>) -> f64 {
    const SIDE: usize = 7;
    const C: [f64; 2] = [0.01 * 0.01, 0.03 * 0.03];
    let [rows, columns] = a.shape();
    let (mut sum, mut n) = (0.0, 0usize);
    for r in 0..(rows + 1).saturating_sub(SIDE) {
        for c in 0..(columns + 1).saturating_sub(SIDE) {
            let mut m = [0.0f64; 5];
            for i in 0..SIDE * SIDE {
                let at = (r + i / SIDE) * columns + c + i % SIDE;
                let (x, y) = (f64::from(a.data()[at]), f64::from(b.data()[at]));
                let parts = [x, y, x * x, y * y, x * y];
                m.iter_mut().zip(parts).for_each(|(m, p)| *m += p);
            }
            let count = (SIDE * SIDE) as f64;
            let [x, y, xx, yy, xy] = m.map(|v| v / count);
            // Sample (co)variances, as usual for uniform windows.
            let sample = count / (count - 1.0);
            let [vx, vy, vxy] = [xx - x * x, yy - y * y, xy - x * y].map(|v| v * sample);
            sum += (2.0 * x * y + C[0]) * (2.0 * vxy + C[1])
                / ((x * x + y * y + C[0]) * (vx + vy + C[1]));
            n += 1;
        }
    }
    sum / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_goes_by_ranks() {
        assert_eq!(rank_correlation(&[1.0, 2.0, 30.0], &[0.1, 0.5, 0.6]), 1.0);
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        // Ranks 1.5, 1.5, 3 and 1, 2, 3: 1.5 / √(1.5 · 2).
        let tied = rank_correlation(&[1.0, 1.0, 3.0], &[1.0, 2.0, 3.0]);
        assert!((tied - 1.5 / 3.0f64.sqrt()).abs() < 1e-12);
        assert!(rank_correlation(&[1.0, 1.0], &[1.0, 2.0]).is_nan());
    }

    #[test]
    fn similarity_is_one_for_the_same_map_only() {
        let map =
            |f: fn(usize) -> f32| Slice::new(9, 8, [1.0, 1.0], (0..72).map(f).collect()).unwrap();
        let a = map(|i| (i % 5) as f32 / 5.0);
        let b = map(|i| (i % 7) as f32 / 7.0);
        assert!((structural_similarity(&a, &a) - 1.0).abs() < 1e-12);
        assert!(structural_similarity(&a, &b) < 0.5);
        assert!(structural_similarity(&map(|_| 0.0), &map(|_| 1.0)) < 0.01);
    }
}
