//! Maps on the scan's own grid, interpolated from a working grid when they are read.

use crate::Result;
use multirnet_volume::{Geometry, LinearSampler, Planes, Volume, Voxel};
use rayon::prelude::*;
use std::ops::Range;

/// The block of the scan's voxels that a working grid covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NativeBox {
    scan: Geometry,
    start: [usize; 3],
    geometry: Geometry,
}

impl NativeBox {
    /// The smallest block of `scan` that holds every voxel centre within `working`'s outer edges.
    /// `None` if there are no such voxels.
    ///
    /// # Errors
    /// `Geometry` if the block's grid is unusable.
    pub fn around(scan: &Geometry, working: &Geometry) -> Result<Option<Self>> {
        let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        for corner in 0..8 {
            let index = std::array::from_fn(|a| {
                if corner >> a & 1 == 1 {
                    working.shape()[a] as f64 - 0.5
                } else {
                    -0.5
                }
            });
            let at = scan.world_to_index(working.index_to_world(index));
            for a in 0..3 {
                low[a] = low[a].min(at[a]);
                high[a] = high[a].max(at[a]);
            }
        }
        let mut start = [0; 3];
        let mut shape = [0; 3];
        for a in 0..3 {
            let n = scan.shape()[a] as f64;
            // A thousandth of a voxel allows for rounding in world coordinates.
            let first = (low[a] - 1e-3).ceil().max(0.0);
            let end = ((high[a] + 1e-3).floor() + 1.0).min(n);
            if end <= first {
                return Ok(None);
            }
            start[a] = first as usize;
            shape[a] = (end - first) as usize;
        }
        let geometry = scan.window(start.map(|s| s as i64), shape)?;
        Ok(Some(Self {
            scan: *scan,
            start,
            geometry,
        }))
    }

    /// The block's grid.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The index within the block of the scan's plane `z`, or `None` if the block does not have it.
    fn plane(&self, z: usize) -> Option<usize> {
        z.checked_sub(self.start[0])
            .filter(|z| *z < self.geometry.shape()[0])
    }

    /// Copies the rows of a plane of the block into a plane of the scan.
    fn paste<T: Voxel>(&self, rows: &[T], plane: &mut [T]) {
        let [_, _, nx] = self.scan.shape();
        let [_, y0, x0] = self.start;
        let bx = self.geometry.shape()[2];
        for (y, row) in rows.chunks_exact(bx).enumerate() {
            let at = (y0 + y) * nx + x0;
            plane[at..at + bx].copy_from_slice(row);
        }
    }

    /// Cuts the block out of a map of the whole scan.
    ///
    /// # Errors
    /// `Mismatch` if the block does not lie within `whole`.
    pub fn cut<T: Voxel>(&self, whole: &Volume<T>) -> Result<Volume<T>> {
        Ok(whole.crop(self.start, self.geometry.shape())?)
    }
}

/// A map of 32-bit values on the scan's own grid.
///
/// A predicted map stays on the working grid, which is many times smaller. It is interpolated plane
/// by plane when it is read, so a copy as large as the scan is not needed. A map that was made from
/// a [`Volume`] is held as it is.
#[derive(Debug, Clone)]
pub struct NativeMap(Held);

#[derive(Debug, Clone)]
enum Held {
    Whole(Volume<f32>),
    Lazy(Box<Lazy>),
}

#[derive(Debug, Clone)]
struct Lazy {
    block: NativeBox,
    /// Channels that are interpolated onto the block. The largest one is the map's value.
    channels: Vec<LinearSampler<'static, f32>>,
    /// Mask on the block. The map is 0 where the mask is 0.
    allowed: Option<Volume<u8>>,
    divisor: f32,
}

impl From<Volume<f32>> for NativeMap {
    fn from(volume: Volume<f32>) -> Self {
        Self(Held::Whole(volume))
    }
}

impl PartialEq for NativeMap {
    /// Equal values on equal grids, however they are held.
    fn eq(&self, other: &Self) -> bool {
        self.geometry() == other.geometry() && self.to_volume() == other.to_volume()
    }
}

impl NativeMap {
    /// `channels` of the working grid on `block`, restricted to `allowed` if it is given.
    pub fn new(channels: Vec<Volume<f32>>, block: NativeBox, allowed: Option<Volume<u8>>) -> Self {
        let onto = |map| LinearSampler::owning(map, block.geometry(), 0.0);
        Self(Held::Lazy(Box::new(Lazy {
            block,
            channels: channels.into_iter().map(onto).collect(),
            allowed,
            divisor: 1.0,
        })))
    }

    /// Divides a predicted map by the largest value of its channels on the working grid, if that is
    /// above 0. No interpolated value then is above 1. Also returns whether the value is above 0. A map
    /// that was made from a [`Volume`] keeps its values.
    pub fn scaled_to_one(mut self) -> (Self, bool) {
        let peak = |values: &[f32]| values.iter().copied().fold(0.0, f32::max);
        let top = match &self.0 {
            Held::Whole(volume) => peak(volume.data()),
            Held::Lazy(lazy) => {
                let channels = lazy.channels.iter().map(|c| peak(c.source().data()));
                channels.fold(0.0, f32::max)
            }
        };
        match &mut self.0 {
            Held::Lazy(lazy) if top > 0.0 => lazy.divisor = top,
            _ => {}
        }
        (self, top > 0.0)
    }

    /// The map on the working grid, from which the values on the scan's grid are interpolated. `None`
    /// if there is no such grid: the map was made from a [`Volume`], is restricted to a mask, or is
    /// the largest of several channels.
    #[must_use]
    pub fn working(&self) -> Option<Volume<f32>> {
        match &self.0 {
            Held::Lazy(lazy) if lazy.allowed.is_none() => match lazy.channels.as_slice() {
                [channel] => Some(channel.source().map(|v| v / lazy.divisor)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The label map. A voxel's label is 1 + the index of its largest channel (the last of equal
    /// ones) if that value is at or above `threshold`, else 0.
    pub fn labels(&self, threshold: f32) -> Volume<u8> {
        let geometry = *self.geometry();
        let [_, ny, nx] = geometry.shape();
        let mut labels = Volume::filled(0u8, geometry);
        labels
            .data_mut()
            .par_chunks_mut(ny * nx)
            .enumerate()
            .for_each(|(z, plane)| match &self.0 {
                Held::Whole(volume) => {
                    for (l, &p) in plane.iter_mut().zip(volume.plane(z)) {
                        *l = u8::from(p >= threshold);
                    }
                }
                Held::Lazy(lazy) => {
                    if let Some(z) = lazy.block.plane(z) {
                        let mut names = Vec::new();
                        lazy.read(z, Some((&mut names, threshold)));
                        lazy.block.paste(&names, plane);
                    }
                }
            });
        labels
    }

    /// The planes `planes` of the map, as far as the map has them, as a volume of their own.
    ///
    /// # Errors
    /// `Geometry` if the map has none of them.
    pub fn slab(&self, planes: Range<usize>) -> multirnet_volume::Result<Volume<f32>> {
        let [nz, ny, nx] = self.geometry().shape();
        let count = planes.end.min(nz).saturating_sub(planes.start);
        let start = [planes.start as i64, 0, 0];
        let geometry = self.geometry().window(start, [count, ny, nx])?;
        let mut volume = Volume::filled(0.0, geometry);
        volume
            .data_mut()
            .par_chunks_mut(ny * nx)
            .enumerate()
            .for_each(|(z, plane)| self.read_plane(planes.start + z, plane));
        Ok(volume)
    }

    /// The whole map in memory.
    #[must_use]
    pub fn to_volume(&self) -> Volume<f32> {
        let mut volume = Volume::filled(0.0, *self.geometry());
        let [_, ny, nx] = volume.shape();
        volume
            .data_mut()
            .par_chunks_mut(ny * nx)
            .enumerate()
            .for_each(|(z, plane)| self.read_plane(z, plane));
        volume
    }
}

impl Planes for NativeMap {
    type Value = f32;

    fn geometry(&self) -> &Geometry {
        match &self.0 {
            Held::Whole(volume) => volume.geometry(),
            Held::Lazy(lazy) => &lazy.block.scan,
        }
    }

    fn read_plane(&self, z: usize, out: &mut [f32]) {
        match &self.0 {
            Held::Whole(volume) => volume.read_plane(z, out),
            Held::Lazy(lazy) => {
                out.fill(0.0);
                if let Some(z) = lazy.block.plane(z) {
                    lazy.block.paste(&lazy.read(z, None), out);
                }
            }
        }
    }
}

impl Lazy {
    /// Plane `z` of the block; with `labels`, also each voxel's label at a threshold.
    fn read(&self, z: usize, mut labels: Option<(&mut Vec<u8>, f32)>) -> Vec<f32> {
        let [_, ny, nx] = self.block.geometry.shape();
        let mut plane = vec![0.0f32; ny * nx];
        if let Some((names, _)) = &mut labels {
            names.resize(ny * nx, 0);
        }
        let (mut row, mut scratch) = (vec![0.0; nx], Vec::new());
        for y in 0..ny {
            let here = y * nx..(y + 1) * nx;
            let allowed = self.allowed.as_ref().map(|a| &a.plane(z)[here.clone()]);
            if allowed.is_some_and(|a| a.iter().all(|&a| a == 0)) {
                continue;
            }
            let values = &mut plane[here.clone()];
            for (channel, name) in self.channels.iter().zip(1u8..) {
                channel.read_row(z, y, &mut scratch, &mut row);
                for (v, &a) in row.iter_mut().zip(allowed.unwrap_or(&[])) {
                    *v = if a == 0 { 0.0 } else { *v };
                }
                if let Some((names, threshold)) = &mut labels {
                    let names = &mut names[here.clone()];
                    for ((l, &p), &q) in names.iter_mut().zip(values.iter()).zip(&row) {
                        // The more probable channel labels the voxel. A tie goes to the later
                        // channel, which is the denser kind.
                        if q >= p || name == 1 {
                            *l = if q >= *threshold { name } else { 0 };
                        }
                    }
                }
                for (p, &q) in values.iter_mut().zip(&row) {
                    *p = if q > *p || name == 1 { q } else { *p };
                }
            }
            if self.divisor != 1.0 {
                values.iter_mut().for_each(|v| *v /= self.divisor);
            }
        }
        plane
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Orientation;

    fn scan(orientation: Orientation) -> Geometry {
        let (s, c) = 0.2f64.sin_cos();
        Geometry::new(
            [20, 30, 40],
            [3.0, 0.9, 0.8],
            [-12.0, 7.0, 100.0],
            [[0.0, -s, c], [0.0, c, s], [1.0, 0.0, 0.0]],
        )
        .unwrap()
        .reoriented(orientation)
    }

    #[test]
    fn the_block_holds_the_working_grid_in_all_orientations() {
        for orientation in Orientation::all() {
            let scan = scan(orientation);
            let canonical = scan.reoriented(Orientation::CANONICAL);
            let working = canonical.window([3, 4, 5], [10, 20, 6]).unwrap();
            let block = NativeBox::around(&scan, &working).unwrap().unwrap();
            let back = block.geometry().reoriented(Orientation::CANONICAL);
            assert!(back.matches(&working, 1e-6), "{orientation:?}");
            let whole = Volume::from_fn(scan, |[z, y, x]| (z * 10_000 + y * 100 + x) as f32);
            let cut = block.cut(&whole).unwrap();
            let mut pasted = Volume::filled(-1.0f32, scan);
            for z in 0..scan.shape()[0] {
                if let Some(own) = block.plane(z) {
                    let plane = scan.shape()[1] * scan.shape()[2];
                    let target = &mut pasted.data_mut()[z * plane..(z + 1) * plane];
                    block.paste(cut.plane(own), target);
                }
            }
            let inside = pasted.data().iter().filter(|v| **v >= 0.0).count();
            assert_eq!(inside, working.len());
            assert!(
                pasted
                    .data()
                    .iter()
                    .zip(whole.data())
                    .all(|(p, w)| p == w || *p == -1.0)
            );
        }
    }

    #[test]
    fn a_block_outside_the_scan_is_none_and_one_over_the_border_is_cut() {
        let scan = Geometry::axial([4, 5, 6], [1.0; 3]).unwrap();
        let far = scan.window([100, 0, 0], [2, 2, 2]).unwrap();
        assert_eq!(NativeBox::around(&scan, &far).unwrap(), None);
        let over = scan.window([-3, 2, 4], [5, 5, 5]).unwrap();
        let block = NativeBox::around(&scan, &over).unwrap().unwrap();
        assert_eq!(
            (block.start, block.geometry.shape()),
            ([0, 2, 4], [2, 3, 2])
        );
    }
    #[test]
    fn a_map_is_what_interpolating_and_masking_the_whole_gives() {
        let mut draw = multirnet_base::random::Random::new(4, 0);
        for orientation in Orientation::all() {
            let scan = scan(orientation);
            let canonical = scan.reoriented(Orientation::CANONICAL);
            let part = canonical.window([2, -1, 5], [14, 28, 40]).unwrap();
            let working = part.with_spacing([4.1, 1.7, 1.3]).unwrap();
            let mut random = || {
                Volume::from_fn(working, |_| {
                    [0.0, 0.4, 0.6, 0.9][draw.below(4)] + draw.below(100) as f32 / 1e3
                })
            };
            let channels = [random(), random()];
            let allowed = Volume::from_fn(scan, |[z, y, x]| u8::from((z + y / 3 + x) % 4 < 2));
            let block = NativeBox::around(&scan, &working).unwrap().unwrap();
            let map = NativeMap::new(channels.to_vec(), block, Some(block.cut(&allowed).unwrap()));
            let labels = map.labels(0.5);
            // The definition, applied step by step to whole volumes.
            let whole = channels.each_ref().map(|c| c.resample_linear(&scan, 0.0));
            let (got, [nz, _, _]) = (map.to_volume(), scan.shape());
            for i in 0..scan.len() {
                let inside = allowed.data()[i] != 0;
                let [a, b] = [0, 1].map(|c: usize| if inside { whole[c].data()[i] } else { 0.0 });
                assert!((got.data()[i] - a.max(b)).abs() < 1e-5, "{orientation:?}");
                let want = match (a >= 0.5 || b >= 0.5, b > a) {
                    (false, _) => 0,
                    (true, second) => 1 + u8::from(second),
                };
                let near = [a, b, a - b + 0.5].iter().any(|p| (p - 0.5).abs() < 1e-5);
                assert!(near || labels.data()[i] == want, "{orientation:?}");
            }
            let slab = map.slab(1..nz - 1).unwrap();
            let plane = scan.shape()[1] * scan.shape()[2];
            assert_eq!(slab.data(), &got.data()[plane..(nz - 1) * plane]);
            let (scaled, has_heat) = map.clone().scaled_to_one();
            let values = channels.iter().flat_map(|c| c.data().iter().copied());
            let top = values.fold(0.0, f32::max);
            let want: Vec<f32> = got.data().iter().map(|v| v / top).collect();
            assert!(has_heat && scaled.to_volume().data() == want);
            assert!(scaled != map && map == NativeMap::from(got));
            assert!(map.working().is_none());
            // The map on the working grid gives the same map on the scan's grid.
            let [first, _] = &channels;
            let (heat, _) = NativeMap::new(vec![first.clone()], block, None).scaled_to_one();
            let working = heat.working().unwrap();
            assert!(working.data().iter().all(|v| (0.0..=1.0).contains(v)));
            let again = NativeMap::new(vec![working], block, None);
            let (heat, again) = (heat.to_volume(), again.to_volume());
            let pairs = heat.data().iter().zip(again.data());
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}
