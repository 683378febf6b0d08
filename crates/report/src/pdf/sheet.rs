//! Texts, tables and rectangles at their places on a page, in points from its upper left corner.

use crate::font::{break_some, fit, legible, text_width};

/// Width and height of A4.
pub(super) const PAGE: [f64; 2] = [595.28, 841.89];
/// Width of the empty border (15 mm).
pub(super) const MARGIN: f64 = 42.52;
/// Width between the borders.
pub(super) const WIDTH: f64 = PAGE[0] - 2.0 * MARGIN;
/// Distance of baselines in font sizes.
const LEADING: f64 = 1.26;

/// Size, weight and colour of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub size: f64,
    pub bold: bool,
    pub colour: [u8; 3],
}

impl Look {
    /// Distance of baselines.
    pub fn line_height(self) -> f64 {
        LEADING * self.size
    }
}

/// A line of text; `at` is the left end of its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub at: [f64; 2],
    pub look: Look,
    pub text: String,
}

/// An area: left, top, width, height.
pub(super) type Area = [f64; 4];

/// A part of the page, in reading order. The kind is what a screen reader says of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    /// The title.
    Title(Vec<Line>),
    /// The heading of what follows.
    Heading(Vec<Line>),
    /// A paragraph.
    Text(Vec<Line>),
    /// Rows of cells. The first row names the columns, the first cell of each row names the row.
    Table(Vec<Vec<Line>>),
    /// The picture, and what it shows.
    Picture(Area, String),
    /// A filled rectangle without meaning.
    Fill(Area, [u8; 3]),
    /// The border of a rectangle without meaning.
    Frame(Area, [u8; 3]),
}

/// A column of a table: where it ends (numbers) or begins (texts), and how wide it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub x: f64,
    pub width: f64,
    pub is_numeric: bool,
}

/// Blocks, and the place below which the next one comes.
pub(super) struct Pen {
    pub blocks: Vec<Block>,
    pub y: f64,
}

impl Pen {
    pub fn new(y: f64) -> Self {
        Self { blocks: vec![], y }
    }

    /// Breaks a text into at most `most` lines of `width` points from `x` on, and moves below them.
    pub fn lines(&mut self, x: f64, width: f64, look: Look, most: usize, text: &str) -> Vec<Line> {
        let broken = break_some(&legible(text), look.size, look.bold, width, most);
        let place = |text| {
            self.y += look.line_height();
            let at = [x, self.y - 0.3 * look.size];
            Line { at, look, text }
        };
        broken.into_iter().map(place).collect()
    }

    /// A paragraph.
    pub fn text(&mut self, x: f64, width: f64, look: Look, most: usize, text: &str) {
        let lines = self.lines(x, width, look, most, text);
        self.blocks.push(Block::Text(lines));
    }

    /// A heading.
    pub fn heading(&mut self, x: f64, width: f64, look: Look, most: usize, text: &str) {
        let lines = self.lines(x, width, look, most, text);
        self.blocks.push(Block::Heading(lines));
    }

    /// A table whose first row is in bold. Cells are cut to their columns.
    pub fn table(&mut self, columns: &[Column], look: Look, rows: &[Vec<String>]) {
        let mut placed = vec![];
        for (r, row) in rows.iter().enumerate() {
            self.y += look.line_height();
            let look = Look {
                bold: look.bold || r == 0,
                ..look
            };
            let cell = |(column, text): (&Column, &String)| {
                let text = fit(&legible(text), look.size, look.bold, column.width);
                let width = text_width(&text, look.size, look.bold);
                let x = column.x - if column.is_numeric { width } else { 0.0 };
                let at = [x, self.y - 0.3 * look.size];
                Line { at, look, text }
            };
            placed.push(columns.iter().zip(row).map(cell).collect());
        }
        self.blocks.push(Block::Table(placed));
    }
}
