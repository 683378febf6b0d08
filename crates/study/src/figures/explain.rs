//! Grad-CAM of rightly and wrongly classified cases, checked against randomised weights.

use super::pictures::{Shown, cut};
use super::sheet::Sheet;
use super::study::{Study, check_stop, figure_error};
use crate::scoring::{load_system, random_heat, random_network};
use crate::system_result::SystemResult;
use crate::{Error, ErrorKind, Result};
use multirnet::evaluation::HeatScore;
use multirnet_base::StopToken;
use multirnet_finding::NativeMap;
use multirnet_infer::{Network, PredictOptions};
use multirnet_metrics::maps::{rank_correlation, structural_similarity};
use multirnet_report::{GradCam, GradCamCase, RandomisedCheck, Theme, gradcam_svg};
use multirnet_volume::Diagnosis;

/// Number of cases that are shown of each kind.
const CASES: usize = 3;

/// One figure for each system that classifies and whose heat map can be made.
pub(super) fn panels<'a>(study: &'a Study<'_>) -> Result<Sheet<'a>> {
    let mut sheet = Sheet::new(study);
    for system in &study.results.systems {
        if system.classification().is_some() {
            panel(study, system, &mut sheet)?;
        }
    }
    Ok(sheet)
}

/// Positions of scores: the first right and the first wrong ones of each class in turn.
fn representative_cases(system: &SystemResult) -> Vec<usize> {
    let mut all = Vec::new();
    for right in [true, false] {
        let of = |class: Diagnosis| {
            let scores = system.cases.iter().enumerate();
            scores
                .filter(move |(_, s)| {
                    s.class == Some(class) && (s.predicted() == Some(class)) == right
                })
                .map(|(i, _)| i)
                .collect::<Vec<_>>()
        };
        // Classes with lesions come first, because they have a share of heat inside lesions.
        let lists = [Diagnosis::Covid19, Diagnosis::Cap, Diagnosis::Normal].map(of);
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        let turns = (0..longest).flat_map(|k| lists.iter().filter_map(move |l| l.get(k)));
        all.extend(turns.copied().take(CASES));
    }
    all
}

fn panel(study: &Study<'_>, system: &SystemResult, sheet: &mut Sheet<'_>) -> Result<()> {
    let entry = study.config.systems.iter().find(|s| s.id == system.id);
    let entry = entry.ok_or_else(|| Error::new(ErrorKind::Figure, "a system is missing"))?;
    let random = random_network(&study.config, entry, study.device)?;
    let mut trained: Option<(String, Box<dyn Network>)> = None;
    let mut cases = Vec::new();
    for index in representative_cases(system) {
        check_stop(study.stop)?;
        let Some((division, _)) = study.place(index) else {
            continue;
        };
        let network = match &mut trained {
            Some((name, network)) if *name == division.name => network,
            other => {
                let network = load_system(&study.folder, entry, &division.name, study.device)?;
                &mut other.insert((division.name.clone(), network)).1
            }
        };
        let score = &system.cases[index];
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
        let Some(heat) = heat(network.as_ref(), &shown, &options, study.stop)? else {
            // A heat map cannot be made for this net.
            return Ok(());
        };
        let case = &shown.read.case;
        let share = case.lesions.as_ref().and_then(|lesions| {
            HeatScore::from_maps(predicted, &heat, &case.lungs, lesions, None).in_lesions
        });
        let heat = heat.to_volume().to_canonical();
        let z = shown.slice();
        let frame = shown.frame(z)?;
        let randomised = random_heat(random.as_ref(), &shown.read, &options, study.stop)
            .map_err(drawing)?
            .map(|map| map.to_volume().to_canonical())
            .map(|map| -> Result<_> {
                let (a, b) = (cut(&heat, z, &frame)?, cut(&map, z, &frame)?);
                Ok(RandomisedCheck {
                    correlation: rank_correlation(a.data(), b.data()),
                    similarity: structural_similarity(a.data(), b.data(), a.shape()),
                    heat: b,
                })
            })
            .transpose()?;
        cases.push(GradCamCase {
            name: format!("{}, slice {}", score.patient, z + 1),
            truth: class.label().into(),
            predicted: predicted.label().into(),
            probability: probabilities.of_class(predicted),
            scan: cut(&shown.ct, z, &frame)?,
            heat: cut(&heat, z, &frame)?,
            lesion: cut(&shown.truth, z, &frame)?,
            share_in_lesion: share,
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
        gradcam_svg(&figure, &Theme::LIGHT).map_err(figure_error)?,
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
    stop: &StopToken,
) -> Result<Option<NativeMap>> {
    let said = shown.read.run(network, options, stop).map_err(drawing)?;
    Ok(said.heatmap)
}

/// The error of a run while a figure is drawn.
fn drawing(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Interrupted => Error::interrupted_drawing(),
        _ => error,
    }
}
