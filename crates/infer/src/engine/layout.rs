//! The layout: which buffer holds each map, planned before the net runs.

use super::record::{Kind, Operation, Recording, Step, Value};
use std::collections::BTreeMap;

/// Place of a map: channels from `channel` on in a buffer whose images have `channels` channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) buffer: usize,
    pub(super) channel: usize,
    pub(super) channels: usize,
    /// Whether the map is in bf16.
    pub(super) short: bool,
}

/// The assignment of maps to buffers, which holds for windows of any shape.
#[derive(Debug)]
pub(super) struct Layout {
    places: Vec<Place>,
    /// For each step, whether it is a concatenation whose parts are computed in place.
    joined: Vec<bool>,
    /// For each buffer, the kinds of the maps that it holds, and whether they are in bf16.
    contents: Vec<Vec<(Kind, bool)>>,
}

impl Layout {
    /// Plans the layout of `recording`, largest maps first. Sizes are those for a window of 16
    /// voxels a side. Other windows scale all sizes by the same factor. With `short_maps` the maps that only
    /// layers and attention touch are in bf16.
    pub(super) fn new(recording: &Recording, short_maps: bool) -> Self {
        let n = recording.kinds.len();
        // For each map, the map that contains it and its first channel there.
        let mut inside: Vec<Option<(Value, usize)>> = vec![None; n];
        let mut joined = vec![false; recording.steps.len()];
        for (i, step) in recording.steps.iter().enumerate() {
            let Operation::Cat(parts) = &step.operation else {
                continue;
            };
            let before = inside.clone();
            let mut channel = 0;
            let mut free = true;
            for part in parts {
                // A map that two concatenations take lies within the first one only. So does a map
                // that one concatenation takes twice.
                free &= inside[part.0].is_none();
                inside[part.0] = Some((step.output, channel));
                channel += recording.kinds[part.0].channels;
            }
            // No step may read the buffer that it writes.
            let clash = recording.steps.iter().enumerate().any(|(j, s)| {
                j != i
                    && !joined[j]
                    && s.operation
                        .inputs()
                        .iter()
                        .any(|v| root(&inside, *v).0 == root(&inside, s.output).0)
            });
            if free && !clash {
                joined[i] = true;
            } else {
                inside = before;
            }
        }
        // First and last step at which each root map is alive. The inputs are alive from the
        // beginning, and the results until the end.
        let end = recording.steps.len();
        let mut alive: BTreeMap<Value, (usize, usize)> = BTreeMap::new();
        let mut touch = |v: Value, at: usize| {
            let range = alive.entry(root(&inside, v).0).or_insert((at, at));
            *range = (range.0.min(at), range.1.max(at));
        };
        for v in recording.inputs {
            touch(v, 0);
        }
        for (i, step) in recording.steps.iter().enumerate() {
            touch(step.output, i);
            for v in step.operation.inputs() {
                touch(v, i);
            }
        }
        for v in recording.results() {
            touch(v, end);
        }
        let mut long = vec![!short_maps; n];
        for v in recording.inputs.into_iter().chain(recording.results()) {
            long[root(&inside, v).0.0] = true;
        }
        for (i, step) in recording.steps.iter().enumerate() {
            for v in touched_in_f32(step, joined[i]) {
                long[root(&inside, v).0.0] = true;
            }
        }
        // In values of 16 bits.
        let size = |v: Value| {
            let kind = recording.kinds[v.0];
            ((kind.channels << 13) >> (3 * kind.halvings)) >> usize::from(!long[v.0])
        };
        let mut roots: Vec<(Value, (usize, usize))> = alive.into_iter().collect();
        roots.sort_by_key(|(v, _)| std::cmp::Reverse(size(*v)));
        // Each map goes to the first buffer that is free while the map is alive. Since the largest
        // maps come first, no buffer has to grow.
        let mut buffers: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut of_root = BTreeMap::new();
        let mut contents: Vec<Vec<(Kind, bool)>> = Vec::new();
        for (v, (from, to)) in roots {
            let free = |times: &Vec<(usize, usize)>| times.iter().all(|t| to < t.0 || t.1 < from);
            let buffer = buffers.iter().position(free).unwrap_or_else(|| {
                buffers.push(Vec::new());
                contents.push(Vec::new());
                buffers.len() - 1
            });
            buffers[buffer].push((from, to));
            contents[buffer].push((recording.kinds[v.0], !long[v.0]));
            of_root.insert(v, buffer);
        }
        let places = (0..n)
            .map(|i| {
                let (root, channel) = root(&inside, Value(i));
                Place {
                    buffer: of_root.get(&root).copied().unwrap_or(0),
                    channel,
                    channels: recording.kinds[root.0].channels,
                    short: !long[root.0],
                }
            })
            .collect();
        Self {
            places,
            joined,
            contents,
        }
    }

    pub(super) fn place(&self, value: Value) -> Place {
        self.places[value.0]
    }

    /// Whether step `i` is a concatenation that needs no copy.
    pub(super) fn joined(&self, i: usize) -> bool {
        self.joined[i]
    }

    /// Number of floats of each buffer for `batch` windows of `shape`.
    pub(super) fn sizes(&self, shape: [usize; 3], batch: usize) -> Vec<usize> {
        let floats = |(kind, short): &(Kind, bool)| {
            let values = batch * kind.channels * kind.size(shape).iter().product::<usize>();
            if *short { values.div_ceil(2) } else { values }
        };
        let largest = |contents: &Vec<(Kind, bool)>| contents.iter().map(floats).max();
        let sizes = self.contents.iter().map(|c| largest(c).unwrap_or(0));
        sizes.collect()
    }
}

/// Maps that a step can read or write in `f32` only.
fn touched_in_f32(step: &Step, is_joined: bool) -> Vec<Value> {
    match &step.operation {
        Operation::Layer { .. } => Vec::new(),
        Operation::Cat(_) if is_joined => Vec::new(),
        Operation::Attend([_, logit]) => vec![*logit],
        other => other.inputs().into_iter().chain([step.output]).collect(),
    }
}

/// The outermost map that contains `v`, and the first channel of `v` there.
fn root(inside: &[Option<(Value, usize)>], v: Value) -> (Value, usize) {
    match inside[v.0] {
        Some((outer, channel)) => {
            let (root, first) = root(inside, outer);
            (root, first + channel)
        }
        None => (v, 0),
    }
}
