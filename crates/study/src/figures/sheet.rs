//! The figures of one section. Each is written when it is added.

use super::study::{Study, check_stop, figure_error};
use crate::Result;
use crate::folder::Folder;
use multirnet_base::{StopToken, files::write};
use multirnet_report::{Block, Figure, Picture, figure_png};

/// Pixels per unit of SVG in PNG files: 300 dots per inch in one column of print.
const SCALE: f64 = 2.0;

/// A section's blocks.
pub(super) struct Sheet<'a> {
    folder: &'a Folder,
    stop: &'a StopToken,
    pub(super) blocks: Vec<Block>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(study: &'a Study<'_>) -> Self {
        Self {
            folder: &study.folder,
            stop: study.stop,
            blocks: Vec::new(),
        }
    }

    /// Writes `figures/NAME.svg` and `figures/NAME.png`, and shows the figure on the page. Raising
    /// `stop` prevents this.
    pub(super) fn add(&mut self, name: &str, svg: String, caption: &str, alt: &str) -> Result<()> {
        check_stop(self.stop)?;
        let to = self.folder.figures();
        write(&to.join(format!("{name}.svg")), svg.as_bytes())?;
        let png = figure_png(&svg, SCALE).map_err(figure_error)?;
        write(&to.join(format!("{name}.png")), &png)?;
        self.blocks.push(Block::Figure(Figure {
            caption: caption.to_owned(),
            alt: alt.to_owned(),
            picture: Picture::Svg(svg),
        }));
        Ok(())
    }
}
