//! Surfaces of masks in three dimensions: meshes, and pictures of them.

mod cubes;
mod figure;
mod mesh;
mod raster;

pub use figure::{SurfaceFigure, SurfacePanel, surface_panels, surfaces_svg};
pub use mesh::{Detail, Mesh};
pub use raster::{Camera, Finish, Surface, View3, render};
