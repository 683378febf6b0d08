//! Scans of real sources: values linear in HU, gaps, single slices, unknown truth.

mod common;

use common::{WINDOW, prepare_config, read, write_case};
use multirnet_anatomy::{Intensity, PrepareConfig};
use multirnet_cohort::{
    Cache, Case, Cohort, ErrorKind, Known,
    load::{load_case, read_case},
};
use multirnet_phantom::PhantomConfig;
use multirnet_train::Sampler;
use multirnet_train::augment::AugmentConfig;
use multirnet_train::config::SamplingConfig;
use multirnet_train::window::ViewKind;
use multirnet_volume::{Diagnosis, Geometry, Volume, io};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A stop flag that is never raised.
static GO: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// The box with two lungs, its grey values mapped to HU: lung near -800, lesion near -160.
fn linear_case(folder: &Path, name: &str, class: Diagnosis) -> Case {
    let mut case = write_case(folder, name, class, 1);
    case.intensity = Intensity::Hu;
    (case.slope, case.intercept) = (6.0, -1000.0);
    case
}

#[test]
fn values_become_hu_and_the_spacing_of_the_manifest_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut case = linear_case(folder.path(), "a", Diagnosis::Covid19);
    let stored = read(&case.scan).unwrap();
    let whole = read_case(&case, &read, &prepare_config()).unwrap();
    let pairs = whole.scan.data().iter().zip(stored.data());
    assert!(pairs.clone().all(|(hu, v)| *hu == 6.0 * v - 1000.0));
    assert_eq!(whole.runs.as_slice(), std::slice::from_ref(&(0..20)));
    assert_eq!(whole.prepare.gate, prepare_config().gate, "a whole scan");
    assert_eq!(whole.scan.geometry(), stored.geometry());

    case.spacing_mm = Some([5.0, 3.5, 3.25]);
    let whole = read_case(&case, &read, &prepare_config()).unwrap();
    assert_eq!(whole.scan.geometry().spacing_mm(), [5.0, 3.5, 3.25]);
    whole.scan.check_same_grid(&whole.lungs).unwrap();
    whole
        .scan
        .check_same_grid(whole.lesions.as_ref().unwrap())
        .unwrap();

    let dir = folder.path().join("cache");
    let cache = Cache::new(&dir, &prepare_config(), 64, &read);
    let key = cache.key(&case, &GO).unwrap();
    let changes: [fn(&mut Case); 5] = [
        |c| c.slope = 7.0,
        |c| c.spacing_mm = None,
        |c| (c.mask, c.lesions_known) = (None, false),
        |c| (c.lungs, c.lungs_all) = (None, true),
        |c| c.class = None,
    ];
    for change in changes {
        let mut other = case.clone();
        change(&mut other);
        assert_ne!(cache.key(&other, &GO).unwrap(), key, "{other:?}");
    }
}

#[test]
fn a_mask_on_another_grid_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut case = linear_case(folder.path(), "a", Diagnosis::Covid19);
    let other = folder.path().join("other.nii.gz");
    let grid = Geometry::axial([19, 40, 48], [4.0, 3.0, 3.0]).unwrap();
    io::write_nifti(&other, &Volume::filled(1u8, grid)).unwrap();
    case.mask = Some(other.clone());
    let error = read_case(&case, &read, &prepare_config()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Scan);
    assert_eq!(error.path(), Some(other.as_path()));
    case.mask = Some(write_png(&folder.path().join("m.png"), [48, 40], |_| 1));
    let error = read_case(&case, &read, &prepare_config()).unwrap_err();
    assert!(error.to_string().contains("[1, 40, 48]"), "{error}");
}

/// 20 planes in three stacks of 12, 5 and 3; every plane has a grey value of its own.
fn stack_with_gaps(folder: &Path) -> Case {
    let grid = Geometry::axial([20, 32, 32], [4.0, 3.0, 3.0]).unwrap();
    let scan = folder.join("gaps.nii.gz");
    let values = Volume::from_fn(grid, |[z, _, _]| 50 + 10 * z as u8);
    io::write_nifti(&scan, &values).unwrap();
    let mask = folder.join("gaps_mask.nii.gz");
    // Lesion in two planes of the second stack and in the whole third.
    let labels = Volume::from_fn(grid, |[z, y, x]| {
        u8::from(z >= 15 && (8..20).contains(&y) && (8..20).contains(&x))
    });
    io::write_nifti(&mask, &labels).unwrap();
    let slices = folder.join("slices.csv");
    let number = |k: usize| k + 100 + 4 * usize::from(k >= 12) + usize::from(k >= 17);
    let lines: String = (0..20).map(|k| format!("{k},{},1\n", number(k))).collect();
    fs::write(&slices, format!("k,source_slice,other\n{lines}")).unwrap();
    let mut case = Case::new(scan, Some(mask), Diagnosis::Covid19, "p");
    case.intensity = Intensity::Unit;
    case.lungs_all = true;
    case.slices = Some(slices);
    case
}

#[test]
fn windows_never_reach_over_a_gap_and_stacks_come_as_often_as_they_have_slices() {
    let folder = tempfile::tempdir().unwrap();
    let case = stack_with_gaps(folder.path());
    let prepare = PrepareConfig {
        margin_mm: 0.0,
        ..prepare_config()
    };
    let whole = read_case(&case, &read, &prepare).unwrap();
    assert_eq!(whole.runs, [0..12, 12..17, 17..20]);
    let dir = folder.path().join("cache");
    let cache = Cache::new(&dir, &prepare, 64, &read);
    let entry = cache.ensure(&case, &GO).unwrap();
    assert_eq!(entry.lesion_voxels, 5 * 12 * 12);
    assert_eq!(entry.local().count(), 3);
    // The case from disk equals the prepared one.
    let prepared = cache.get(&case, &entry.key).unwrap();
    assert_eq!(*prepared, load_case(&case, &prepare, &read).unwrap());
    let planes: Vec<usize> = prepared.parts.iter().map(|p| p.planes).collect();
    assert_eq!(planes, [12, 5, 3]);
    let sum: usize = prepared
        .parts
        .iter()
        .map(|p| p.local.bytes() + p.global.bytes())
        .sum();
    assert_eq!(prepared.bytes(), sum);

    let cohort = Cohort::new(vec![case.clone()]).unwrap();
    let draw = |global_fraction: f64, lesion_fraction: f64| {
        let sampling = SamplingConfig {
            patch_size: WINDOW,
            global_fraction,
            lesion_fraction,
            ..SamplingConfig::default()
        };
        let sampler = Sampler::new(&cohort, &[0], &sampling, &AugmentConfig::none(), 5).unwrap();
        let mut counts = [0usize; 3];
        for item in 0..400 {
            let window = sampler.window(item, 0, &case, &prepared);
            let shown = window.image.iter().filter(|v| **v > 0.0);
            let grey: Vec<f32> = shown.map(|v| v * 255.0).collect();
            let low = grey.iter().copied().fold(f32::MAX, f32::min);
            let high = grey.iter().copied().fold(0.0, f32::max);
            let of = |v: f32| {
                whole
                    .runs
                    .iter()
                    .position(|r| r.contains(&(((v - 50.0) / 10.0).round() as usize)))
            };
            assert_eq!(of(low), of(high), "{low} to {high}");
            counts[of(low).unwrap()] += 1;
        }
        counts
    };
    for global_fraction in [0.0, 1.0] {
        let [first, second, third] = draw(global_fraction, 0.0);
        assert!((200..280).contains(&first), "{first}");
        assert!((65..135).contains(&second), "{second}");
        assert!((35..85).contains(&third), "{third}");
    }
    // Two planes of the second stack and three of the third have lesions.
    let [first, second, third] = draw(0.0, 1.0);
    assert_eq!(first, 0);
    assert!((120..200).contains(&second), "{second}");
    assert!((200..280).contains(&third), "{third}");
}

#[test]
fn a_table_of_slices_must_fit_its_scan() {
    let folder = tempfile::tempdir().unwrap();
    let case = stack_with_gaps(folder.path());
    let table = case.slices.clone().unwrap();
    fs::write(&table, "k,source_slice\n0,7\n1,8\n").unwrap();
    let error = read_case(&case, &read, &prepare_config()).unwrap_err();
    assert_eq!(error.path(), Some(table.as_path()));
    assert!(error.to_string().contains("k 2 of 20"), "{error}");
}

#[test]
fn stacks_above_or_below_the_lungs_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut case = stack_with_gaps(folder.path());
    let grid = *read(&case.scan).unwrap().geometry();
    let lungs = folder.path().join("lungs.nii.gz");
    let write = |from: usize| {
        let labels = Volume::from_fn(grid, |[z, _, _]| u8::from(z >= from && z < 17));
        io::write_nifti(&lungs, &labels).unwrap();
    };
    case.lungs_all = false;
    case.lungs = Some(lungs.clone());
    write(13);
    let prepared = load_case(&case, &prepare_config(), &read).unwrap();
    assert_eq!(prepared.parts.len(), 1);
    assert_eq!(prepared.parts[0].planes, 5);
    write(20);
    let error = load_case(&case, &prepare_config(), &read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Scan);
    assert_eq!(error.path(), Some(case.scan.as_path()));
}

fn write_png(path: &Path, [width, height]: [u32; 2], value: impl Fn([u32; 2]) -> u8) -> PathBuf {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| [y, x]));
    let data: Vec<u8> = pixels.map(value).collect();
    writer.write_image_data(&data).unwrap();
    writer.finish().unwrap();
    path.to_owned()
}

#[test]
fn a_picture_of_one_slice_is_a_scan() {
    let folder = tempfile::tempdir().unwrap();
    let lesion = |[y, x]: [u32; 2]| (20..30).contains(&y) && (10..25).contains(&x);
    let value = |at: [u32; 2]| {
        if lesion(at) {
            130
        } else if at[1] < 4 {
            210
        } else {
            40
        }
    };
    let scan = write_png(&folder.path().join("s.png"), [60, 50], value);
    // Ground glass above, consolidation below.
    let mask = write_png(&folder.path().join("m.png"), [60, 50], |at| {
        u8::from(lesion(at)) * if at[0] < 25 { 1 } else { 2 }
    });
    let mut case = Case::new(scan, Some(mask), None, "p");
    (case.slope, case.intercept) = (5.0, -1050.0);
    case.spacing_mm = Some([2.5, 3.0, 3.0]);
    case.lungs_all = true;
    case.mask_values = vec![1, 2];
    let whole = read_case(&case, &read, &prepare_config()).unwrap();
    assert_eq!(whole.scan.shape(), [1, 50, 60]);
    assert_eq!(whole.scan.at([0, 22, 12]), -400.0);
    let lesions = whole.lesions.as_ref().unwrap();
    assert_eq!([lesions.at([0, 22, 12]), lesions.at([0, 28, 12])], [1, 2]);
    assert_eq!(whole.prepare.gate.min_slices, 1);
    let prepared = load_case(&case, &prepare_config(), &read).unwrap();
    assert_eq!(prepared.parts.len(), 1);
    assert_eq!(prepared.parts[0].planes, 1);
    assert!(!prepared.parts[0].local.lesion_voxels.is_empty());
    assert_eq!(
        case.known(),
        Known {
            lesion: true,
            kinds: true,
            class: false
        }
    );

    case.mask = Some(write_png(&folder.path().join("n.png"), [50, 50], |_| 0));
    let error = read_case(&case, &read, &prepare_config()).unwrap_err();
    assert!(error.to_string().contains("n.png"), "{error}");
}

#[test]
fn lungs_are_found_in_a_single_slice_and_in_a_thin_slab() {
    let phantom = PhantomConfig::sample(3, Diagnosis::Normal, 128)
        .generate()
        .unwrap();
    let [nz, ny, nx] = phantom.ct.shape();
    let spacing = phantom.ct.geometry().spacing_mm();
    let folder = tempfile::tempdir().unwrap();
    let dice = |found: &Volume<u8>, truth: &Volume<u8>| {
        let (mut both, mut all) = (0, 0);
        for (f, t) in found.data().iter().zip(truth.data()) {
            both += usize::from(*f != 0 && *t != 0);
            all += usize::from(*f != 0) + usize::from(*t != 0);
        }
        2.0 * both as f64 / all as f64
    };
    let z = nz / 2;
    let path = write_png(
        &folder.path().join("slice.png"),
        [nx as u32, ny as u32],
        |[y, x]| {
            let hu = phantom.ct.at([z, y as usize, x as usize]);
            ((hu + 1050.0) / 6.0).round().clamp(0.0, 255.0) as u8
        },
    );
    let mut case = Case::new(path, None, Diagnosis::Normal, "p");
    (case.slope, case.intercept) = (6.0, -1050.0);
    case.spacing_mm = Some(spacing);
    let slice = read_case(&case, &read, &PrepareConfig::default()).unwrap();
    let truth = phantom.lungs.crop([z, 0, 0], [1, ny, nx]).unwrap();
    assert!(
        dice(&slice.lungs, &truth) > 0.9,
        "{}",
        dice(&slice.lungs, &truth)
    );
    assert!(slice.lungs.data().contains(&1) && slice.lungs.data().contains(&2));

    let slab = phantom.ct.crop([z - 5, 0, 0], [10, ny, nx]).unwrap();
    let path = folder.path().join("slab.nii.gz");
    io::write_nifti(&path, &slab).unwrap();
    let case = Case::new(path, None, Diagnosis::Normal, "p");
    let slab = read_case(&case, &read, &PrepareConfig::default()).unwrap();
    let truth = phantom.lungs.crop([z - 5, 0, 0], [10, ny, nx]).unwrap();
    assert!(
        dice(&slab.lungs, &truth) > 0.9,
        "{}",
        dice(&slab.lungs, &truth)
    );
}

#[test]
fn a_file_that_does_not_declare_itself_a_part_is_gated_as_a_whole_scan() {
    let folder = tempfile::tempdir().unwrap();
    let case = linear_case(folder.path(), "a", Diagnosis::Normal);
    let few = read(&case.scan)
        .unwrap()
        .crop([9, 0, 0], [3, 40, 48])
        .unwrap();
    let path = folder.path().join("few.nii.gz");
    io::write_nifti(&path, &few).unwrap();
    let mut few = Case::new(path, None, Diagnosis::Normal, "p");
    few.lungs_all = true;
    (few.slope, few.intercept) = (6.0, -1000.0);
    let error = load_case(&few, &prepare_config(), &read).unwrap_err();
    assert!(error.to_string().contains("3 slices"), "{error}");
    let table = folder.path().join("s.csv");
    fs::write(&table, "k,source_slice\n0,5\n1,6\n2,7\n").unwrap();
    few.slices = Some(table);
    load_case(&few, &prepare_config(), &read).unwrap();
}

#[test]
fn windows_say_what_is_known_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut sick = linear_case(folder.path(), "sick", Diagnosis::Covid19);
    sick.mask_values = vec![1];
    let mut unlabelled = sick.clone();
    (unlabelled.mask, unlabelled.lesions_known) = (None, false);
    let mut classless = sick.clone();
    classless.class = None;
    let healthy = linear_case(folder.path(), "well", Diagnosis::Normal);
    let known = |case: &Case| {
        let cohort = Cohort {
            cases: vec![case.clone()],
        };
        let prepared = load_case(case, &prepare_config(), &read).unwrap();
        let sampling = SamplingConfig {
            patch_size: [8, 8, 8],
            ..SamplingConfig::default()
        };
        let sampler = Sampler::new(&cohort, &[0], &sampling, &AugmentConfig::none(), 1).unwrap();
        let mut found = BTreeMap::new();
        for item in 0..100 {
            let window = sampler.window(item, 0, case, &prepared);
            let free = window.labels.iter().all(|l| *l == 0);
            let k = window.known;
            let all = found.entry((window.kind == ViewKind::Global, free));
            let said = [k.lesion, k.kinds, k.class];
            assert_eq!(*all.or_insert((said, window.class)), (said, window.class));
        }
        found
    };
    let found = known(&sick);
    assert_eq!(found[&(false, false)], ([true, false, true], 2));
    assert_eq!(found[&(false, true)], ([true, true, true], 0));
    // If lesions are unknown, a local window has no class, but the whole chest has its class.
    let found = known(&unlabelled);
    assert!(!found[&(false, true)].0[0] && !found[&(false, true)].0[2]);
    assert_eq!(found[&(true, true)], ([false, false, true], 2));
    for (_, (said, _)) in known(&classless) {
        assert!(said[0] && !said[2]);
    }
    for (_, said) in known(&healthy) {
        assert_eq!(said, ([true; 3], 0));
    }
}
