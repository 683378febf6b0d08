//! Blocks as PDF.

use super::ReportDate;
use super::sheet::{Area, Block, Line, PAGE};
use crate::font::{data, glyphs};
use crate::{Error, ErrorKind, Result};
use krilla::Document;
use krilla::SerializeSettings;
use krilla::color::rgb;
use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, Node, SpanTag, TableHeaderScope, Tag, TagGroup,
    TagTree,
};
use krilla::text::{Font, GlyphId, KrillaGlyph};
use std::num::NonZeroU16;

/// What the document says of itself.
pub(super) struct About {
    pub title: String,
    pub notice: String,
    pub creator: String,
    pub date: ReportDate,
}

/// Reads the picture.
pub(super) fn picture(png: &[u8]) -> Result<Image> {
    Image::from_png(png.to_vec().into(), false)
        .map_err(|reason| fail(format!("the picture cannot be read as a PNG: {reason}")))
}

fn fail(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Draw, reason)
}

/// The document. krilla checks it against PDF/A-2a (long-term archives) and PDF/UA-1 (screen
/// readers), so a text that neither allows is an error here.
pub(super) fn paint(blocks: &[Block], about: &About, picture: Image) -> Result<Vec<u8>> {
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|e| fail(format!("no version of PDF has these properties: {e:?}")))?;
    let mut document = Document::new_with(SerializeSettings {
        configuration,
        ..SerializeSettings::default()
    });
    let font = |bold| {
        Font::new(data(bold).into(), 0).ok_or_else(|| fail("the embedded font cannot be read"))
    };
    let fonts = [font(false)?, font(true)?];
    let [width, height] = PAGE.map(|v| v as f32);
    let settings = PageSettings::from_wh(width, height)
        .ok_or_else(|| fail("the size of the page is unusable"))?;
    let mut page = document.start_page_with(settings);
    let nodes = draw(blocks, page.surface(), fonts, &about.title, &picture);
    page.finish();
    let mut tree = TagTree::new();
    for node in nodes {
        tree.push(node);
    }
    document.set_tag_tree(tree);
    let mut outline = Outline::new();
    let top = XyzDestination::new(0, Point::from_xy(0.0, 0.0));
    outline.push_child(OutlineNode::new(about.title.clone(), top));
    document.set_outline(outline);
    let (year, month, day) = about.date.parts();
    document.set_metadata(
        Metadata::new()
            .title(about.title.clone())
            .description(about.notice.clone())
            .creator(about.creator.clone())
            .language("en".into())
            .creation_date(DateTime::new(year).month(month).day(day)),
    );
    document
        .finish()
        .map_err(|e| fail(format!("cannot make the PDF: {e}")))
}

/// Draws the blocks and returns their tags.
fn draw(
    blocks: &[Block],
    surface: Surface,
    fonts: [Font; 2],
    title: &str,
    picture: &Image,
) -> Vec<Node> {
    let mut painter = Painter { surface, fonts };
    let nodes = blocks
        .iter()
        .filter_map(|block| painter.block(block, title, picture))
        .collect();
    painter.surface.finish();
    nodes
}

struct Painter<'a> {
    surface: Surface<'a>,
    /// Regular, bold.
    fonts: [Font; 2],
}

impl Painter<'_> {
    /// Draws a block and returns its tag. Decoration and empty texts have none.
    fn block(&mut self, block: &Block, title: &str, picture: &Image) -> Option<Node> {
        let level = |level| NonZeroU16::new(level).unwrap_or(NonZeroU16::MIN);
        match block {
            Block::Title(lines) => {
                let tag = Tag::Hn(level(1), Some(title.to_owned()));
                self.group(TagGroup::new(tag), lines)
            }
            Block::Heading(lines) => {
                let text: Vec<_> = lines.iter().map(|l| l.text.as_str()).collect();
                let tag = Tag::Hn(level(2), Some(text.join(" ")));
                self.group(TagGroup::new(tag), lines)
            }
            Block::Text(lines) => self.group(TagGroup::new(Tag::P), lines),
            Block::Table(rows) => Some(self.table(rows)),
            Block::Picture(area, alt) => self.picture(*area, alt, picture),
            Block::Fill(area, colour) => self.decorate(*area, Some(*colour), None),
            Block::Frame(area, colour) => self.decorate(*area, None, Some(*colour)),
        }
    }

    fn group(&mut self, mut group: TagGroup, lines: &[Line]) -> Option<Node> {
        let drawn: Vec<Identifier> = lines.iter().filter_map(|l| self.line(l)).collect();
        if drawn.is_empty() {
            return None;
        }
        drawn.into_iter().for_each(|id| group.push(id));
        Some(group.into())
    }

    fn table(&mut self, rows: &[Vec<Line>]) -> Node {
        let mut table = TagGroup::new(Tag::Table);
        let (mut head, mut body) = (TagGroup::new(Tag::THead), TagGroup::new(Tag::TBody));
        for (r, cells) in rows.iter().enumerate() {
            let mut row = TagGroup::new(Tag::TR);
            for (k, cell) in cells.iter().enumerate() {
                let mut tag = match (r, k) {
                    (0, _) => TagGroup::new(Tag::TH(TableHeaderScope::Column)),
                    (_, 0) => TagGroup::new(Tag::TH(TableHeaderScope::Row)),
                    _ => TagGroup::new(Tag::TD),
                };
                if let Some(id) = self.line(cell) {
                    tag.push(id);
                }
                row.push(tag);
            }
            if r == 0 { &mut head } else { &mut body }.push(row);
        }
        table.push(head);
        table.push(body);
        table.into()
    }

    fn picture(&mut self, area: Area, alt: &str, picture: &Image) -> Option<Node> {
        let [x, y, width, height] = area.map(|v| v as f32);
        let size = Size::from_wh(width, height)?;
        let id = self.surface.start_tagged(ContentTag::Other);
        self.surface
            .push_transform(&Transform::from_translate(x, y));
        self.surface.draw_image(picture.clone(), size);
        self.surface.pop();
        self.surface.end_tagged();
        let mut group = TagGroup::new(Tag::Figure(Some(alt.to_owned())));
        group.push(id);
        Some(group.into())
    }

    fn decorate(
        &mut self,
        area: Area,
        fill: Option<[u8; 3]>,
        stroke: Option<[u8; 3]>,
    ) -> Option<Node> {
        let [x, y, width, height] = area.map(|v| v as f32);
        let mut path = PathBuilder::new();
        path.push_rect(Rect::from_xywh(x, y, width, height)?);
        let path = path.finish()?;
        let artifact = Artifact::with_kind(ArtifactType::Layout);
        self.surface.start_tagged(ContentTag::Artifact(artifact));
        self.surface.set_fill(fill.map(solid));
        self.surface.set_stroke(stroke.map(|colour| Stroke {
            paint: solid(colour).paint,
            ..Stroke::default()
        }));
        self.surface.draw_path(&path);
        self.surface.set_stroke(None);
        self.surface.end_tagged();
        None
    }

    /// Draws a line of text and returns its identifier; `None` if it has no letters.
    fn line(&mut self, line: &Line) -> Option<Identifier> {
        if line.text.is_empty() {
            return None;
        }
        let glyph = |((at, c), (id, em)): ((usize, char), (u32, f64))| {
            let text = at..at + c.len_utf8();
            KrillaGlyph::new(GlyphId::new(id), em as f32, 0.0, 0.0, 0.0, text, None)
        };
        let shapes = glyphs(&line.text, line.look.bold);
        let shapes: Vec<_> = line.text.char_indices().zip(shapes).map(glyph).collect();
        let [x, y] = line.at.map(|v| v as f32);
        let font = self.fonts[usize::from(line.look.bold)].clone();
        let size = line.look.size as f32;
        let id = self
            .surface
            .start_tagged(ContentTag::Span(SpanTag::empty()));
        self.surface.set_fill(Some(solid(line.look.colour)));
        let start = Point::from_xy(x, y);
        self.surface
            .draw_glyphs(start, &shapes, font, &line.text, size, false);
        self.surface.end_tagged();
        Some(id)
    }
}

fn solid([red, green, blue]: [u8; 3]) -> Fill {
    Fill {
        paint: rgb::Color::new(red, green, blue).into(),
        ..Fill::default()
    }
}
