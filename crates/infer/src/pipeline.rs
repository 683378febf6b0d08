//! The network's views of a scan, joined into one lesion map, one diagnosis and one heat map.

use crate::memory::Room;
use crate::network::{Block, Cams, check_output, check_tile};
use crate::stage::{Stage, Watch, check};
use crate::tiles::{blocks, plan_tiles, voxels};
use crate::window_batch::WindowBatch;
use crate::windows::{Region, clip, plan_windows};
use crate::{Network, Pipeline, PredictOptions, Result, Stitcher};
use multirnet_anatomy::{BeyondScan, Prepared};
use multirnet_base::StopToken;
use multirnet_finding::Probabilities;
use multirnet_volume::boxes::{blur, dilate, radius_voxels};
use multirnet_volume::{Diagnosis, Geometry, Volume};
use rayon::prelude::*;

/// Width in millimetres over which fine windows fade into the coarse map at their outer border.
const FADE_MM: f64 = 10.0;

/// Number of voxels that a thread takes at once.
const PART: usize = 1 << 16;

/// A scan's result on the working grid.
#[derive(Debug)]
pub(crate) struct WorkingGridResult {
    /// Lesion probability per channel.
    pub(crate) lesion: Vec<Volume<f32>>,
    /// Class probabilities.
    pub(crate) probabilities: Probabilities,
    /// Grad-CAM of the explained class, not scaled.
    pub(crate) heat: Option<Volume<f32>>,
    /// Number of windows (or tiles) that went through the network.
    pub(crate) windows: usize,
    /// Number of voxels of these windows.
    pub(crate) voxels: usize,
    /// Reasons to trust the result less.
    pub(crate) warnings: Vec<String>,
}

/// Runs the pipeline that `options` names, with the batch and tiles that fit into `room`.
pub(crate) fn run(
    network: &dyn Network,
    prepared: &Prepared,
    options: &PredictOptions,
    room: &Room,
    watch: &mut Watch<'_>,
) -> Result<WorkingGridResult> {
    match options.pipeline {
        Pipeline::Global => {
            let coarse = watch.time(Stage::Global, |w| {
                Coarse::run(network, prepared, options, w.stop())
            })?;
            let probabilities = coarse.probabilities;
            Ok(WorkingGridResult {
                heat: coarse.heat(explained(options, probabilities))?,
                lesion: coarse.lesion,
                probabilities,
                windows: 1,
                voxels: prepared.global.data().len(),
                warnings: Vec::new(),
            })
        }
        Pipeline::Windows => {
            let plan = Plan::new(&prepared.local_lungs, options, room);
            let fine = run_fine(network, prepared, &plan, options, watch)?;
            let probabilities = fine.class.weighted().unwrap_or_else(|| fine.class.plain());
            let heat = watch.time(Stage::Explain, |_| {
                fine.heat(
                    &prepared.local,
                    &plan.regions,
                    options,
                    explained(options, probabilities),
                )
            })?;
            Ok(WorkingGridResult {
                lesion: fine.lesion,
                probabilities,
                heat,
                windows: plan.regions.len(),
                voxels: voxels(&plan.regions),
                warnings: Vec::new(),
            })
        }
        Pipeline::Cascade => cascade(network, prepared, options, room, watch),
    }
}

fn cascade(
    network: &dyn Network,
    prepared: &Prepared,
    options: &PredictOptions,
    room: &Room,
    watch: &mut Watch<'_>,
) -> Result<WorkingGridResult> {
    let grid = *prepared.local.geometry();
    let (coarse, mut lesion) = watch.time(Stage::Global, |w| {
        let coarse = Coarse::run(network, prepared, options, w.stop())?;
        let fine = coarse.lesion.iter();
        let lesion: Vec<Volume<f32>> = fine.map(|map| map.resample_linear(&grid, 0.0)).collect();
        Ok((coarse, lesion))
    })?;
    let limit = options.coarse_threshold.min(options.network_threshold());
    let mut suspect = Volume::filled(0u8, grid);
    for map in &lesion {
        let values = map.data().par_chunks(PART);
        let lungs = prepared.local_lungs.data().par_chunks(PART);
        let parts = suspect.data_mut().par_chunks_mut(PART);
        parts
            .zip(values.zip(lungs))
            .for_each(|(s, (values, lungs))| {
                for ((s, &p), &lung) in s.iter_mut().zip(values).zip(lungs) {
                    *s |= u8::from(lung != 0) & u8::from(p >= limit);
                }
            });
    }
    let spacing = grid.spacing_mm();
    let reach = radius_voxels(spacing, options.dilation_mm);
    let region = dilate(&suspect, reach);
    drop(suspect);
    let mut plan = Plan::new(&region, options, room);
    drop(region);
    // The fade is twice as wide as this and must end before the suspected lesions begin.
    let most = radius_voxels(spacing, FADE_MM / 2.0);
    let fade: [usize; 3] = std::array::from_fn(|a| most[a].min(reach[a] / 2));
    if options.thorough {
        // The dilated lungs are wide enough that no lung voxel lies where windows fade.
        let covered = cover(&grid, &plan.regions);
        let mut rest = dilate(&prepared.local_lungs, fade.map(|r| 2 * r));
        for (r, c) in rest.data_mut().iter_mut().zip(covered.data()) {
            *r &= 1 - c;
        }
        plan.regions.extend(Plan::new(&rest, options, room).regions);
    }
    let mut probabilities = coarse.probabilities.to_array();
    let mut warnings = Vec::new();
    if !plan.regions.is_empty() {
        let fine = run_fine(network, prepared, &plan, options, watch)?;
        let share = shares(&fine.covered, fade);
        for (coarse, fine) in lesion.iter_mut().zip(&fine.lesion) {
            let parts = coarse.data_mut().par_chunks_mut(PART);
            let others = fine
                .data()
                .par_chunks(PART)
                .zip(share.data().par_chunks(PART));
            parts.zip(others).for_each(|(coarse, (fine, share))| {
                for ((c, f), s) in coarse.iter_mut().zip(fine).zip(share) {
                    *c += s * (f - *c);
                }
            });
        }
        if let Some(local) = fine.class.weighted() {
            let (a, b) = (coarse.probabilities.top(), local.top());
            if a != b && options.local_class_weight > 0.0 {
                warnings.push(format!(
                    "The whole chest looks most like {a}, its lesions alone most like {b}: the \
                     diagnosis is uncertain."
                ));
            }
            for (p, l) in probabilities.iter_mut().zip(local.to_array()) {
                *p += options.local_class_weight * (l - *p);
            }
        }
    }
    let probabilities = Probabilities::from_array(probabilities);
    Ok(WorkingGridResult {
        lesion,
        probabilities,
        heat: coarse.heat(explained(options, probabilities))?,
        windows: 1 + plan.regions.len(),
        voxels: prepared.global.data().len() + voxels(&plan.regions),
        warnings,
    })
}

/// The class that the heat map explains.
fn explained(options: &PredictOptions, probabilities: Probabilities) -> Diagnosis {
    options.explain_class.unwrap_or(probabilities.top())
}

/// The network's view of the whole chest.
struct Coarse {
    lesion: Vec<Volume<f32>>,
    probabilities: Probabilities,
    cams: Option<Cams>,
    geometry: Geometry,
}

impl Coarse {
    fn run(
        network: &dyn Network,
        prepared: &Prepared,
        options: &PredictOptions,
        stop: &StopToken,
    ) -> Result<Self> {
        let view = &prepared.global;
        let mut outputs = network.run(&WindowBatch::of_view(view, stop), options.explain)?;
        network.release();
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

    /// Grad-CAM on the view's grid.
    fn heat(&self, class: Diagnosis) -> Result<Option<Volume<f32>>> {
        let Some(cams) = &self.cams else {
            return Ok(None);
        };
        let grid = self.geometry.with_shape(cams.shape)?;
        let map = Volume::new(cams.maps[class.index()].clone(), grid)?;
        // On the grid of the view a program that shows it without interpolation does not show blocks.
        Ok(Some(map.resample_linear(&self.geometry, 0.0)))
    }
}

/// Sums of class probabilities over windows, weighted by lesion mass and unweighted.
#[derive(Debug, Default)]
struct ClassSum {
    mass: f64,
    by_mass: [f64; 3],
    count: f64,
    by_count: [f64; 3],
}

impl ClassSum {
    fn add(&mut self, probabilities: Probabilities, mass: f64) {
        self.mass += mass;
        self.count += 1.0;
        for (c, p) in probabilities.to_array().into_iter().enumerate() {
            self.by_mass[c] += mass * p;
            self.by_count[c] += p;
        }
    }

    /// The lesion-mass-weighted mean; `None` without any lesion.
    fn weighted(&self) -> Option<Probabilities> {
        (self.mass > 0.0).then(|| Probabilities::from_array(self.by_mass.map(|p| p / self.mass)))
    }

    fn plain(&self) -> Probabilities {
        Probabilities::from_array(self.by_count.map(|p| p / self.count.max(1.0)))
    }
}

/// The regions that the network sees at the working spacing.
struct Plan {
    regions: Vec<Region>,
    /// Whether the regions are tiles. If not, they are windows of one shape.
    tiles: bool,
    /// Number of windows that go through the network together.
    batch: usize,
}

impl Plan {
    /// A plan that covers every non-zero voxel of `wanted`.
    fn new(wanted: &Volume<u8>, options: &PredictOptions, room: &Room) -> Self {
        let window = options.window_shape;
        if options.uses_tiles() {
            return Self {
                regions: plan_tiles(wanted, &room.tiles, window, options.halo),
                tiles: true,
                batch: 1,
            };
        }
        let starts = plan_windows(wanted, window, options.overlap);
        let region = |start| Region {
            start,
            shape: window,
        };
        Self {
            regions: starts.into_iter().map(region).collect(),
            tiles: false,
            batch: room.batch,
        }
    }
}

/// The network's view of windows or tiles.
struct Fine {
    lesion: Vec<Volume<f32>>,
    covered: Volume<f32>,
    class: ClassSum,
    cams: Vec<Cams>,
}

fn run_fine(
    network: &dyn Network,
    prepared: &Prepared,
    plan: &Plan,
    options: &PredictOptions,
    watch: &mut Watch<'_>,
) -> Result<Fine> {
    let total = plan.regions.len();
    let begin = Stage::Windows { done: 0, total };
    watch.time(begin, |watch| {
        let grid = *prepared.local.geometry();
        let mut stitcher = Stitcher::new(grid, options.window_shape, network.lesion_channels());
        let (mut class, mut cams) = (ClassSum::default(), Vec::new());
        // Only the pipeline `windows` makes its heat map from windows. `cascade` makes it from the
        // view of the whole chest.
        let explain = options.explain && options.pipeline == Pipeline::Windows;
        let threshold = options.network_threshold();
        let mut done = 0;
        for batch in plan.regions.chunks(plan.batch) {
            let shape = batch[0].shape;
            let mut data = Vec::with_capacity(batch.len() * shape.iter().product::<usize>());
            for region in batch {
                let window = match prepared.beyond_scan {
                    BeyondScan::Repeat => prepared.local.window_repeated(region.start, shape)?,
                    BeyondScan::Air => prepared.local.window(region.start, shape, 0.0)?,
                };
                data.extend_from_slice(window.data());
            }
            let windows = WindowBatch::new(&data, shape)?.with_stop(watch.stop());
            if plan.tiles {
                let region = batch[0];
                let lungs = prepared.local_lungs.window(region.start, shape, 0)?;
                let blocks = blocks(shape, options.window_shape);
                let output = network.run_tile(&windows, &blocks)?;
                check_tile(&output.lesion, &output.classes)?;
                for (block, probabilities) in blocks.iter().zip(output.classes) {
                    let mass = lesion_mass(&output.lesion, &lungs, block, threshold);
                    class.add(probabilities, mass);
                }
                stitcher.add_tile(region.start, shape, options.halo, &output.lesion);
            } else {
                for (region, output) in batch.iter().zip(network.run(&windows, explain)?) {
                    check_output(&output)?;
                    let lungs = prepared.local_lungs.window(region.start, shape, 0)?;
                    let whole = Block {
                        start: [0; 3],
                        shape,
                    };
                    let mass = lesion_mass(&output.lesion, &lungs, &whole, threshold);
                    class.add(output.probabilities, mass);
                    stitcher.add(region.start, &output.lesion);
                    cams.extend(output.cams);
                }
            }
            done += batch.len();
            check(watch.stop())?;
            watch.tell(Stage::Windows { done, total });
        }
        // Maps of the whole box, and later of the scan's own grid, take the place of the network's buffers. The next
        // scan makes them anew, which takes some milliseconds.
        network.release();
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
        windows: &[Region],
        options: &PredictOptions,
        class: Diagnosis,
    ) -> Result<Option<Volume<f32>>> {
        if self.cams.is_empty() {
            return Ok(None);
        }
        let window = Geometry::axial(options.window_shape, [1.0; 3])?;
        let mut stitcher = Stitcher::new(*local.geometry(), options.window_shape, 1);
        for (region, cams) in windows.iter().zip(&self.cams) {
            let map = Volume::new(
                cams.maps[class.index()].clone(),
                window.with_shape(cams.shape)?,
            )?;
            stitcher.add(region.start, map.resample_linear(&window, 0.0).data());
        }
        Ok(stitcher.finish()?.0.pop())
    }
}

/// Sum of the probabilities (maximum over channels) of lesion voxels in the lungs, within a block
/// of a window or tile. Voxels below the threshold do not count, because a low probability all over
/// a window is not a lesion.
fn lesion_mass(lesion: &[f32], lungs: &Volume<u8>, block: &Block, threshold: f32) -> f64 {
    let n = lungs.data().len();
    let [z, y, x] = [0, 1, 2].map(|a: usize| block.start[a]..block.start[a] + block.shape[a]);
    let mut mass = 0.0;
    for row in z.flat_map(|z| y.clone().map(move |y| [z, y])) {
        let at = lungs.offset([row[0], row[1], x.start]);
        for i in (at..at + x.len()).filter(|&i| lungs.data()[i] != 0) {
            let channels = lesion[i..].iter().step_by(n).copied();
            let most = channels.fold(0.0, f32::max);
            if most >= threshold {
                mass += f64::from(most);
            }
        }
    }
    mass
}

/// Share of the fine map in the joined map. It is 0 outside `covered` (0 or 1), rises over
/// `2 · fade` voxels inside the cover's border, and is 1 further inside. The volume's own border is
/// not a border of the cover.
fn shares(covered: &Volume<f32>, fade: [usize; 3]) -> Volume<f32> {
    // No voxel of the eroded cover lies within `fade` of an uncovered voxel. The blur therefore
    // ends at the cover's border, even in its concave corners.
    let outside = dilate(&covered.map(|c| u8::from(c == 0.0)), fade);
    blur(&outside.map(|o| f32::from(1 - o)), fade)
}

/// A mask that is 1 within any of the regions and 0 elsewhere.
fn cover(grid: &Geometry, regions: &[Region]) -> Volume<u8> {
    let mut covered = Volume::filled(0u8, *grid);
    for region in regions {
        let [rz, ry, rx] =
            std::array::from_fn(|a| clip(region.start[a], region.shape[a], grid.shape()[a]));
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
        let grid = Geometry::axial([1, 2, 2], [1.0; 3]).unwrap();
        let lungs = Volume::new(vec![1, 2, 1, 0], grid).unwrap();
        let mass = |start, shape| lesion_mass(&lesion, &lungs, &Block { start, shape }, 0.65);
        let whole = mass([0; 3], [1, 2, 2]);
        assert!((whole - (0.9 + 0.8 + 0.7)).abs() < 1e-6, "{whole}");
        let row = mass([0, 1, 0], [1, 1, 2]);
        assert!((row - 0.7).abs() < 1e-6, "{row}");
    }

    #[test]
    fn shares_fade_inside_the_cover_only() {
        let grid = Geometry::axial([1, 20, 20], [1.0; 3]).unwrap();
        // This is an L whose concave corner is at (10, 10).
        let covered = Volume::from_fn(grid, |[_, y, x]| f32::from(y < 10 || x < 10));
        let share = shares(&covered, [0, 2, 2]);
        for (s, c) in share.data().iter().zip(covered.data()) {
            assert!(*c == 1.0 || *s == 0.0);
        }
        assert_eq!(
            share.at([0, 0, 19]),
            1.0,
            "the volume's border is not a border of the cover"
        );
        assert_eq!(share.at([0, 5, 19]), 1.0);
        let ramp: Vec<f32> = (5..11).map(|y| share.at([0, y, 19])).collect();
        assert_eq!(ramp, [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]);
    }

    #[test]
    fn class_sums() {
        let mut sum = ClassSum::default();
        sum.add(Probabilities::from_array([1.0, 0.0, 0.0]), 0.0);
        assert_eq!(sum.weighted(), None);
        sum.add(Probabilities::from_array([0.0, 0.5, 0.5]), 1.0);
        sum.add(Probabilities::from_array([0.0, 0.1, 0.9]), 3.0);
        let mean = sum.weighted().unwrap().to_array();
        assert!((mean[1] - 0.2).abs() < 1e-12 && (mean[2] - 0.8).abs() < 1e-12);
        assert!((sum.plain().normal - 1.0 / 3.0).abs() < 1e-12);
    }
}
