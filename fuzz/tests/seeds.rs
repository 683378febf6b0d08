//! Every seed, and its simplest mutations, in every target.

use multirnet_fuzz::seeds::regressions;
use multirnet_fuzz::table::TARGETS;
use multirnet_fuzz::{begin, run};

/// Mutations of a seed. They depend on the seed alone.
const MUTATIONS: usize = 60;

/// A mutation: one to four bytes changed, a piece cut out, or the end cut off.
fn mutate(seed: &[u8], number: usize) -> Vec<u8> {
    let mut state = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let mut bytes = seed.to_vec();
    match draw(4) {
        0 => bytes.truncate(draw(bytes.len())),
        1 => {
            let from = draw(bytes.len());
            let length = draw(16).min(bytes.len() - from);
            bytes.drain(from..from + length);
        }
        _ => {
            for _ in 0..=draw(4) {
                let at = draw(bytes.len());
                let value = [0, 1, 0x7F, 0x80, 0xFF, b'0', b'-'][draw(7)];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
        }
    }
    bytes
}

#[test]
fn seeds_and_their_mutations_break_nothing() {
    for target in TARGETS {
        begin(target);
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in seeds.into_iter().chain(regressions(target.name)) {
            run(target, &seed);
            for number in 0..MUTATIONS {
                run(target, &mutate(&seed, number));
            }
        }
    }
}

#[test]
fn every_target_has_a_program_and_the_other_way_round() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let programs = std::fs::read_dir(folder).unwrap();
    let mut programs: Vec<String> = programs
        .map(|e| {
            e.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    programs.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
    names.sort_unstable();
    assert_eq!(programs, names);
}
