//! Everything that the program draws for people: the overview picture of a finding, training
//! curves, the figures of a comparison, surfaces in three dimensions, HTML pages, PDF reports.
//!
//! Figures are composed as SVG and rasterised by `resvg` with an embedded font. A picture therefore
//! looks the same on every machine, and SVG and PNG come from one source.
//!
//! ```
//! use multirnet_report::{Block, Column, ReportPage, Section, Table, report_page};
//!
//! let table = Table {
//!     caption: "Volume Dice".into(),
//!     columns: vec![Column::new("System", false), Column::new("Dice, %", true)],
//!     rows: vec![vec!["net".into(), "69.95".into()]],
//!     ..Table::default()
//! };
//! assert!(table.to_markdown().contains("| net | 69.95 |"));
//! let section = Section { heading: "Scores".into(), blocks: vec![Block::Table(table)] };
//! // Every page says that it is for research, and whether its scans are synthetic.
//! let page = ReportPage { synthetic: true, sections: vec![section], ..ReportPage::default() };
//! let html = report_page(&page);
//! assert!(html.contains("For research use only") && html.contains("synthetic phantoms"));
//! ```

mod axes;
mod curves;
mod error;
mod figures;
mod font;
mod legend;
mod outline;
mod overview;
mod page;
mod pdf;
mod pixels;
mod plane;
mod refusal;
mod report_page;
mod surface;
mod svg;
mod theme;
mod thumbnail;

pub use curves::{Curve, CurveFigure, curves_png, curves_svg, read_log, training_curves_svg};
pub use error::{Error, ErrorKind, Result};
pub use figures::*;
pub use overview::{Overview, overview_png, overview_svg, planes_png};
pub use page::{Entry, finding_page, index_page};
pub use pdf::{PdfFacts, ReportDate, finding_pdf};
pub use refusal::refusal_picture;
pub use report_page::{Block, Column, Figure, Picture, ReportPage, Section, Table, report_page};
pub use surface::{
    Camera, Detail, Finish, Mesh, Surface, SurfaceFigure, SurfacePanel, View3, render,
    surface_panels, surfaces_svg,
};
pub use svg::{ONE_COLUMN, TWO_COLUMNS, figure_png};
pub use theme::Theme;
pub use thumbnail::thumbnail_png;
