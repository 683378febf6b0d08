//! Which window comes next.
//!
//! Item `i` of a run is a function of the seed and `i` alone: which scan (decks of all scans, each
//! shuffled by itself), which view, which centre, which variation. So neither the number of
//! worker threads nor an interruption changes what the network sees.

use crate::augment::{Affine, AugmentConfig};
use crate::config::SamplingConfig;
use crate::known::Known;
use crate::load::{PreparedCase, View};
use crate::random::{below, keyed, shuffle, unit};
use crate::window::{ViewKind, Window, cut};
use multirnet_volume::Diagnosis;
use rand_pcg::Pcg64Mcg;

const DECK: u64 = 1;
const ITEM: u64 = 2;
const VALIDATION: u64 = 3;

/// Draws training windows.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Positions of the training scans in the cohort, repeated where classes are balanced.
    deck: Vec<usize>,
    sampling: SamplingConfig,
    augment: AugmentConfig,
    seed: u64,
}

impl Sampler {
    /// A sampler of the scans `(position in the cohort, class)`; there must be at least one.
    pub fn new(
        scans: &[(usize, Diagnosis)],
        sampling: &SamplingConfig,
        augment: &AugmentConfig,
        seed: u64,
    ) -> Self {
        let of = |class: Diagnosis| -> Vec<usize> {
            let same = scans.iter().filter(|s| s.1 == class);
            same.map(|s| s.0).collect()
        };
        let classes: Vec<Vec<usize>> = Diagnosis::ALL.into_iter().map(of).collect();
        let most = classes.iter().map(Vec::len).max().unwrap_or(0);
        let deck = if sampling.balance_classes {
            let fill = |c: &Vec<usize>| {
                let n = if c.is_empty() { 0 } else { most };
                c.iter().copied().cycle().take(n).collect::<Vec<_>>()
            };
            classes.iter().flat_map(fill).collect()
        } else {
            scans.iter().map(|s| s.0).collect()
        };
        Self {
            deck,
            sampling: sampling.clone(),
            augment: augment.clone(),
            seed,
        }
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        let windows = self.deck.len() * self.sampling.windows_per_scan;
        self.sampling
            .steps_per_epoch
            .unwrap_or_else(|| windows.div_ceil(self.sampling.batch))
            .max(1)
    }

    /// Position in the cohort of the scan of item `i`.
    pub fn scan_of(&self, item: u64) -> usize {
        let n = self.deck.len() as u64;
        let mut deck = self.deck.clone();
        shuffle(&mut deck, &[self.seed, DECK, item / n]);
        deck[(item % n) as usize]
    }

    /// Item `i`, whose scan `prepared` is.
    pub fn window(
        &self,
        item: u64,
        case: usize,
        class: Diagnosis,
        prepared: &PreparedCase,
    ) -> Window {
        let mut rng = keyed(&[self.seed, ITEM, item]);
        let kind = if unit(&mut rng) < self.sampling.global_share {
            ViewKind::Global
        } else {
            ViewKind::Local
        };
        let view = view_of(prepared, kind);
        let centre = match kind {
            ViewKind::Global => middle(view),
            ViewKind::Local => local_centre(&mut rng, view, self.sampling.lesion_share),
        };
        let spacing = view.image.geometry().spacing_mm();
        let affine = self.augment.draw_affine(&mut rng, spacing);
        let (mut image, labels) = cut(view, centre, &affine, self.sampling.window);
        self.augment.vary_intensity(&mut rng, &mut image);
        label(image, labels, class, kind, case)
    }
}

/// A window that is always the same, for validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindow {
    /// Position of the scan in the cohort.
    pub case: usize,
    /// Its view.
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
    /// Cuts it out, without variation.
    pub fn window(
        &self,
        class: Diagnosis,
        prepared: &PreparedCase,
        sampling: &SamplingConfig,
        seed: u64,
    ) -> Window {
        let view = view_of(prepared, self.kind);
        // Keyed by the scan's content, so that the order of the manifest plays no part.
        let content = u64::from_str_radix(prepared.content.get(..16).unwrap_or("0"), 16);
        let mut rng = keyed(&[seed, VALIDATION, content.unwrap_or(0), self.number]);
        let centre = match self.kind {
            ViewKind::Global => middle(view),
            ViewKind::Local => local_centre(&mut rng, view, sampling.lesion_share),
        };
        let (image, labels) = cut(view, centre, &Affine::mirror(false), sampling.window);
        label(image, labels, class, self.kind, self.case)
    }
}

fn view_of(prepared: &PreparedCase, kind: ViewKind) -> &View {
    match kind {
        ViewKind::Global => &prepared.global,
        ViewKind::Local => &prepared.local,
    }
}

fn middle(view: &View) -> [f64; 3] {
    view.image.shape().map(|s| (s as f64 - 1.0) / 2.0)
}

/// A lesion voxel (if there is any and the draw says so), or a lung voxel.
fn local_centre(rng: &mut Pcg64Mcg, view: &View, lesion_share: f64) -> [f64; 3] {
    let [_, ny, nx] = view.image.shape();
    let index = |i: usize| [i / (ny * nx), i / nx % ny, i % nx].map(|v| v as f64);
    if unit(rng) < lesion_share && !view.lesion_voxels.is_empty() {
        return index(view.lesion_voxels[below(rng, view.lesion_voxels.len())] as usize);
    }
    let lungs = view.lungs.data();
    // The lungs fill a good part of their box, so that a hit comes soon.
    for _ in 0..1000 {
        let i = below(rng, lungs.len());
        if lungs[i] != 0 {
            return index(i);
        }
    }
    middle(view)
}

/// A local window without lesion is normal; the global view has its scan's class in any case.
fn label(
    image: Vec<f32>,
    labels: Vec<u8>,
    class: Diagnosis,
    kind: ViewKind,
    case: usize,
) -> Window {
    let free = kind == ViewKind::Local && labels.iter().all(|&l| l == 0);
    let class = if free { Diagnosis::Normal } else { class };
    Window {
        image,
        labels,
        class: class.index(),
        known: Known::ALL,
        kind,
        case,
    }
}
