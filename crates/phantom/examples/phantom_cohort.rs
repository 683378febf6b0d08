//! Statistics of a small cohort, and the time that one phantom takes.
//!
//! `cargo run --release -p multirnet-phantom --example phantom_cohort -- [PER_CLASS] [MATRIX] [SLICES]`
//! prints one tab-separated line per phantom. Set `RAYON_NUM_THREADS=1` for times on one core.

use multirnet_phantom::PhantomConfig;
use multirnet_volume::Diagnosis;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .map(|a| a.parse())
        .collect::<Result<_, _>>()?;
    let per_class = numbers.first().copied().unwrap_or(8) as u64;
    let matrix = numbers.get(1).copied().unwrap_or(96);
    println!("class\tseed\tslices\tlung_ml\tright\tleft\tconsolidation\tsample_s\trender_s");
    let mut times = Vec::new();
    for class in Diagnosis::ALL {
        for seed in 0..per_class {
            let start = std::time::Instant::now();
            let mut config = PhantomConfig::sample(seed, class, matrix);
            if let Some(&slices) = numbers.get(2) {
                config = config.with_slices(slices)?;
            }
            let sampled = start.elapsed().as_secs_f64();
            let phantom = config.generate()?;
            let took = start.elapsed().as_secs_f64();
            times.push(took);
            let ml = phantom.ct.geometry().voxel_mm3() / 1000.0;
            let count = |wanted: &dyn Fn(u8, u8) -> bool| {
                phantom
                    .lungs
                    .data()
                    .iter()
                    .zip(phantom.lesions.data())
                    .filter(|(l, d)| wanted(**l, **d))
                    .count() as f64
            };
            let lungs = count(&|l, _| l > 0);
            println!(
                "{}\t{seed}\t{}\t{:.0}\t{:.3}\t{:.3}\t{:.3}\t{sampled:.2}\t{:.2}",
                class.name(),
                config.shape[0],
                lungs * ml,
                count(&|l, d| l == 1 && d > 0) / lungs,
                count(&|l, d| l == 2 && d > 0) / lungs,
                count(&|_, d| d == 2) / lungs,
                took - sampled
            );
        }
    }
    times.sort_by(f64::total_cmp);
    println!("median {:.2} s", times[times.len() / 2]);
    Ok(())
}
