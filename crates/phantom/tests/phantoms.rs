//! Behaviour of whole phantoms.

use multirnet_phantom::{ErrorKind, Phantom, PhantomConfig};
use multirnet_volume::Diagnosis;

/// A small phantom, quick to render.
fn small(seed: u64, class: Diagnosis) -> PhantomConfig {
    let config = PhantomConfig::sample(seed, class, 80);
    config.with_slices(44).expect("44 slices are allowed")
}

fn render(config: &PhantomConfig) -> Phantom {
    config.generate().expect("a sampled config renders")
}

/// Volumes in ml: lesion in the right lung, in the left, lungs.
fn shares(p: &Phantom) -> [f64; 3] {
    let mut n = [0.0; 3];
    for (&lung, &lesion) in p.lungs.data().iter().zip(p.lesions.data()) {
        if lung > 0 {
            n[2] += 1.0;
            if lesion > 0 {
                n[usize::from(lung) - 1] += 1.0;
            }
        }
    }
    n.map(|v| v * p.ct.geometry().voxel_mm3() / 1000.0)
}

#[test]
fn the_same_config_gives_the_same_voxels_on_any_number_of_threads() {
    let config = small(11, Diagnosis::Covid19);
    let pool = |n| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build()
            .expect("a pool starts")
            .install(|| render(&config))
    };
    let one = pool(1);
    assert_eq!(one, pool(3));
    assert_eq!(one, render(&config));
    assert_ne!(one.ct, render(&small(12, Diagnosis::Covid19)).ct);
}

#[test]
fn truth_is_consistent() {
    for class in Diagnosis::ALL {
        let p = render(&small(3, class));
        assert_eq!(p.class, class);
        p.ct.check_same_grid(&p.lungs).unwrap();
        p.ct.check_same_grid(&p.lesions).unwrap();
        assert!(p.lungs.data().iter().all(|l| *l <= 2));
        assert!(p.lesions.data().iter().all(|l| *l <= 2));
        let outside = p
            .lesions
            .data()
            .iter()
            .zip(p.lungs.data())
            .any(|(lesion, lung)| *lesion > 0 && *lung == 0);
        assert!(!outside, "{class}: a lesion lies outside the lungs");
        let [right, left, lungs] = shares(&p);
        assert!((1500.0..8000.0).contains(&lungs), "{lungs} ml of lung");
        assert_eq!(right + left > 0.0, class != Diagnosis::Normal);
        assert!(p.ct.data().iter().all(|v| v.fract() == 0.0));
    }
}

#[test]
fn sides_follow_the_world_axes() {
    let p = render(&small(5, Diagnosis::Normal));
    let mut sum = [[0.0f64; 2]; 3];
    let [nz, ny, nx] = p.ct.shape();
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                let side = usize::from(p.lungs.at([z, y, x]));
                let world =
                    p.ct.geometry()
                        .index_to_world([z as f64, y as f64, x as f64]);
                sum[side][0] += world[0];
                sum[side][1] += 1.0;
            }
        }
    }
    let centre = |side: usize| sum[side][0] / sum[side][1];
    // +X is the patient's left, label 2.
    assert!(centre(2) - centre(1) > 80.0);
    assert_ne!(p.ct.geometry().origin_mm(), [0.0; 3]);
}

/// HU at a reference point `(x, y, z)` of the phantom's patient, mean over a small block.
fn hu_at(config: &PhantomConfig, p: &Phantom, point: [f64; 3]) -> f64 {
    let q = &config.patient;
    let (s, c) = q.roll_deg.to_radians().sin_cos();
    let (x, y) = (point[0] * q.scale[2], point[1] * q.scale[1]);
    let world = [
        q.position_mm[0] + c * x - s * y,
        q.position_mm[1] + c * y + s * x,
        q.position_mm[2] + point[2] * q.scale[0],
    ];
    let index =
        p.ct.geometry()
            .world_to_index(world)
            .map(|v| v.round() as usize);
    let mut sum = 0.0;
    for dy in 0..3 {
        for dx in 0..3 {
            sum += f64::from(p.ct.at([index[0], index[1] + dy - 1, index[2] + dx - 1]));
        }
    }
    sum / 9.0
}

#[test]
fn tissues_have_their_hu_where_they_belong() {
    // The matrix is fine enough for three pixels within each structure.
    let config = PhantomConfig::sample(8, Diagnosis::Normal, 192);
    let mut config = config.with_slices(44).expect("44 slices are allowed");
    config.scanner.motion_mm = 0.0;
    config.scanner.noise_hu = 10.0;
    config.patient.inspiration = 0.8;
    let p = render(&config);
    for (what, point, low, high) in [
        ("trachea", [0.0, 9.0, 70.0], -1024.0, -700.0),
        ("heart", [25.0, -28.0, -30.0], 20.0, 70.0),
        ("liver", [-60.0, 0.0, -95.0], 30.0, 85.0),
        ("descending aorta", [23.0, 36.0, 20.0], 15.0, 75.0),
        ("vertebral body", [0.0, 53.0, 20.0], 60.0, 600.0),
        ("right lung", [-80.0, -30.0, 20.0], -980.0, -650.0),
        ("left lung", [85.0, -30.0, 20.0], -980.0, -650.0),
    ] {
        let hu = hu_at(&config, &p, point);
        assert!((low..high).contains(&hu), "{what}: {hu} HU");
    }
    let corner = p.ct.at([22, 1, 1]);
    assert!(corner <= -950.0, "air outside: {corner} HU");
}

#[test]
fn opacities_are_denser_than_the_lung_around_them() {
    let mean = |p: &Phantom, wanted: u8| {
        let (mut sum, mut n) = (0.0, 0.0);
        for i in 0..p.ct.data().len() {
            if p.lungs.data()[i] > 0 && p.lesions.data()[i] == wanted {
                sum += f64::from(p.ct.data()[i]);
                n += 1.0;
            }
        }
        sum / n
    };
    let covid = render(&small(21, Diagnosis::Covid19));
    assert!((-720.0..-420.0).contains(&mean(&covid, 1)));
    assert!(mean(&covid, 0) < -720.0);
    let mut config = small(1, Diagnosis::Cap);
    for lesion in &mut config.lesions {
        lesion.core = 1.1;
    }
    let cap = render(&config);
    assert!((-200.0..70.0).contains(&mean(&cap, 2)));
}

#[test]
fn covid_is_mostly_bilateral_and_cap_is_not() {
    let bilateral = |class| {
        (100..110)
            .filter(|&seed| {
                let [right, left, lungs] = shares(&render(&small(seed, class)));
                let share = (right + left) / lungs;
                assert!((0.01..0.5).contains(&share), "{class} {seed}: {share}");
                right.min(left) > 0.1 * (right + left)
            })
            .count()
    };
    let (covid, cap) = (bilateral(Diagnosis::Covid19), bilateral(Diagnosis::Cap));
    assert!(covid >= 7, "{covid} of 10 COVID-19 phantoms are bilateral");
    assert!(cap <= 4, "{cap} of 10 CAP phantoms are bilateral");
}

#[test]
fn a_config_survives_json() {
    let config = PhantomConfig::sample(77, Diagnosis::Cap, 128);
    let text = serde_json::to_string(&config).unwrap();
    let back: PhantomConfig = serde_json::from_str(&text).unwrap();
    assert_eq!(config, back);
    let unknown = text.replacen("\"seed\"", "\"sead\"", 1);
    assert!(serde_json::from_str::<PhantomConfig>(&unknown).is_err());
}

#[test]
fn a_bad_config_is_an_error_that_names_the_field() {
    type Break = fn(&mut PhantomConfig);
    let cases: [(&str, Break); 7] = [
        ("noise_hu", |c| c.scanner.noise_hu = f64::NAN),
        ("scale", |c| c.patient.scale[0] = 0.0),
        ("spacing_mm", |c| c.spacing_mm[1] = -1.0),
        ("shape", |c| c.shape[2] = 0),
        ("lesions.radii_mm", |c| c.lesions[0].radii_mm[1] = 0.0),
        ("padding_hu", |c| c.scanner.padding_hu = Some(5)),
        ("class", |c| c.lesions.clear()),
    ];
    for (field, spoil) in cases {
        let mut config = small(2, Diagnosis::Cap);
        spoil(&mut config);
        let error = config.generate().expect_err(field);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(field), "{error}");
    }
    assert!(small(2, Diagnosis::Cap).with_slices(0).is_err());
}

#[test]
fn slices_cover_the_same_extent() {
    let config = PhantomConfig::sample(4, Diagnosis::Normal, 64);
    let extent = config.shape[0] as f64 * config.spacing_mm[0];
    let new = config.clone().with_slices(30).unwrap();
    assert_eq!(new.shape, [30, 64, 64]);
    assert!((new.shape[0] as f64 * new.spacing_mm[0] - extent).abs() < 1e-9);
    let edge = |c: &PhantomConfig| c.origin_mm[2] - c.spacing_mm[0] / 2.0;
    assert!((edge(&config) - edge(&new)).abs() < 1e-9);
}
