//! The CPU engine: a trained net as a plan of fused steps.
//!
//! [`Recording`] passes a recorder through the net's own definition (`multirnet_nn::Compute`), so
//! that there is no second definition. It folds norms into the weights of the convolutions before
//! them, and fuses the residual and PReLU that follow. [`Layout`] gives every map a place in as few
//! buffers as their lifetimes allow. The parts of a concatenation are computed in place. The size
//! of the buffers is known before the net runs, and the engine keeps them between windows.

mod layout;
mod pooling;
mod record;
mod steps;

use crate::network::{Block, Cams, TileOutput, WindowOutput, softmax, tile_as_window};
use crate::window_batch::WindowBatch;
use crate::{Error, ErrorKind, Network, Result};
use layout::Layout;
use multirnet_finding::Probabilities;
use multirnet_kernels::Precision;
use multirnet_nn::{Kept, Norm, Passes, System, SystemConfig, class_maps};
use record::{Head, Operation, Recording};
use std::sync::Mutex;
use steps::{Run, Workspace};

/// A net written over `multirnet_nn::Compute` (MultiR-Net and the comparisons' 3D nets) on the CPU,
/// with this project's kernels alone.
#[derive(Debug)]
pub struct Engine {
    recording: Recording,
    layout: Layout,
    config: SystemConfig,
    passes: Passes,
    parameters: u64,
    precision: Precision,
    /// Buffers that are kept for the next windows.
    idle: Mutex<Vec<Workspace>>,
}

impl Engine {
    /// Whether the engine can run nets of this configuration: the net must be written over
    /// `multirnet_nn::Compute`, and its norms must be batch norms, whose statistics are known after
    /// training.
    pub fn supports(config: &SystemConfig) -> bool {
        let norm = match config {
            SystemConfig::MultiRNet(c) => c.norm,
            SystemConfig::UNet3d(c) => c.norm,
            SystemConfig::UNetPp3d(c) => c.norm,
            SystemConfig::Zhou(c) => c.norm,
            SystemConfig::DenseNet3d(c) => c.norm,
            _ => return false,
        };
        norm == Norm::Batch
    }

    /// Records the net of `system` and plans its buffers.
    ///
    /// # Errors
    /// `Model` if [`supports`](Self::supports) is false for the net's configuration.
    pub fn new(system: &System) -> Result<Self> {
        let refused = |problem: String| {
            Error::new(
                ErrorKind::Model,
                format!("the engine cannot run this model: {problem}"),
            )
            .hint("use `BurnNetwork`, which runs every net")
        };
        let recording = Recording::new(system).map_err(refused)?;
        let passes = system
            .passes()
            .ok_or_else(|| refused("its net has no passes".to_owned()))?;
        Ok(Self {
            layout: Layout::new(&recording, false),
            recording,
            config: system.config().clone(),
            passes,
            parameters: burn::module::Module::num_params(system) as u64,
            precision: Precision::F32,
            idle: Mutex::default(),
        })
    }

    /// Floating-point operations of one pass over a window of `shape`: two for each multiply-add of
    /// the convolutions' definitions. Winograd's algorithm computes fewer.
    ///
    /// # Errors
    /// `Model` if the net cannot take windows of this shape.
    pub fn flops(&self, shape: [usize; 3]) -> Result<u64> {
        self.config
            .check_window(shape)
            .map_err(|e| Error::caused(ErrorKind::Model, e))?;
        let run = self.run_of(shape, 1);
        let mut sum = 0;
        for step in &self.recording.steps {
            if let Operation::Layer { layer, x, .. } = &step.operation {
                sum += layer.flops(run.size(*x)).map_err(kernel)? as u64;
            }
        }
        Ok(sum)
    }

    fn run_of(&self, shape: [usize; 3], batch: usize) -> Run<'_> {
        Run {
            recording: &self.recording,
            layout: &self.layout,
            shape,
            batch,
        }
    }

    /// Runs all passes over a batch of windows.
    fn run_passes(&self, input: &WindowBatch<'_>) -> Result<Outputs> {
        let (windows, shape) = (input.values(), input.shape());
        let (size, batch) = (input.voxels(), input.count());
        self.config
            .check_window(shape)
            .map_err(|e| Error::caused(ErrorKind::Model, e))?;
        let run = self.run_of(shape, batch);
        let idle = || self.idle.lock().unwrap_or_else(|e| e.into_inner());
        let mut workspace = idle().pop().unwrap_or_default();
        let sizes = self.layout.sizes(shape, batch);
        workspace.buffers.resize_with(sizes.len(), Vec::new);
        for (buffer, size) in workspace.buffers.iter_mut().zip(sizes) {
            if buffer.len() < size {
                *buffer = Vec::new(); // Freed before the allocation: its content is not needed.
                buffer.resize(size, 0.0);
            }
        }
        let [ct, previous] = self.recording.inputs;
        let features = self.recording.head.as_ref().map_or(&[][..], |h| &h.maps);
        let mut fed_back = vec![0.0; windows.len()];
        let mut kept: Option<Kept<Vec<Vec<f32>>>> = None;
        for _ in 0..self.passes.count {
            for n in 0..batch {
                let part = n * size..(n + 1) * size;
                run.image_mut(&mut workspace, ct, n)
                    .copy_from_slice(&windows[part.clone()]);
                run.image_mut(&mut workspace, previous, n)
                    .copy_from_slice(&fed_back[part]);
            }
            for (i, step) in self.recording.steps.iter().enumerate() {
                input.check_stop()?;
                run.step(i, step, &mut workspace).map_err(kernel)?;
            }
            if let Some(mask) = self.recording.mask {
                for (n, to) in fed_back.chunks_exact_mut(size).enumerate() {
                    to.copy_from_slice(run.image(&workspace, mask, n));
                }
            }
            let all = |v| -> Vec<f32> {
                let images = (0..batch).map(|n| run.image(&workspace, v, n));
                images.flatten().copied().collect()
            };
            let now = features.iter().map(|v| all(*v)).collect();
            kept = self.passes.class_from.keep(kept, now, |mut sum, now| {
                for (sum, now) in sum.iter_mut().zip(now) {
                    sum.iter_mut().zip(now).for_each(|(s, v)| *s += v);
                }
                sum
            });
        }
        let lesion = (0..batch)
            .map(|n| match self.recording.lesion {
                Some(lesion) => run.image(&workspace, lesion, n).to_vec(),
                None => vec![0.0; self.lesion_channels() * size],
            })
            .collect();
        idle().push(workspace);
        let Some(mut kept) = kept else {
            return Err(Error::new(ErrorKind::Model, "the model makes no pass"));
        };
        let share = 1.0 / kept.count as f32;
        for map in &mut kept.value {
            map.iter_mut().for_each(|v| *v *= share);
        }
        Ok(Outputs {
            lesion,
            maps: kept.value,
            grid: features.first().map_or([0; 3], |v| run.size(*v)),
        })
    }
}

/// Results of all passes.
struct Outputs {
    /// Lesion probabilities `[K, d, h, w]` of each window.
    lesion: Vec<Vec<f32>>,
    /// Features of the head's maps, one window after the other. There are none if the net does not
    /// classify.
    maps: Vec<Vec<f32>>,
    /// Grid of the features.
    grid: [usize; 3],
}

impl Outputs {
    /// Features of window `n`.
    fn features(&self, n: usize) -> Vec<&[f32]> {
        let batch = self.lesion.len();
        let part = |map: &'_ Vec<f32>| n * (map.len() / batch)..(n + 1) * (map.len() / batch);
        self.maps.iter().map(|map| &map[part(map)]).collect()
    }
}

impl Head {
    /// Class probabilities from the features' averages over a block of their grid.
    fn classify(
        &self,
        maps: &[&[f32]],
        grid: [usize; 3],
        start: [usize; 3],
        shape: [usize; 3],
    ) -> Probabilities {
        let volume: usize = grid.iter().product();
        let count: usize = shape.iter().product();
        let mut logits = [0, 1, 2].map(|c| f64::from(self.bias[c]));
        let channels = maps.iter().flat_map(|m| m.chunks_exact(volume));
        for (channel, weights) in channels.zip(self.weights.chunks_exact(3)) {
            let mut sum = 0.0;
            for z in start[0]..start[0] + shape[0] {
                for y in start[1]..start[1] + shape[1] {
                    let row = &channel[(z * grid[1] + y) * grid[2] + start[2]..][..shape[2]];
                    sum += row.iter().copied().map(f64::from).sum::<f64>();
                }
            }
            let mean = sum / count as f64;
            for (l, w) in logits.iter_mut().zip(weights) {
                *l += mean * f64::from(*w);
            }
        }
        softmax(logits)
    }
}

impl Network for Engine {
    fn release(&self) {
        self.idle.lock().unwrap_or_else(|e| e.into_inner()).clear();
        multirnet_kernels::release_scratch();
    }

    fn segments(&self) -> bool {
        self.recording.lesion.is_some()
    }

    fn classifies(&self) -> bool {
        self.recording.head.is_some()
    }

    fn lesion_channels(&self) -> usize {
        self.config.lesion_channels()
    }

    fn run(&self, windows: &WindowBatch<'_>, explain: bool) -> Result<Vec<WindowOutput>> {
        let mut passes = self.run_passes(windows)?;
        let head = self.recording.head.as_ref();
        let lesion = std::mem::take(&mut passes.lesion);
        let batch = lesion.len();
        passes.lesion.resize(batch, Vec::new());
        Ok(lesion
            .into_iter()
            .enumerate()
            .map(|(n, lesion)| {
                let maps = passes.features(n);
                let grid = passes.grid;
                WindowOutput {
                    lesion,
                    probabilities: head.map_or(softmax([0.0; 3]), |head| {
                        head.classify(&maps, grid, [0; 3], grid)
                    }),
                    cams: head.filter(|_| explain).map(|head| Cams {
                        shape: grid,
                        maps: class_maps(maps[0], grid.iter().product(), &head.weights),
                    }),
                }
            })
            .collect())
    }

    fn run_tile(&self, tile: &WindowBatch<'_>, blocks: &[Block]) -> Result<TileOutput> {
        // Only MultiR-Net's classes are those of blocks. Its features have a grid of 16 voxels.
        let head = match (&self.config, &self.recording.head) {
            (SystemConfig::MultiRNet(_), Some(head)) => head,
            _ => return tile_as_window(self.run(tile, false)?, blocks.len()),
        };
        let mut passes = self.run_passes(tile)?;
        if passes.lesion.len() != 1 {
            return Err(Error::new(
                ErrorKind::Model,
                "the engine runs one tile at a time",
            ));
        }
        let maps = passes.features(0);
        let classes = blocks
            .iter()
            .map(|block| {
                let [start, size] = [block.start, block.shape].map(|v| v.map(|v| v / 16));
                head.classify(&maps, passes.grid, start, size)
            })
            .collect();
        Ok(TileOutput {
            classes,
            lesion: passes.lesion.swap_remove(0),
        })
    }

    fn peak_memory_bytes(&self, shape: [usize; 3], batch: usize) -> u64 {
        let threads = rayon::current_num_threads();
        let run = self.run_of(shape, batch);
        let mut working = 0;
        for step in &self.recording.steps {
            if let Operation::Layer { layer, x, .. } = &step.operation {
                let floats = layer.working_floats(run.size(*x), threads);
                working = working.max(floats.unwrap_or(0));
            }
        }
        let buffers: usize = self.layout.sizes(shape, batch).iter().sum();
        let voxels = batch * shape.iter().product::<usize>();
        // The sum contains the weights, plain and packed, and three kinds of maps: the windows, the
        // map that is fed back, and the lesion map.
        let packed = 6 * self.parameters;
        4 * ((buffers + working + (2 + self.lesion_channels()) * voxels) as u64
            + self.parameters
            + packed)
    }

    fn config_json(&self) -> serde_json::Value {
        let config = match &self.config {
            // Provenance of MultiR-Net has never named the system.
            SystemConfig::MultiRNet(config) => serde_json::to_value(config),
            config => serde_json::to_value(config),
        };
        let mut config = config.unwrap_or_default();
        if let (Precision::Bf16, Some(map)) = (self.precision, config.as_object_mut()) {
            map.insert("precision".to_owned(), "bf16".into());
        }
        config
    }

    fn set_precision(&mut self, precision: Precision) -> Result<()> {
        if precision == Precision::Bf16 && !multirnet_kernels::bf16_available() {
            return Err(Error::new(
                ErrorKind::Model,
                "this processor does not multiply bf16 faster than f32 (AMX or AVX512-BF16)",
            )
            .hint("use the precision f32"));
        }
        self.precision = precision;
        let short_maps = precision == Precision::Bf16 && multirnet_kernels::reads_bf16_maps();
        self.layout = Layout::new(&self.recording, short_maps);
        for step in &mut self.recording.steps {
            if let Operation::Layer { layer, .. } = &mut step.operation {
                layer.set_precision(precision);
            }
        }
        Ok(())
    }
}

fn kernel(error: multirnet_kernels::Error) -> Error {
    Error::caused(ErrorKind::Model, error)
}
