//! The order of the windows.
//!
//! Item `i` of a run is a function of the seed and `i` alone: its scan (from decks of all scans, each
//! shuffled by itself), the scan's part, the view, the centre and the variation. So neither the
//! number of worker threads nor an interruption changes the windows that the network gets.

use crate::augment::{Affine, AugmentConfig};
use crate::config::SamplingConfig;
use crate::window::{ViewKind, Window, cut, end_scan, within};
use crate::{Error, ErrorKind, Result};
use multirnet_base::random::Random;
use multirnet_cohort::{
    Case, Cohort,
    load::{Part, PreparedCase, View},
};
use multirnet_volume::Diagnosis;
use std::collections::{BTreeMap, BTreeSet};

const DECK: u64 = 1;
const ITEM: u64 = 2;
const VALIDATION: u64 = 3;

/// Draws training windows.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Groups of interchangeable scans: of one source if sources are balanced, and of one class if
    /// classes are balanced.
    groups: Vec<Vec<usize>>,
    /// The groups' numbers, each as often as the group comes in a deck.
    deck: Vec<usize>,
    sampling: SamplingConfig,
    augment: AugmentConfig,
    seed: u64,
}

impl Sampler {
    /// A sampler of the cohort's scans at the positions `scans`; there must be at least one.
    ///
    /// # Errors
    /// `Config` if `sampling.source_weights` names a source that the cohort does not have, or gives
    /// none of the scans' sources a weight above 0.
    pub fn new(
        cohort: &Cohort,
        scans: &[usize],
        sampling: &SamplingConfig,
        augment: &AugmentConfig,
        seed: u64,
    ) -> Result<Self> {
        let (groups, deck) = decks(cohort, scans, sampling)?;
        Ok(Self {
            groups,
            deck,
            sampling: sampling.clone(),
            augment: augment.clone(),
            seed,
        })
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        let windows = self.deck.len() * self.sampling.windows_per_scan;
        self.sampling
            .steps_per_epoch
            .unwrap_or_else(|| windows.div_ceil(self.sampling.batch))
            .max(1)
    }

    /// Position in the cohort of the scan of item `item`.
    ///
    /// Decks follow each other, each shuffled by itself. A deck decides how often each group comes. A
    /// deck of the group alone decides which of its scans comes, so each of them comes equally often
    /// for any share of the group.
    pub fn scan_of(&self, item: u64) -> usize {
        let n = self.deck.len() as u64;
        let (cycle, place) = (item / n, (item % n) as usize);
        let mut deck = self.deck.clone();
        Random::keyed(&[self.seed, DECK, cycle]).shuffle(&mut deck);
        let number = deck[place];
        let same = |list: &[usize]| list.iter().filter(|g| **g == number).count() as u64;
        let drawn = cycle * same(&deck) + same(&deck[..place]);
        let mut group = self.groups[number].clone();
        let of_group = group.len() as u64;
        Random::keyed(&[self.seed, DECK, drawn / of_group, number as u64]).shuffle(&mut group);
        group[(drawn % of_group) as usize]
    }

    /// Cuts item `item` out of its scan `case`, which is number `position` of the cohort and prepared
    /// as `prepared`.
    pub fn window(
        &self,
        item: u64,
        position: usize,
        case: &Case,
        prepared: &PreparedCase,
    ) -> Window {
        let mut rng = Random::keyed(&[self.seed, ITEM, item]);
        let kind = if rng.unit() < self.sampling.global_fraction {
            ViewKind::Global
        } else {
            ViewKind::Local
        };
        let (view, centre) = place(&mut rng, prepared, kind, &self.sampling);
        let spacing = view.image.geometry().spacing_mm();
        let affine = self.augment.draw_affine(&mut rng, spacing);
        let shape = self.sampling.patch_size;
        let (mut image, mut labels) = cut(view, centre, &affine, shape);
        self.augment.vary_intensity(&mut rng, &mut image);
        // This comes after the noise, because repeated slices share their noise.
        let kept = self.augment.draw_ends(&mut rng, shape);
        if let Some(kept) = &kept {
            end_scan(&mut image, shape, kept);
            end_scan(&mut labels, shape, kept);
        }
        let whole = kind == ViewKind::Global && kept.is_none();
        label(image, labels, case, kind, whole, position)
    }
}

/// Groups of scans, and a deck of their numbers.
///
/// If sources are balanced, they come in the ratio of their weights; if not, they count as one
/// source. If classes are balanced, they come equally often within a source (scans of unknown class
/// are a class of their own here); if not, each scan of the source comes equally often. The deck has
/// as many places per source as the largest source would need by itself.
fn decks(
    cohort: &Cohort,
    scans: &[usize],
    sampling: &SamplingConfig,
) -> Result<(Vec<Vec<usize>>, Vec<usize>)> {
    let known = cohort.sources();
    let unknown = |s: &&String| !known.contains_key(s.as_str());
    if let Some(name) = sampling.source_weights.keys().find(unknown) {
        let names: Vec<&str> = known.into_keys().collect();
        return Err(Error::new(
            ErrorKind::Config,
            format!("sampling.source_weights names {name:?}, which is not a source of the cohort"),
        )
        .hint(format!("name one of its sources {names:?}")));
    }
    let mut sources: BTreeMap<&str, BTreeMap<Option<Diagnosis>, Vec<usize>>> = BTreeMap::new();
    for &scan in scans {
        let case = &cohort.cases[scan];
        let source = match sampling.balance_sources {
            true => case.source.as_str(),
            false => "",
        };
        let class = match sampling.balance_classes {
            true => case.class,
            false => None,
        };
        let classes = sources.entry(source).or_default();
        classes.entry(class).or_default().push(scan);
    }
    let weight = |source: &str| sampling.source_weights.get(source).copied().unwrap_or(1.0);
    let total: f64 = sources.keys().map(|s| weight(s)).sum();
    if total <= 0.0 {
        return Err(Error::new(
            ErrorKind::Config,
            "sampling.source_weights leaves no source to train on",
        )
        .hint("give a weight above 0 to a source with scans for training"));
    }
    let alone = |classes: &BTreeMap<_, Vec<usize>>| {
        let most = classes.values().map(Vec::len).max().unwrap_or(0);
        most * classes.len()
    };
    let length = sources.values().map(alone).max().unwrap_or(0) * sources.len();
    let (mut groups, mut deck) = (Vec::new(), Vec::new());
    // The sum of the shares so far is rounded instead of each share. A source therefore keeps its
    // share, although the places of its classes are rounded.
    let mut sum = 0.0;
    for (source, classes) in sources {
        let share = weight(source) / total / classes.len() as f64;
        for scans in classes.into_values() {
            let place = |sum: f64| (sum * length as f64).round() as usize;
            let often = place(sum + share) - place(sum);
            sum += share;
            // Each group of a source with a weight above 0 comes at least once.
            let often = if share > 0.0 { often.max(1) } else { 0 };
            deck.extend(std::iter::repeat_n(groups.len(), often));
            groups.push(scans);
        }
    }
    Ok((groups, deck))
}

/// Sources whose training scans (those in `scans`) of known class all have the same class, although
/// the training has several classes. A network can tell such a class by the source instead of by the
/// lesions.
pub fn sources_of_one_class(cohort: &Cohort, scans: &[usize]) -> Vec<(String, Diagnosis)> {
    let mut classes: BTreeMap<&str, BTreeSet<Diagnosis>> = BTreeMap::new();
    for case in scans.iter().map(|&i| &cohort.cases[i]) {
        if let Some(class) = case.class {
            classes.entry(&case.source).or_default().insert(class);
        }
    }
    let all: BTreeSet<Diagnosis> = classes.values().flatten().copied().collect();
    let only = |(source, own): (&str, BTreeSet<Diagnosis>)| match own.len() {
        1 if all.len() > 1 => own.first().map(|c| (source.to_owned(), *c)),
        _ => None,
    };
    classes.into_iter().filter_map(only).collect()
}

/// A window for validation, which is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindow {
    /// Position of the scan in the cohort.
    pub case: usize,
    /// The view that it shows.
    pub kind: ViewKind,
    /// Number of the window within the scan.
    pub number: u64,
}

/// The fixed windows of the validation scans: each scan's global view and `local` local windows,
/// thinned out evenly to at most `most`.
pub fn fixed_windows(scans: &[usize], local: usize, most: usize) -> Vec<FixedWindow> {
    let all: Vec<FixedWindow> = scans
        .iter()
        .flat_map(|&case| {
            (0..=local as u64).map(move |number| FixedWindow {
                case,
                kind: if number == 0 {
                    ViewKind::Global
                } else {
                    ViewKind::Local
                },
                number,
            })
        })
        .collect();
    let n = all.len().min(most.max(1));
    (0..n).map(|i| all[i * all.len() / n]).collect()
}

impl FixedWindow {
    /// Cuts it out of its scan `case`, which is prepared as `prepared`, without variation.
    pub fn window(
        &self,
        case: &Case,
        prepared: &PreparedCase,
        sampling: &SamplingConfig,
        seed: u64,
    ) -> Window {
        // The key is the scan's content, so the order of the manifest does not matter.
        let content = u64::from_str_radix(prepared.content.get(..16).unwrap_or("0"), 16);
        let mut rng = Random::keyed(&[seed, VALIDATION, content.unwrap_or(0), self.number]);
        let (view, centre) = place(&mut rng, prepared, self.kind, sampling);
        let (image, labels) = cut(view, centre, &Affine::mirror(false), sampling.patch_size);
        let whole = self.kind == ViewKind::Global;
        label(image, labels, case, self.kind, whole, self.case)
    }
}

/// Draws a view of one of the scan's parts, and a centre in it. A global view is centred on its
/// middle. A local one is centred on a lesion voxel (if there is any and the draw says so) or on a
/// lung voxel. A part's probability is proportional to its planes, or to its planes with lesion.
fn place<'a>(
    rng: &mut Random,
    prepared: &'a PreparedCase,
    kind: ViewKind,
    sampling: &SamplingConfig,
) -> (&'a View, [f64; 3]) {
    let parts = &prepared.parts;
    let lesions: usize = parts.iter().map(|p| p.local.lesion_planes).sum();
    let on_lesion = kind == ViewKind::Local && rng.unit() < sampling.lesion_fraction && lesions > 0;
    let planes = |p: &Part| match on_lesion {
        true => p.local.lesion_planes,
        false => p.planes,
    };
    let mut left = rng.below(parts.iter().map(planes).sum::<usize>().max(1));
    let mut chosen = &parts[0];
    for part in parts {
        chosen = part;
        match left.checked_sub(planes(part)) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    let view = &chosen.local;
    let centre = match kind {
        ViewKind::Global => return (&chosen.global, middle(&chosen.global)),
        ViewKind::Local if on_lesion => lesion_centre(rng, view),
        ViewKind::Local => lung_centre(rng, view),
    };
    (
        view,
        within(centre, view.image.shape(), sampling.patch_size),
    )
}

fn middle(view: &View) -> [f64; 3] {
    view.image.shape().map(|s| (s as f64 - 1.0) / 2.0)
}

fn index_of(view: &View, position: usize) -> [f64; 3] {
    let [_, ny, nx] = view.image.shape();
    [position / (ny * nx), position / nx % ny, position % nx].map(|v| v as f64)
}

fn lesion_centre(rng: &mut Random, view: &View) -> [f64; 3] {
    let voxel = rng.below(view.lesion_voxels.len());
    index_of(view, view.lesion_voxels[voxel] as usize)
}

fn lung_centre(rng: &mut Random, view: &View) -> [f64; 3] {
    let lungs = view.lungs.data();
    // The lungs fill much of their box, so a few draws are enough.
    for _ in 0..1000 {
        let i = rng.below(lungs.len());
        if lungs[i] != 0 {
            return index_of(view, i);
        }
    }
    middle(view)
}

/// A view of the `whole` has its scan's class. If the lesions are known, a part of the lungs has it
/// too if it shows lesion, and is normal otherwise. No window of a scan of unknown class has a class,
/// because windows without lesion would teach that its source is normal.
fn label(
    image: Vec<f32>,
    labels: Vec<u8>,
    case: &Case,
    kind: ViewKind,
    whole: bool,
    position: usize,
) -> Window {
    let mut known = case.known();
    let free = !whole && labels.iter().all(|&l| l == 0);
    let class = match case.class {
        Some(class) if !free => class,
        _ => Diagnosis::Normal,
    };
    if !whole && case.class != Some(Diagnosis::Normal) {
        known.class &= known.lesion;
    }
    // Where there is no lesion there is none of either kind.
    known.kinds |= known.lesion && labels.iter().all(|&l| l == 0);
    Window {
        image,
        labels,
        class: class.index(),
        known,
        kind,
        case: position,
    }
}
