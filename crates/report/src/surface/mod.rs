//! Surfaces of masks in three dimensions: meshes, pictures of them, an interactive page.

mod cubes;
mod figure;
mod mesh;
mod raster;
mod viewer;

pub use figure::{SurfaceFigure, SurfacePanel, surface_panels, surfaces_svg};
pub use mesh::{Detail, Mesh};
pub use raster::{Camera, Finish, Surface, View3, render};
pub use viewer::{SurfacePage, surface_page};
