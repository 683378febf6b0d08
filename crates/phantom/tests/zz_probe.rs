mod common;
use common::*;
use multirnet_phantom::Side;
use multirnet_phantom::implant::Region;
#[test]
fn probe() {
    let [nz, _, _] = healthy().ct.shape();
    let ground = prepared(&[Region {
        side: Some(Side::Left),
        slices: [0, nz - 1],
        reason: String::new(),
    }]);
    for (class, seed) in sick() {
        let made = ground.implant(&varied(), class, seed).unwrap();
        let mut n = [0usize; 3];
        let mut m = [0usize; 3];
        for (l, s) in made.lesions.data().iter().zip(made.lungs.data()) {
            m[*s as usize] += 1;
            if *l > 0 {
                n[*s as usize] += 1;
            }
        }
        let left = made
            .record
            .lesions
            .iter()
            .filter(|l| l.side == Side::Left)
            .count();
        println!(
            "{class} {seed}: lesions right {} left {} of left lung {}; planned left {left} of {}",
            n[1],
            n[2],
            m[2],
            made.record.lesions.len()
        );
    }
}
