//! The network's views of a scan, joined into one lesion map, one diagnosis and one heat map.

use crate::grid::{blur, dilate, radius_voxels};
use crate::network::{Cams, check_output};
use crate::windows::{clip, plan_windows};
use crate::{Network, Pipeline, PredictOptions, Probabilities, Result, Stage, Stitcher};
use multirnet_anatomy::Prepared;
use multirnet_volume::{Diagnosis, Geometry, Volume};
use std::time::Instant;

/// Width in millimetres over which fine windows fade into the coarse map at their outer border.
const FADE_MM: f64 = 10.0;

/// A scan's result before it goes back to the scan's own grid.
#[derive(Debug)]
pub(crate) struct Working {
    /// Lesion probability per channel.
    pub(crate) lesion: Vec<Volume<f32>>,
    /// Class probabilities.
    pub(crate) probabilities: Probabilities,
    /// Grad-CAM of the most probable class, not scaled.
    pub(crate) heat: Option<Volume<f32>>,
    /// Windows that went through the network.
    pub(crate) windows: usize,
    /// Doubts about the result.
    pub(crate) warnings: Vec<String>,
}

/// What a caller is told while a pipeline runs: stages that begin, and seconds of those that end.
pub(crate) struct Watch<'a> {
    pub(crate) progress: &'a mut dyn FnMut(Stage),
    pub(crate) timings: &'a mut Vec<crate::Timing>,
}

impl Watch<'_> {
    /// Runs `work` as the stage `stage` and notes its time.
    pub(crate) fn time<R>(&mut self, stage: Stage, work: impl FnOnce(&mut Self) -> R) -> R {
        let name = stage.name().to_owned();
        (self.progress)(stage);
        let start = Instant::now();
        let result = work(self);
        self.timings.push(crate::Timing {
            stage: name,
            seconds: start.elapsed().as_secs_f64(),
        });
        result
    }
}

/// Runs the pipeline that `options` names.
pub(crate) fn run(
    network: &dyn Network,
    prepared: &Prepared,
    options: &PredictOptions,
    watch: &mut Watch<'_>,
) -> Result<Working> {
    match options.pipeline {
        Pipeline::Global => {
            let coarse = watch.time(Stage::Global, |_| Coarse::run(network, prepared, options))?;
            let probabilities = Probabilities::from_array(coarse.probabilities);
            Ok(Working {
                heat: coarse.heat(explained(options, probabilities))?,
                lesion: coarse.lesion,
                probabilities,
                windows: 1,
                warnings: Vec::new(),
            })
        }
        Pipeline::Windows => {
            let starts = plan_windows(&prepared.local_lungs, options.window_shape, options.overlap);
            let fine = run_windows(network, prepared, &starts, options, watch)?;
            let mean = fine.class.weighted().unwrap_or_else(|| fine.class.plain());
            let probabilities = Probabilities::from_array(mean);
            let heat = watch.time(Stage::Explain, |_| {
                fine.heat(
                    &prepared.local,
                    &starts,
                    options,
                    explained(options, probabilities),
                )
            })?;
            Ok(Working {
                lesion: fine.lesion,
                probabilities,
                heat,
                windows: starts.len(),
                warnings: Vec::new(),
            })
        }
        Pipeline::Cascade => cascade(network, prepared, options, watch),
    }
}

fn cascade(
    network: &dyn Network,
    prepared: &Prepared,
    options: &PredictOptions,
    watch: &mut Watch<'_>,
) -> Result<Working> {
    let coarse = watch.time(Stage::Global, |_| Coarse::run(network, prepared, options))?;
    let grid = *prepared.local.geometry();
    let mut lesion: Vec<Volume<f32>> = coarse
        .lesion
        .iter()
        .map(|map| map.resample_linear(&grid, 0.0))
        .collect();
    let limit = options.coarse_threshold.min(options.threshold);
    let lungs = prepared.local_lungs.data();
    let suspect = Volume::new(
        (0..grid.len())
            .map(|i| u8::from(lungs[i] != 0 && lesion.iter().any(|map| map.data()[i] >= limit)))
            .collect(),
        grid,
    )?;
    let spacing = grid.spacing_mm();
    let reach = radius_voxels(spacing, options.dilation_mm);
    let region = dilate(&suspect, reach);
    let mut starts = plan_windows(&region, options.window_shape, options.overlap);
    // The fade takes two of these, and must end before the suspected lesions begin.
    let most = radius_voxels(spacing, FADE_MM / 2.0);
    let fade: [usize; 3] = std::array::from_fn(|a| most[a].min(reach[a] / 2));
    if options.thorough {
        // Wide enough that no lung voxel lies where windows fade.
        let covered = cover(&grid, &starts, options.window_shape);
        let mut rest = dilate(&prepared.local_lungs, fade.map(|r| 2 * r));
        for (r, c) in rest.data_mut().iter_mut().zip(covered.data()) {
            *r &= 1 - c;
        }
        starts.extend(plan_windows(&rest, options.window_shape, options.overlap));
    }
    let mut probabilities = coarse.probabilities;
    let mut warnings = Vec::new();
    if !starts.is_empty() {
        let fine = run_windows(network, prepared, &starts, options, watch)?;
        let share = shares(&fine.covered, fade);
        for (coarse, fine) in lesion.iter_mut().zip(&fine.lesion) {
            for ((c, f), s) in coarse
                .data_mut()
                .iter_mut()
                .zip(fine.data())
                .zip(share.data())
            {
                *c += s * (f - *c);
            }
        }
        if let Some(local) = fine.class.weighted() {
            let (a, b) = (
                Probabilities::from_array(coarse.probabilities).top(),
                Probabilities::from_array(local).top(),
            );
            if a != b && options.aggregation > 0.0 {
                warnings.push(format!(
                    "The whole chest looks most like {a}, its lesions alone most like {b}: the \
                     diagnosis is uncertain."
                ));
            }
            for (p, l) in probabilities.iter_mut().zip(local) {
                *p += options.aggregation * (l - *p);
            }
        }
    }
    let probabilities = Probabilities::from_array(probabilities);
    Ok(Working {
        lesion,
        probabilities,
        heat: coarse.heat(explained(options, probabilities))?,
        windows: 1 + starts.len(),
        warnings,
    })
}

/// The class that the heat map is of.
fn explained(options: &PredictOptions, probabilities: Probabilities) -> Diagnosis {
    options.explain_class.unwrap_or(probabilities.top())
}

/// The network's view of the whole chest.
struct Coarse {
    lesion: Vec<Volume<f32>>,
    probabilities: [f64; 3],
    cams: Option<Cams>,
    geometry: Geometry,
}

impl Coarse {
    fn run(network: &dyn Network, prepared: &Prepared, options: &PredictOptions) -> Result<Self> {
        let view = &prepared.global;
        let mut outputs = network.run(view.data(), view.shape(), options.explain)?;
        let output = outputs.remove(0);
        check_output(&output)?;
        let geometry = *view.geometry();
        Ok(Self {
            lesion: output
                .lesion
                .chunks_exact(geometry.len())
                .map(|map| Volume::new(map.to_vec(), geometry))
                .collect::<multirnet_volume::Result<_>>()?,
            probabilities: output.probabilities,
            cams: output.cams,
            geometry,
        })
    }

    fn heat(&self, class: Diagnosis) -> Result<Option<Volume<f32>>> {
        let Some(cams) = &self.cams else {
            return Ok(None);
        };
        let grid = self.geometry.with_shape(cams.shape)?;
        let map = cams.maps[class.index()].clone();
        Ok(Some(Volume::new(map, grid)?))
    }
}

/// Class probabilities over windows.
#[derive(Debug, Default)]
struct ClassSum {
    mass: f64,
    by_mass: [f64; 3],
    count: f64,
    by_count: [f64; 3],
}

impl ClassSum {
    fn add(&mut self, probabilities: [f64; 3], mass: f64) {
        self.mass += mass;
        self.count += 1.0;
        for (c, p) in probabilities.into_iter().enumerate() {
            self.by_mass[c] += mass * p;
            self.by_count[c] += p;
        }
    }

    /// The lesion-mass-weighted mean, unless there is no lesion.
    fn weighted(&self) -> Option<[f64; 3]> {
        (self.mass > 0.0).then(|| self.by_mass.map(|p| p / self.mass))
    }

    fn plain(&self) -> [f64; 3] {
        self.by_count.map(|p| p / self.count.max(1.0))
    }
}

/// The network's view of windows.
struct Fine {
    lesion: Vec<Volume<f32>>,
    covered: Volume<f32>,
    class: ClassSum,
    cams: Vec<Cams>,
}

fn run_windows(
    network: &dyn Network,
    prepared: &Prepared,
    starts: &[[i64; 3]],
    options: &PredictOptions,
    watch: &mut Watch<'_>,
) -> Result<Fine> {
    let total = starts.len();
    let begin = Stage::Windows { done: 0, total };
    watch.time(begin, |watch| {
        let shape = options.window_shape;
        let grid = *prepared.local.geometry();
        let mut stitcher = Stitcher::new(grid, shape, network.lesion_channels());
        let (mut class, mut cams) = (ClassSum::default(), Vec::new());
        // Only `windows` explains by them; `cascade` explains by the view of the whole chest.
        let explain = options.explain && options.pipeline == Pipeline::Windows;
        let mut done = 0;
        for batch in starts.chunks(options.batch) {
            let mut data = Vec::with_capacity(batch.len() * shape.iter().product::<usize>());
            for &start in batch {
                data.extend_from_slice(prepared.local.window(start, shape, 0.0)?.data());
            }
            for (&start, output) in batch.iter().zip(network.run(&data, shape, explain)?) {
                check_output(&output)?;
                let lungs = prepared.local_lungs.window(start, shape, 0)?;
                let mass = lesion_mass(&output.lesion, lungs.data(), options.threshold);
                class.add(output.probabilities, mass);
                stitcher.add(start, &output.lesion);
                cams.extend(output.cams);
            }
            done += batch.len();
            (watch.progress)(Stage::Windows { done, total });
        }
        let (lesion, covered) = stitcher.finish()?;
        Ok(Fine {
            lesion,
            covered,
            class,
            cams,
        })
    })
}

impl Fine {
    /// The windows' Grad-CAMs, overlap-added.
    fn heat(
        &self,
        local: &Volume<f32>,
        starts: &[[i64; 3]],
        options: &PredictOptions,
        class: Diagnosis,
    ) -> Result<Option<Volume<f32>>> {
        if self.cams.is_empty() {
            return Ok(None);
        }
        let window = Geometry::axial(options.window_shape, [1.0; 3])?;
        let mut stitcher = Stitcher::new(*local.geometry(), options.window_shape, 1);
        for (&start, cams) in starts.iter().zip(&self.cams) {
            let map = Volume::new(
                cams.maps[class.index()].clone(),
                window.with_shape(cams.shape)?,
            )?;
            stitcher.add(start, map.resample_linear(&window, 0.0).data());
        }
        Ok(stitcher.finish()?.0.pop())
    }
}

/// Sum of the probabilities (largest over channels) of lesion voxels in the lungs. Voxels below
/// the threshold do not count: a low probability all over a window is no lesion.
fn lesion_mass(lesion: &[f32], lungs: &[u8], threshold: f32) -> f64 {
    let n = lungs.len();
    (0..n)
        .filter(|&i| lungs[i] != 0)
        .map(|i| lesion[i..].iter().step_by(n).copied().fold(0.0, f32::max))
        .filter(|p| *p >= threshold)
        .map(f64::from)
        .sum()
}

/// Share of the fine map in the joined map: 0 outside `covered` (0 or 1), 1 from `2 · fade` voxels
/// inside its border on, in between a ramp. The volume's own border is none of those.
fn shares(covered: &Volume<f32>, fade: [usize; 3]) -> Volume<f32> {
    // No voxel of the eroded cover lies within `fade` of an uncovered one, so that the blur ends
    // at the cover's border, also in its concave corners.
    let outside = dilate(&covered.map(|c| u8::from(c == 0.0)), fade);
    blur(&outside.map(|o| f32::from(1 - o)), fade)
}

/// 1 within any window, else 0.
fn cover(grid: &Geometry, starts: &[[i64; 3]], shape: [usize; 3]) -> Volume<u8> {
    let mut covered = Volume::filled(0u8, *grid);
    for start in starts {
        let [rz, ry, rx] = std::array::from_fn(|a| clip(start[a], shape[a], grid.shape()[a]));
        for z in rz {
            for y in ry.clone() {
                let from = covered.offset([z, y, 0]);
                covered.data_mut()[from + rx.start..from + rx.end].fill(1);
            }
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesion_mass_counts_lesions_in_lungs_once() {
        let lesion = [
            0.9, 0.2, 0.6, 0.7, /* second channel */ 0.1, 0.8, 0.7, 0.0,
        ];
        let mass = lesion_mass(&lesion, &[1, 2, 1, 0], 0.65);
        assert!((mass - (0.9 + 0.8 + 0.7)).abs() < 1e-6, "{mass}");
    }

    #[test]
    fn shares_fade_inside_the_cover_only() {
        let grid = Geometry::axial([1, 20, 20], [1.0; 3]).unwrap();
        // An L whose concave corner is at (10, 10).
        let covered = Volume::from_fn(grid, |[_, y, x]| f32::from(y < 10 || x < 10));
        let share = shares(&covered, [0, 2, 2]);
        for (s, c) in share.data().iter().zip(covered.data()) {
            assert!(*c == 1.0 || *s == 0.0);
        }
        assert_eq!(
            share.at([0, 0, 19]),
            1.0,
            "the volume's border is no border"
        );
        assert_eq!(share.at([0, 5, 19]), 1.0);
        let ramp: Vec<f32> = (5..11).map(|y| share.at([0, y, 19])).collect();
        assert_eq!(ramp, [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]);
    }

    #[test]
    fn class_sums() {
        let mut sum = ClassSum::default();
        sum.add([1.0, 0.0, 0.0], 0.0);
        assert_eq!(sum.weighted(), None);
        sum.add([0.0, 0.5, 0.5], 1.0);
        sum.add([0.0, 0.1, 0.9], 3.0);
        let mean = sum.weighted().unwrap();
        assert!((mean[1] - 0.2).abs() < 1e-12 && (mean[2] - 0.8).abs() < 1e-12);
        assert!((sum.plain()[0] - 1.0 / 3.0).abs() < 1e-12);
    }
}
