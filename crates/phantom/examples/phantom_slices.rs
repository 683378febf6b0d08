//! Renders a phantom and writes slices of it as PNG.
//!
//! `cargo run --release -p multirnet-phantom --example phantom_slices -- OUT SEED CLASS [MATRIX] [overlay] [hu]`
//! writes to the folder OUT. With `hu` it also writes raw volumes for other programs.

use multirnet_phantom::{Phantom, PhantomConfig};
use multirnet_volume::Diagnosis;
use std::error::Error;
use std::path::Path;

struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let part = path.with_extension("part");
        let file = std::io::BufWriter::new(std::fs::File::create(&part)?);
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&self.rgb)?;
        std::fs::rename(part, path)?;
        Ok(())
    }
}

/// One pixel of `phantom` in a window, with truth in colour if wanted.
fn shade(phantom: &Phantom, index: [usize; 3], window: [f32; 2], overlay: bool) -> [u8; 3] {
    let hu = phantom.ct.at(index);
    let grey = ((hu - window[0] + window[1] / 2.0) / window[1] * 255.0).clamp(0.0, 255.0);
    let tint = match (phantom.lesions.at(index), phantom.lungs.at(index)) {
        _ if !overlay => return [grey as u8; 3],
        (1, _) => [255.0, 200.0, 0.0],
        (2, _) => [255.0, 40.0, 40.0],
        (_, 1) => [60.0, 120.0, 255.0],
        (_, 2) => [60.0, 220.0, 120.0],
        _ => return [grey as u8; 3],
    };
    tint.map(|t: f32| (0.72 * grey + 0.28 * t) as u8)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, seed, class, rest @ ..] = arguments.as_slice() else {
        return Err("usage: phantom_slices OUT SEED CLASS [MATRIX] [overlay] [hu]".into());
    };
    let matrix = rest.iter().find_map(|a| a.parse().ok()).unwrap_or(512);
    let overlay = rest.iter().any(|a| a == "overlay");
    let class: Diagnosis = class.parse()?;
    let config = PhantomConfig::sample(seed.parse()?, class, matrix);
    let start = std::time::Instant::now();
    let phantom = config.generate()?;
    println!("{:?} in {:.2?}", phantom.ct.shape(), start.elapsed());
    for note in &phantom.notes {
        println!("  {note}");
    }
    let count = |wanted: &dyn Fn(u8, u8) -> bool| {
        phantom
            .lungs
            .data()
            .iter()
            .zip(phantom.lesions.data())
            .filter(|(l, d)| wanted(**l, **d))
            .count() as f64
            * phantom.ct.geometry().voxel_mm3()
            / 1000.0
    };
    println!(
        "  lungs {:.0} + {:.0} ml, ground glass {:.0} ml, consolidation {:.0} ml, lesion right {:.0} left {:.0} ml",
        count(&|l, _| l == 1),
        count(&|l, _| l == 2),
        count(&|_, d| d == 1),
        count(&|_, d| d == 2),
        count(&|l, d| l == 1 && d > 0),
        count(&|l, d| l == 2 && d > 0),
    );
    let out = Path::new(out);
    std::fs::create_dir_all(out)?;
    let [nz, ny, nx] = phantom.ct.shape();
    let spacing = phantom.ct.geometry().spacing_mm();
    for (name, window) in [("lung", [-600.0, 1500.0]), ("soft", [40.0, 400.0])] {
        // Eight axial levels in two rows.
        let mut axial = Picture {
            width: 4 * nx,
            height: 2 * ny,
            rgb: vec![0; 24 * nx * ny],
        };
        for tile in 0..8 {
            let z = (nz as f64 * (0.9 - 0.105 * tile as f64)) as usize;
            for y in 0..ny {
                for x in 0..nx {
                    let at = ((tile / 4 * ny + y) * 4 * nx + tile % 4 * nx + x) * 3;
                    axial.rgb[at..at + 3].copy_from_slice(&shade(
                        &phantom,
                        [z, y, x],
                        window,
                        overlay,
                    ));
                }
            }
        }
        axial.write(&out.join(format!("axial-{name}.png")))?;
        // Coronal and sagittal, two of each, isotropic.
        let height = (nz as f64 * spacing[0] / spacing[2]) as usize;
        let mut planes = Picture {
            width: 4 * nx,
            height,
            rgb: vec![0; 12 * nx * height],
        };
        for (tile, share) in [0.45, 0.62, 0.30, 0.66].into_iter().enumerate() {
            for row in 0..height {
                let z = nz - 1 - (row * nz / height).min(nz - 1);
                for i in 0..nx {
                    let index = if tile < 2 {
                        [z, (share * ny as f64) as usize, i]
                    } else {
                        [z, i * ny / nx, (share * nx as f64) as usize]
                    };
                    let at = (row * 4 * nx + tile * nx + i) * 3;
                    planes.rgb[at..at + 3]
                        .copy_from_slice(&shade(&phantom, index, window, overlay));
                }
            }
        }
        planes.write(&out.join(format!("planes-{name}.png")))?;
    }
    if rest.iter().any(|a| a == "hu") {
        let bytes: Vec<u8> = phantom
            .ct
            .data()
            .iter()
            .flat_map(|v| (*v as i16).to_le_bytes())
            .collect();
        std::fs::write(out.join("ct.i16"), bytes)?;
        std::fs::write(out.join("lungs.u8"), phantom.lungs.data())?;
        std::fs::write(out.join("lesions.u8"), phantom.lesions.data())?;
        std::fs::write(
            out.join("shape.txt"),
            format!(
                "{nz} {ny} {nx} {} {} {}",
                spacing[0], spacing[1], spacing[2]
            ),
        )?;
    }
    Ok(())
}
