//! Report pages: sections of text, tables and figures in one file.

use crate::page::{safe, shell, warnings};
use crate::svg::data_uri;
use base64::Engine;
use maud::{Markup, html};

/// A report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportPage {
    /// Title.
    pub title: String,
    /// What the report is about, in a sentence or two; may be empty.
    pub lead: String,
    /// Whether results come from synthetic phantoms; the page says so at its top.
    pub synthetic: bool,
    /// The sections.
    pub sections: Vec<Section>,
    /// How it was made: names and values, such as version, configuration and their hashes.
    pub provenance: Vec<(String, String)>,
}

/// A section.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// Heading.
    pub heading: String,
    /// Its content.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A list.
    List(Vec<String>),
    /// A table; tables are numbered through the page.
    Table(Table),
    /// A figure; figures are numbered through the page.
    Figure(Figure),
    /// A link to a file beside the page: its address relative to the page, and its text.
    Link(String, String),
}

/// A column of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// Name with unit.
    pub name: String,
    /// Whether its cells are numbers, which are set flush right with digits of one width.
    pub numeric: bool,
}

impl Column {
    /// A column of numbers, or of text.
    pub fn new(name: impl Into<String>, numeric: bool) -> Self {
        Self {
            name: name.into(),
            numeric,
        }
    }
}

/// A table. The first cell of each row names the row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Caption.
    pub caption: String,
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows. Missing cells are empty; cells beyond the columns are shown too.
    pub rows: Vec<Vec<String>>,
    /// What stands below, such as what marks mean; may be empty.
    pub note: String,
}

impl Table {
    /// The table as Markdown, with its caption above and its note below.
    pub fn to_markdown(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("{}\n\n", self.caption);
        text += &line(self.columns.iter().map(|c| cell(&c.name)).collect());
        let rule = |c: &Column| if c.numeric { "---:" } else { "---" }.to_owned();
        text += &line(self.columns.iter().map(rule).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|c| cell(c)).collect());
        }
        if !self.note.is_empty() {
            text += &format!("\n{}\n", self.note);
        }
        text
    }
}

/// The picture of a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// SVG text.
    Svg(String),
    /// PNG bytes.
    Png(Vec<u8>),
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Caption.
    pub caption: String,
    /// What the picture shows, for readers who cannot see it.
    pub alt: String,
    /// The picture.
    pub picture: Picture,
}

const STYLE: &str = "\
:root{color-scheme:light}body{background:#fff;color:#15191d}h2{border-bottom:1px solid #0003}\
nav ol{columns:2 18rem;padding-left:1.4rem}figure{margin:1.2rem 0;break-inside:avoid}figure img{display:block;margin:0 auto;background:#fff}\
figcaption,caption{text-align:left;font-size:.95rem;margin:.4rem 0}caption{caption-side:top;padding:.3rem 0;max-width:1100px}\
table{font-size:.95rem}thead th{border-bottom:2px solid #15191d;vertical-align:bottom;text-align:left}tbody th{font-weight:600;text-align:left}\
td{text-align:left}th.number,td.number{text-align:right;font-variant-numeric:tabular-nums}td.number{white-space:nowrap}.note{font-size:.88rem;color:#4a535c}\
a{color:#005a8e}\
@media print{@page{margin:18mm}body{max-width:none;padding:0;font-size:10pt}nav{display:none}.wide{overflow:visible}\
h2,h3,caption{break-after:avoid}tr{break-inside:avoid}thead{display:table-header-group}a{color:inherit;text-decoration:none}}";

/// A page in one file, with a print stylesheet, a table of contents (for more than two sections)
/// and the notice that it is for research use only. If `synthetic` is set, it also says that the
/// results say nothing about patients.
pub fn report_page(page: &ReportPage) -> String {
    let mut numbers = Numbers::default();
    let body = html! {
        header {
            h1 { (page.title) }
            (warnings(page.synthetic))
            @if !page.lead.is_empty() { p { (page.lead) } }
        }
        @if page.sections.len() > 2 {
            nav aria-label="Contents" { ol {
                @for (i, section) in page.sections.iter().enumerate() {
                    li { a href=(format!("#section-{}", i + 1)) { (section.heading) } }
                }
            } }
        }
        main {
            @for (i, section) in page.sections.iter().enumerate() {
                section aria-labelledby=(format!("section-{}", i + 1)) {
                    h2 id=(format!("section-{}", i + 1)) { (section.heading) }
                    @for block in &section.blocks { (numbers.block(block)) }
                }
            }
        }
        @if !page.provenance.is_empty() {
            footer {
                h2 { "How it was made" }
                dl { @for (name, value) in &page.provenance { dt { (name) } dd { (value) } } }
            }
        }
    };
    shell(&page.title, STYLE, &body)
}

#[derive(Default)]
struct Numbers {
    tables: usize,
    figures: usize,
}

impl Numbers {
    fn block(&mut self, block: &Block) -> Markup {
        match block {
            Block::Text(text) => html! { p { (text) } },
            Block::List(items) => html! { ul { @for item in items { li { (item) } } } },
            Block::Link(address, text) => html! { p { a href=(safe(address)) { (text) } } },
            Block::Table(table) => {
                self.tables += 1;
                table_markup(table, self.tables)
            }
            Block::Figure(figure) => {
                self.figures += 1;
                let source = match &figure.picture {
                    Picture::Png(bytes) => data_uri(bytes),
                    // Embedded as a picture of its own, it cannot share identifiers with other
                    // figures.
                    Picture::Svg(svg) => format!(
                        "data:image/svg+xml;base64,{}",
                        base64::engine::general_purpose::STANDARD.encode(svg)
                    ),
                };
                html! {
                    figure {
                        img src=(source) alt=(figure.alt);
                        figcaption { b { "Figure " (self.figures) ". " } (figure.caption) }
                    }
                }
            }
        }
    }
}

fn table_markup(table: &Table, number: usize) -> Markup {
    let class = |k: usize| table.columns.get(k).filter(|c| c.numeric).map(|_| "number");
    html! {
        div.wide {
            table {
                caption { b { "Table " (number) ". " } (table.caption) }
                thead { tr {
                    @for (k, column) in table.columns.iter().enumerate() {
                        th scope="col" class=[class(k)] { (column.name) }
                    }
                } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for k in 0..table.columns.len().max(row.len()) {
                                @let cell = row.get(k).map_or("", String::as_str);
                                @if k == 0 { th scope="row" class=[class(k)] { (cell) } }
                                @else { td class=[class(k)] { (cell) } }
                            }
                        }
                    }
                }
            }
            @if !table.note.is_empty() { p.note { (table.note) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_no_scheme() {
        assert_eq!(safe("cases/a.csv"), "cases/a.csv");
        assert_eq!(safe("cases/a:b.csv"), "cases/a:b.csv");
        assert_eq!(safe("javascript:alert(1)"), "./javascript:alert(1)");
    }
}
