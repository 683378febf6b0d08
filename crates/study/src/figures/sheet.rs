//! Figures of one section, written as they are added.

use super::study::figure_error;
use crate::Result;
use crate::folder::Folder;
use multirnet_base::files::write;
use multirnet_report::{Block, Figure, Picture, figure_png};

/// Pixels per unit of SVG in PNG files: 300 dots per inch in one column of print.
const SCALE: f64 = 2.0;

/// A section's blocks.
pub(super) struct Sheet {
    folder: Folder,
    pub(super) blocks: Vec<Block>,
}

impl Sheet {
    pub(super) fn new(folder: &Folder) -> Self {
        Self {
            folder: folder.clone(),
            blocks: Vec::new(),
        }
    }

    /// Writes `figures/NAME.svg` and `figures/NAME.png`, and shows the figure on the page.
    pub(super) fn add(&mut self, name: &str, svg: String, caption: &str, alt: &str) -> Result<()> {
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

    /// Writes `figures/NAME`, and links to it.
    pub(super) fn link(&mut self, name: &str, bytes: &[u8], text: &str) -> Result<()> {
        write(&self.folder.figures().join(name), bytes)?;
        let address = format!("figures/{name}");
        self.blocks.push(Block::Link(address, text.to_owned()));
        Ok(())
    }
}
