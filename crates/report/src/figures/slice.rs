//! Axial slices of scans, masks and maps, as figures show them.

use crate::outline::outline;
use crate::{Error, ErrorKind, Result};
use multirnet_volume::{Orientation, Volume, Voxel};

/// A slice: rows of pixels with their size.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice<T> {
    rows: usize,
    columns: usize,
    spacing_mm: [f64; 2],
    data: Vec<T>,
}

/// A part of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBox {
    /// First row and column.
    pub start: [usize; 2],
    /// Rows and columns.
    pub size: [usize; 2],
}

impl<T: Copy> Slice<T> {
    /// A slice of `rows` × `columns` values, columns fastest, with the distances in mm between rows
    /// and between columns.
    ///
    /// # Errors
    /// `Mismatch` if `data` is empty or has another number of values, or if a distance is not a
    /// positive number.
    pub fn new(rows: usize, columns: usize, spacing_mm: [f64; 2], data: Vec<T>) -> Result<Self> {
        if data.is_empty() || rows.checked_mul(columns) != Some(data.len()) {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "a slice of {rows} × {columns} pixels cannot have {} values",
                    data.len()
                ),
            ));
        }
        if !spacing_mm.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!("pixels of {spacing_mm:?} mm cannot be drawn; spacing must be positive"),
            ));
        }
        Ok(Self {
            rows,
            columns,
            spacing_mm,
            data,
        })
    }

    /// Axial slice `index` of a volume in canonical orientation (the patient's right on the left of
    /// the picture, the front up).
    ///
    /// # Errors
    /// `Mismatch` if the volume is oriented otherwise (call `to_canonical` first) or has no such
    /// slice.
    pub fn axial(volume: &Volume<T>, index: usize) -> Result<Self>
    where
        T: Voxel,
    {
        let [nz, rows, columns] = volume.shape();
        let orientation = volume.geometry().orientation();
        if orientation != Orientation::CANONICAL {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "axial slices need a volume in canonical orientation, not {orientation}; reorient it first"
                ),
            ));
        }
        if index >= nz {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!("the volume has {nz} slices, so there is no slice {index}"),
            ));
        }
        let [_, row_mm, column_mm] = volume.geometry().spacing_mm();
        Self::new(
            rows,
            columns,
            [row_mm, column_mm],
            volume.plane(index).to_vec(),
        )
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The values, columns fastest.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// Distances in mm between rows and between columns.
    pub fn spacing_mm(&self) -> [f64; 2] {
        self.spacing_mm
    }

    /// Height and width in mm.
    pub fn size_mm(&self) -> [f64; 2] {
        [
            self.rows as f64 * self.spacing_mm[0],
            self.columns as f64 * self.spacing_mm[1],
        ]
    }

    /// A part of the slice; what lies outside the slice is left out.
    ///
    /// # Errors
    /// `Mismatch` if the part and the slice do not overlap.
    pub fn crop(&self, part: &PixelBox) -> Result<Self> {
        let [r0, c0] = part.start;
        let end = |start: usize, size: usize, most: usize| start.saturating_add(size).min(most);
        let (r1, c1) = (
            end(r0, part.size[0], self.rows),
            end(c0, part.size[1], self.columns),
        );
        let data: Vec<T> = (r0..r1)
            .flat_map(|r| self.data[r * self.columns..][..self.columns].get(c0..c1))
            .flatten()
            .copied()
            .collect();
        Self::new(
            r1.saturating_sub(r0),
            c1.saturating_sub(c0),
            self.spacing_mm,
            data,
        )
    }

    /// Fails unless `other` has as many pixels of the same size.
    pub(crate) fn check_same<U: Copy>(&self, other: &Slice<U>, what: &str) -> Result<()> {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-3 * a.max(b);
        let spacing = self.spacing_mm.iter().zip(&other.spacing_mm);
        if self.shape() == other.shape() && spacing.clone().all(|(a, b)| close(*a, *b)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "{what} has {:?} pixels of {:?} mm, but its scan has {:?} of {:?} mm; take both from one grid",
                other.shape(),
                other.spacing_mm,
                self.shape(),
                self.spacing_mm
            ),
        ))
    }
}

impl Slice<u8> {
    /// The box around all non-zero pixels and `margin_mm` around them, `None` if there are none.
    pub fn box_around(&self, margin_mm: f64) -> Option<PixelBox> {
        let (mut low, mut high) = ([usize::MAX; 2], [0; 2]);
        for (i, _) in self.data.iter().enumerate().filter(|(_, v)| **v != 0) {
            let at = [i / self.columns, i % self.columns];
            low = std::array::from_fn(|k| low[k].min(at[k]));
            high = std::array::from_fn(|k| high[k].max(at[k]));
        }
        if low[0] == usize::MAX {
            return None;
        }
        let margin = self
            .spacing_mm
            .map(|s| (margin_mm.max(0.0) / s).ceil() as usize);
        let start: [usize; 2] = std::array::from_fn(|k| low[k].saturating_sub(margin[k]));
        let shape = self.shape();
        let size = std::array::from_fn(|k| {
            high[k].saturating_add(margin[k]).min(shape[k] - 1) + 1 - start[k]
        });
        Some(PixelBox { start, size })
    }

    /// Outlines of the non-zero pixels as SVG path data in a picture at `at` of `size`.
    pub(crate) fn outline(&self, at: [f64; 2], size: [f64; 2]) -> Result<String> {
        let (w, h) = (self.columns + 2, self.rows + 2);
        let mut values = vec![0.0; w * h];
        for (r, row) in self.data.chunks_exact(self.columns).enumerate() {
            for (c, v) in row.iter().enumerate() {
                values[(r + 1) * w + c + 1] = f64::from(u8::from(*v != 0));
            }
        }
        let scale = [size[0] / self.columns as f64, size[1] / self.rows as f64];
        outline(&values, w, h, |x, y| {
            [at[0] + (x - 1.0) * scale[0], at[1] + (y - 1.0) * scale[1]]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multirnet_volume::Geometry;

    #[test]
    fn a_slice_is_checked_cropped_and_boxed() {
        assert!(Slice::new(2, 2, [1.0; 2], vec![0u8; 3]).is_err());
        assert!(Slice::new(0, 2, [1.0; 2], Vec::<u8>::new()).is_err());
        assert!(Slice::new(1, 1, [0.0, 1.0], vec![0u8]).is_err());
        let mut data = vec![0u8; 30];
        data[2 * 6 + 3] = 1;
        let slice = Slice::new(5, 6, [2.0, 1.0], data).unwrap();
        let part = slice.box_around(2.0).unwrap();
        assert_eq!((part.start, part.size), ([1, 1], [3, 5]));
        let cut = slice.crop(&part).unwrap();
        assert_eq!((cut.shape(), cut.data()[7]), ([3, 5], 1));
        let beyond = PixelBox {
            start: [4, 9],
            size: [usize::MAX, 3],
        };
        assert!(slice.crop(&beyond).is_err());
        assert_eq!(slice.crop(&cut_all()).unwrap(), slice);
        let empty = Slice::new(1, 2, [1.0; 2], vec![0u8; 2]).unwrap();
        assert_eq!(empty.box_around(5.0), None);
    }

    fn cut_all() -> PixelBox {
        PixelBox {
            start: [0, 0],
            size: [usize::MAX; 2],
        }
    }

    #[test]
    fn an_axial_slice_has_the_volumes_rows() {
        let grid = Geometry::axial([2, 3, 4], [5.0, 0.8, 0.7]).unwrap();
        let volume = Volume::from_fn(grid, |[z, y, x]| (z * 12 + y * 4 + x) as u8);
        let slice = Slice::axial(&volume, 1).unwrap();
        assert_eq!((slice.shape(), slice.spacing_mm()), ([3, 4], [0.8, 0.7]));
        assert_eq!(slice.data()[0], 12);
        assert!(Slice::axial(&volume, 2).is_err());
        let turned = volume.reorient(Orientation::all()[5]);
        assert!(Slice::axial(&turned, 0).is_err() || turned.geometry() == volume.geometry());
    }

    #[test]
    fn an_outline_surrounds_its_pixels_in_the_pictures_units() {
        // One pixel of 4 × 2 mm in the middle of a 3 × 3 slice, drawn 30 wide and 60 high.
        let mut data = vec![0u8; 9];
        data[4] = 7;
        let slice = Slice::new(3, 3, [4.0, 2.0], data).unwrap();
        let d = slice.outline([100.0, 200.0], [30.0, 60.0]).unwrap();
        let numbers: Vec<f64> = d
            .split(|c: char| "MLZ ".contains(c))
            .filter_map(|t| t.parse().ok())
            .collect();
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for p in numbers.chunks_exact(2) {
            for k in 0..2 {
                low[k] = low[k].min(p[k]);
                high[k] = high[k].max(p[k]);
            }
        }
        assert_eq!((low, high), ([110.0, 220.0], [120.0, 240.0]));
    }
}
