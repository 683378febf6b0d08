//! A synthetic chest with known lesions, and networks with known outputs.
#![allow(dead_code)]

use multirnet_anatomy::Intensity;
use multirnet_base::StopToken;
use multirnet_finding::Probabilities;
use multirnet_finding::{Prediction, ScanSource};
use multirnet_infer::{
    Cams, Model, ModelCard, Network, PredictOptions, Result, Tile, WindowBatch, WindowOutput,
};
use multirnet_volume::{Geometry, Orientation, Volume};

/// Value of a lesion in the scans below.
pub const LESION: f32 = 0.7;

type ModelOutput = dyn Fn(&[f32], [usize; 3]) -> WindowOutput + Send + Sync;

/// A network that computes its output with a function of one window.
pub struct Fake {
    pub channels: usize,
    pub answer: Box<ModelOutput>,
}

impl Network for Fake {
    fn lesion_channels(&self) -> usize {
        self.channels
    }

    fn run(&self, windows: &WindowBatch<'_>, explain: bool) -> Result<Vec<WindowOutput>> {
        Ok(windows
            .values()
            .chunks_exact(windows.voxels())
            .map(|window| {
                let mut output = (self.answer)(window, windows.shape());
                output.cams = output.cams.filter(|_| explain);
                output
            })
            .collect())
    }

    fn peak_memory_bytes(&self, shape: [usize; 3], batch: usize) -> u64 {
        (shape.iter().product::<usize>() * batch * 4) as u64
    }

    fn config_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

/// Grad-CAM maps with one voxel per 16³ block, from a function of `(class, block)`.
pub fn cams(window: [usize; 3], value: impl Fn(usize, [usize; 3]) -> f32) -> Cams {
    let shape = window.map(|n| n / 16);
    Cams {
        shape,
        maps: [0, 1, 2].map(|class| {
            let mut map = Vec::new();
            for z in 0..shape[0] {
                for y in 0..shape[1] {
                    for x in 0..shape[2] {
                        map.push(value(class, [z, y, x]));
                    }
                }
            }
            map
        }),
    }
}

/// A model that gives 0.95 where the window is brighter than half a lesion, and 0.02 elsewhere. Its
/// class is COVID-19 if there is any such voxel, else normal.
pub fn seeing() -> Model {
    predictor(1, |window, shape| {
        let lesion: Vec<f32> = window
            .iter()
            .map(|&v| if v > LESION / 2.0 { 0.95 } else { 0.02 })
            .collect();
        let any = lesion.iter().any(|&p| p > 0.5);
        WindowOutput {
            lesion,
            probabilities: Probabilities::from_array(if any {
                [0.1, 0.1, 0.8]
            } else {
                [0.9, 0.05, 0.05]
            }),
            cams: Some(cams(shape, |class, [_, _, x]| (class * x) as f32)),
        }
    })
}

pub fn predictor(
    channels: usize,
    answer: impl Fn(&[f32], [usize; 3]) -> WindowOutput + Send + Sync + 'static,
) -> Model {
    let network = Fake {
        channels,
        answer: Box::new(answer),
    };
    let card = ModelCard {
        name: "fake".to_owned(),
        trained_on: "Nothing.".to_owned(),
        version: "0".to_owned(),
        ..ModelCard::unknown("fake")
    };
    Model::with_network(Box::new(network), card, "0".repeat(64))
}

/// A scan, its lungs and its lesion mask.
pub struct Case {
    pub scan: Volume<f32>,
    pub lungs: Volume<u8>,
    pub lesions: Volume<u8>,
}

/// An oblique grid in any of the 48 orientations.
pub fn grid(orientation: Orientation) -> Geometry {
    let (s, c) = 0.15f64.sin_cos();
    Geometry::new(
        [40, 60, 80],
        [5.0, 3.0, 3.0],
        [-110.0, -95.0, 321.0],
        [[0.0, -s, c], [0.0, c, s], [1.0, 0.0, 0.0]],
    )
    .unwrap()
    .reoriented(orientation)
}

/// Two ellipsoid lungs, with a lesion low in the left lung if `sick` (world X grows to the left).
pub fn case(geometry: Geometry, sick: bool) -> Case {
    let canonical = grid(Orientation::CANONICAL);
    let inside = |index: [usize; 3], centre: [f64; 3], radius: [f64; 3]| {
        let at = canonical.world_to_index(geometry.index_to_world(index.map(|i| i as f64)));
        (0..3)
            .map(|a| ((at[a] - centre[a]) / radius[a]).powi(2))
            .sum::<f64>()
            <= 1.0
    };
    let right = |i| inside(i, [20.0, 30.0, 22.0], [15.0, 20.0, 12.0]);
    let left = |i| inside(i, [20.0, 30.0, 58.0], [15.0, 20.0, 12.0]);
    let ill = |i| sick && inside(i, [12.0, 36.0, 60.0], [3.3, 5.2, 5.4]);
    Case {
        scan: Volume::from_fn(geometry, |i| match (right(i) || left(i), ill(i)) {
            (_, true) => LESION,
            (true, _) => 0.15,
            _ => 0.3,
        }),
        lungs: Volume::from_fn(geometry, |i| u8::from(right(i)) + 2 * u8::from(left(i))),
        lesions: Volume::from_fn(geometry, |i| u8::from(ill(i))),
    }
}

/// Small windows at the scan's own spacing, so that nothing is interpolated.
pub fn options() -> PredictOptions {
    let mut options = PredictOptions {
        window_shape: [16, 32, 32],
        tile: Tile::Off,
        ..PredictOptions::default()
    };
    options.prepare.spacing_mm = [5.0, 3.0, 3.0];
    options.prepare.global_shape = [16, 32, 48];
    options.prepare.intensity = Intensity::Unit;
    options
}

pub fn predict(predictor: &Model, case: &Case, options: &PredictOptions) -> Prediction {
    predictor
        .analyse(
            &case.scan,
            Some(&case.lungs),
            ScanSource::default(),
            options,
            &StopToken::new(),
            &mut |_| {},
        )
        .unwrap()
}

pub fn dice(a: &Volume<u8>, b: &Volume<u8>) -> f64 {
    let both = a
        .data()
        .iter()
        .zip(b.data())
        .filter(|(a, b)| **a != 0 && **b != 0);
    let count = |v: &Volume<u8>| v.data().iter().filter(|v| **v != 0).count();
    2.0 * both.count() as f64 / (count(a) + count(b)).max(1) as f64
}
