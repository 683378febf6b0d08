//! How the voxels of a phantom follow its configuration.

use multirnet_phantom::{Effusion, Nodule, Phantom, PhantomConfig, Side};
use multirnet_volume::Diagnosis;

/// A small patient without confounders, fluid, motion and a cut field of view.
fn plain(seed: u64, class: Diagnosis, matrix: usize) -> PhantomConfig {
    let config = PhantomConfig::sample(seed, class, matrix);
    let mut config = config.with_slices(44).expect("44 slices are allowed");
    config.confounders = Default::default();
    config.effusions.clear();
    config.scanner.motion_mm = 0.0;
    config.scanner.padding_hu = None;
    config
}

fn render(config: &PhantomConfig) -> Phantom {
    config.generate().expect("the configuration is valid")
}

/// Millilitres of the lungs and of the lesions.
fn volumes(p: &Phantom) -> [f64; 2] {
    [&p.lungs, &p.lesions].map(|mask| {
        let marked = mask.data().iter().filter(|v| **v > 0).count();
        marked as f64 * mask.geometry().voxel_mm3() / 1000.0
    })
}

/// Mean HU of the lungs' voxels for which `wanted` holds, by position.
fn mean_hu(p: &Phantom, wanted: impl Fn(usize) -> bool) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for (i, hu) in p.ct.data().iter().enumerate() {
        if p.lungs.data()[i] > 0 && wanted(i) {
            sum += f64::from(*hu);
            n += 1.0;
        }
    }
    sum / n
}

fn close(a: f64, b: f64, share: f64) -> bool {
    (a - b).abs() <= share * a.max(b)
}

#[test]
fn volumes_do_not_depend_on_the_matrix() {
    for class in [Diagnosis::Covid19, Diagnosis::Cap] {
        let [coarse, fine] = [64, 128].map(|n| volumes(&render(&plain(31, class, n))));
        assert!(
            close(coarse[0], fine[0], 0.03),
            "{coarse:?} and {fine:?} ml of lung"
        );
        assert!(
            close(coarse[1], fine[1], 0.12),
            "{coarse:?} and {fine:?} ml of lesion"
        );
    }
}

#[test]
fn lungs_grow_with_the_patient_and_with_the_breath() {
    let mut config = plain(8, Diagnosis::Normal, 80);
    config.patient.scale = [1.0; 3];
    config.patient.inspiration = 0.5;
    let [whole, _] = volumes(&render(&config));
    config.patient.scale = [0.9; 3];
    let [small, _] = volumes(&render(&config));
    assert!(
        close(small, 0.9f64.powi(3) * whole, 0.04),
        "{small} of {whole} ml"
    );
    config.patient.scale = [1.0; 3];

    let [shallow, deep] = [0.0, 1.0].map(|breath| {
        config.patient.inspiration = breath;
        render(&config)
    });
    let [less, more] = [&shallow, &deep].map(|p| volumes(p)[0]);
    assert!(more > 1.15 * less, "{less} and {more} ml");
    // The inspired air makes the lungs darker, down to the configured HU.
    let [dense, dark] = [&shallow, &deep].map(|p| {
        let air = |i: usize| p.ct.data()[i] < -700.0;
        mean_hu(p, air)
    });
    assert!(dense > dark + 50.0, "{dense} and {dark} HU");
    assert!((dark - config.patient.lung_hu).abs() < 30.0, "{dark} HU");
}

#[test]
fn noise_at_mid_chest_is_what_the_scanner_says() {
    let mut config = plain(8, Diagnosis::Normal, 80);
    config.scanner.streaks = 0.0;
    config.scanner.noise_hu = 0.0;
    let clean = render(&config);
    for noise_hu in [10.0, 40.0] {
        config.scanner.noise_hu = noise_hu;
        let noisy = render(&config);
        let [nz, ny, nx] = clean.ct.shape();
        let (mut sum, mut n) = (0.0, 0.0);
        for z in nz / 2 - 6..nz / 2 + 6 {
            for y in ny / 2 - 10..ny / 2 + 10 {
                for x in nx / 2 - 10..nx / 2 + 10 {
                    let at = [z, y, x];
                    let d = f64::from(noisy.ct.at(at) - clean.ct.at(at));
                    // Air cannot fall below −1024 HU.
                    if clean.ct.at(at) > -800.0 {
                        sum += d * d;
                        n += 1.0;
                    }
                }
            }
        }
        let sd = (sum / n).sqrt();
        assert!(
            (0.8..1.2).contains(&(sd / noise_hu)),
            "{sd} for {noise_hu} HU"
        );
    }
}

#[test]
fn a_cut_field_of_view_is_round_and_padded() {
    let mut config = plain(8, Diagnosis::Normal, 64);
    config.scanner.padding_hu = Some(-2000);
    let p = render(&config);
    for (i, hu) in p.ct.data().iter().enumerate() {
        let (y, x) = ((i / 64 % 64) as f64 - 31.5, (i % 64) as f64 - 31.5);
        assert_eq!(*hu == -2000.0, y.hypot(x) > 32.0, "{y} {x}: {hu}");
        assert!((-1024.0..=3071.0).contains(hu) || *hu == -2000.0);
    }
}

#[test]
fn confounders_change_the_scan_and_are_never_marked() {
    type Add = fn(&mut PhantomConfig);
    // What is added, and whether it makes the lungs denser.
    let cases: [(&str, bool, Add); 5] = [
        ("atelectasis", true, |c| {
            c.confounders.atelectasis = [1.0; 2];
            c.confounders.atelectasis_mm = 25.0;
        }),
        ("emphysema", false, |c| c.confounders.emphysema = 0.9),
        ("apical cap", true, |c| c.confounders.apical_cap_mm = 12.0),
        ("nodules", true, |c| {
            c.confounders.nodules = [-75.0, 80.0]
                .map(|x| Nodule {
                    centre_mm: [20.0, -20.0, x],
                    radius_mm: 12.0,
                    hu: 60.0,
                })
                .to_vec();
        }),
        ("scars", true, |c| {
            c.confounders.scars = [-20.0, 0.0, 20.0]
                .map(|y| [[10.0, y, -100.0], [10.0, y, -50.0]])
                .to_vec();
        }),
    ];
    let mut config = plain(8, Diagnosis::Covid19, 64);
    config.scanner.noise_hu = 0.0;
    let before = render(&config);
    for (name, denser, add) in cases {
        let mut with = config.clone();
        add(&mut with);
        let after = render(&with);
        assert_eq!(after.lesions, before.lesions, "{name} is marked");
        assert_eq!(after.lungs, before.lungs, "{name} is lung as it was");
        let clear = |i: usize| before.lesions.data()[i] == 0;
        let rise = mean_hu(&after, clear) - mean_hu(&before, clear);
        let change = if denser { rise } else { -rise };
        assert!(change > 0.1, "{name}: {rise} HU");
    }
}

#[test]
fn fluid_takes_room_from_the_lung_of_its_side_alone() {
    let mut config = plain(8, Diagnosis::Normal, 64);
    let before = render(&config);
    config.effusions = vec![Effusion {
        side: Side::Left,
        depth_mm: 40.0,
        height_mm: 150.0,
        hu: 12.0,
    }];
    config.scanner.noise_hu = 0.0;
    let after = render(&config);
    let count = |p: &Phantom, label: u8| p.lungs.data().iter().filter(|l| **l == label).count();
    assert_eq!(count(&before, 1), count(&after, 1));
    assert!((count(&after, 2) as f64) < 0.95 * count(&before, 2) as f64);
    let (mut sum, mut n) = (0.0, 0.0);
    for (i, hu) in after.ct.data().iter().enumerate() {
        if before.lungs.data()[i] == 2 && after.lungs.data()[i] == 0 {
            sum += f64::from(*hu);
            n += 1.0;
        }
    }
    // Voxels at its border are partly lung.
    assert!((-150.0..20.0).contains(&(sum / n)), "{} HU", sum / n);
    assert!(after.lesions.data().iter().all(|l| *l == 0));
}

#[test]
fn labels_follow_side_and_core_of_the_lesions() {
    let mut config = plain(8, Diagnosis::Covid19, 64);
    config.lesions.retain(|l| l.side == Side::Right);
    let labels = |config: &PhantomConfig| {
        let p = render(config);
        let mut counts = [[0usize; 3]; 3];
        for (lung, lesion) in p.lungs.data().iter().zip(p.lesions.data()) {
            counts[usize::from(*lung)][usize::from(*lesion)] += 1;
        }
        counts
    };
    for lesion in &mut config.lesions {
        lesion.core = 0.0;
    }
    let glass = labels(&config);
    assert!(glass[1][1] > 50 && glass[1][2] == 0);
    assert_eq!(glass[2][1] + glass[2][2], 0, "the left lung is clear");
    for lesion in &mut config.lesions {
        lesion.core = 1.2;
    }
    let dense = labels(&config);
    assert!(dense[1][2] > dense[1][1]);
    assert!(dense[1][1] + dense[1][2] >= glass[1][1]);
}

#[test]
fn notes_count_what_the_configuration_holds() {
    let mut config = plain(8, Diagnosis::Covid19, 64);
    config.lesions.truncate(3);
    let cores = [0.0, 0.5, 0.0];
    for (lesion, core) in config.lesions.iter_mut().zip(cores) {
        lesion.core = core;
    }
    config.confounders.scars = vec![[[0.0; 3], [0.0, 0.0, 10.0]]];
    let notes = render(&config).notes;
    assert_eq!(notes[0], format!("class {}", Diagnosis::Covid19));
    let counts = [
        "2 ground-glass",
        "1 opacities with consolidation",
        "1 scars",
    ];
    for (note, count) in notes[1..].iter().zip(counts) {
        assert!(note.starts_with(count), "{notes:?}");
    }
    assert_eq!(notes.len(), 4, "{notes:?}");
}
