//! A grid of values with its geometry.

use crate::{Error, ErrorKind, Geometry, Result, Scalar};
use rayon::prelude::*;

/// A type that a volume can hold.
pub trait Voxel: Copy + Send + Sync + PartialEq + std::fmt::Debug + 'static {
    /// Which scalar type this is.
    const SCALAR: Scalar;
    /// The value as `f64`, exact where the type allows it.
    fn to_f64(self) -> f64;
    /// The value as `f32`, rounded if necessary.
    fn to_f32(self) -> f32;
    /// The nearest value of this type. Values out of range saturate; NaN becomes 0 for integers.
    fn from_f64(value: f64) -> Self;
}

macro_rules! integer_voxel {
    ($($t:ty: $scalar:ident),*) => {$(
        impl Voxel for $t {
            const SCALAR: Scalar = Scalar::$scalar;
            fn to_f64(self) -> f64 { self as f64 }
            fn to_f32(self) -> f32 { self as f32 }
            fn from_f64(value: f64) -> Self { value.round() as $t }
        }
    )*};
}
integer_voxel!(u8: U8, i8: I8, u16: U16, i16: I16, u32: U32, i32: I32);

impl Voxel for f32 {
    const SCALAR: Scalar = Scalar::F32;
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl Voxel for f64 {
    const SCALAR: Scalar = Scalar::F64;
    fn to_f64(self) -> f64 {
        self
    }
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn from_f64(value: f64) -> Self {
        value
    }
}

/// Values on a grid, indexed `(z, y, x)` with `x` fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<T> {
    data: Vec<T>,
    geometry: Geometry,
}

impl<T: Voxel> Volume<T> {
    /// A volume of `data` on `geometry`.
    ///
    /// # Errors
    /// `Mismatch` if the number of values is not the number of voxels.
    pub fn new(data: Vec<T>, geometry: Geometry) -> Result<Self> {
        if data.len() != geometry.len() {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "{} values for a grid of {:?} voxels",
                    data.len(),
                    geometry.shape()
                ),
            ));
        }
        Ok(Self { data, geometry })
    }

    /// A volume whose number of values the caller guarantees.
    pub(crate) fn from_parts(data: Vec<T>, geometry: Geometry) -> Self {
        debug_assert_eq!(data.len(), geometry.len());
        Self { data, geometry }
    }

    /// A volume of one value.
    pub fn filled(value: T, geometry: Geometry) -> Self {
        Self {
            data: vec![value; geometry.len()],
            geometry,
        }
    }

    /// A volume computed from each voxel's index `[z, y, x]`.
    pub fn from_fn(geometry: Geometry, mut f: impl FnMut([usize; 3]) -> T) -> Self {
        let [nz, ny, nx] = geometry.shape();
        let mut data = Vec::with_capacity(geometry.len());
        for z in 0..nz {
            for y in 0..ny {
                for x in 0..nx {
                    data.push(f([z, y, x]));
                }
            }
        }
        Self { data, geometry }
    }

    /// The geometry of the voxels.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Voxels per axis `(z, y, x)`.
    pub fn shape(&self) -> [usize; 3] {
        self.geometry.shape()
    }

    /// The values, `x` fastest.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The values, mutable.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// Takes the values out.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }

    /// Position of voxel `[z, y, x]` in [`Volume::data`].
    pub fn offset(&self, index: [usize; 3]) -> usize {
        let [_, ny, nx] = self.shape();
        (index[0] * ny + index[1]) * nx + index[2]
    }

    /// The value at `[z, y, x]`.
    ///
    /// # Panics
    /// If the index is outside the grid.
    pub fn at(&self, index: [usize; 3]) -> T {
        self.data[self.offset(index)]
    }

    /// The axial plane at `z` (in array order, `y` rows of `x`).
    ///
    /// # Panics
    /// If `z` is outside the grid.
    pub fn plane(&self, z: usize) -> &[T] {
        let [_, ny, nx] = self.shape();
        &self.data[z * ny * nx..(z + 1) * ny * nx]
    }

    /// The same grid with every value mapped, in parallel.
    #[must_use]
    pub fn map<U: Voxel>(&self, f: impl Fn(T) -> U + Sync) -> Volume<U> {
        Volume {
            data: self
                .data
                .par_iter()
                .with_min_len(1 << 14)
                .map(|&v| f(v))
                .collect(),
            geometry: self.geometry,
        }
    }

    /// The same values on another grid of the same shape.
    ///
    /// # Errors
    /// `Mismatch` if the shapes differ.
    pub fn with_geometry(self, geometry: Geometry) -> Result<Self> {
        Self::new(self.data, geometry)
    }

    /// Checks that `other` lies on the same grid within a hundredth of a millimetre.
    ///
    /// # Errors
    /// `Mismatch` that states in what the grids differ.
    pub fn check_same_grid<U: Voxel>(&self, other: &Volume<U>) -> Result<()> {
        match self.geometry.difference(&other.geometry) {
            None => Ok(()),
            Some(difference) => Err(Error::new(
                ErrorKind::Mismatch,
                format!("the grids differ: {difference}"),
            )),
        }
    }
}

/// A volume that is read plane by plane: one in memory, or one that is computed on demand.
pub trait Planes: Sync {
    /// The type of its values.
    type Value: Voxel;

    /// The geometry of the voxels.
    fn geometry(&self) -> &Geometry;

    /// Fills `out`, `y` rows of `x`, with plane `z` (in array order).
    ///
    /// # Panics
    /// If `z` is outside the grid or `out` does not have a plane's size.
    fn read_plane(&self, z: usize, out: &mut [Self::Value]);
}

impl<T: Voxel> Planes for Volume<T> {
    type Value = T;

    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn read_plane(&self, z: usize, out: &mut [T]) {
        out.copy_from_slice(self.plane(z));
    }
}

/// Zeros from the operating system. The threads that fill the pages are the first to touch them.
pub(crate) fn blank<T: Voxel>(len: usize) -> Vec<T> {
    vec![T::from_f64(0.0); len]
}
