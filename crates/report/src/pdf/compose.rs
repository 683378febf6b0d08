//! What a finding's report says, and where.

use super::facts::PdfFacts;
use super::sheet::{Block, Column, Look, MARGIN, PAGE, Pen, WIDTH};
use crate::Theme;
use crate::font::{break_some, fit_end, legible};
use crate::page::{
    SEVERITY_SCALE, ZONE_COLUMNS, classes_heading, heading, kind_cells, percent, picture_alt,
    regions, zone_cells,
};
use crate::svg::colour;
use crate::theme::rgb;
use multirnet_finding::{Finding, LesionKind, NOTICE, ScoredOn};
use multirnet_volume::Diagnosis;

/// Dark orange of notices and warnings, as on the page.
const NOTICE_COLOUR: [u8; 3] = [0xb3, 0x5c, 0x00];
/// Distance between parts.
const GAP: f64 = 8.0;
/// Most lines of all warnings together.
const WARNING_LINES: usize = 6;
/// Where the column beside the table by zone begins, and its width.
const SIDE: f64 = MARGIN + 318.0;
const SIDE_WIDTH: f64 = MARGIN + WIDTH - SIDE;

fn look(size: f64) -> Look {
    Look {
        size,
        bold: false,
        colour: rgb(Theme::LIGHT.text),
    }
}

fn bold(size: f64) -> Look {
    Look {
        bold: true,
        ..look(size)
    }
}

fn faint(size: f64) -> Look {
    Look {
        colour: rgb(Theme::LIGHT.faint),
        ..look(size)
    }
}

/// The blocks of the report. `picture` is the picture's size in pixels.
pub(super) fn compose(
    name: &str,
    finding: &Finding,
    facts: &PdfFacts,
    picture: [f64; 2],
) -> Vec<Block> {
    let mut pen = Pen::new(MARGIN);
    let title = pen.lines(MARGIN, WIDTH, bold(15.0), 2, &heading(name));
    pen.blocks.push(Block::Title(title));
    pen.y += 0.5 * GAP;
    notices(&mut pen, finding);
    scan(&mut pen, finding, facts);
    key_figures(&mut pen, finding);
    measurements(&mut pen, finding);
    warnings(&mut pen, finding);
    // The picture takes the room between what is above and below it.
    let mut end = Pen::new(0.0);
    provenance(&mut end, finding, facts);
    let top = pen.y + GAP;
    let below = PAGE[1] - MARGIN - end.y;
    let room = [WIDTH, (below - GAP - top).max(0.0)];
    let scale = (room[0] / picture[0].max(1.0)).min(room[1] / picture[1].max(1.0));
    let [width, height] = picture.map(|pixels| scale * pixels);
    let area = [MARGIN + (WIDTH - width) / 2.0, top, width, height];
    let alt = picture_alt(name, finding);
    pen.blocks.push(Block::Picture(area, alt));
    pen.y = top + height + GAP;
    provenance(&mut pen, finding, facts);
    pen.blocks
}

/// The notices in a frame.
fn notices(pen: &mut Pen, finding: &Finding) {
    let top = pen.y;
    pen.y += 4.0;
    let (x, width) = (MARGIN + 7.0, WIDTH - 14.0);
    pen.text(x, width, bold(9.5), 2, NOTICE);
    if let Some(notice) = finding.validated_on.notice() {
        pen.text(x, width, bold(9.5), 2, notice);
    }
    pen.y += 5.0;
    let area = [MARGIN, top, WIDTH, pen.y - top];
    pen.blocks.push(Block::Frame(area, NOTICE_COLOUR));
    pen.y += GAP;
}

/// Name and value on one line.
fn row(pen: &mut Pen, size: f64, name: &str, value: &str) {
    let (top, indent) = (pen.y, 84.0);
    let mut lines = pen.lines(MARGIN, indent, faint(size), 1, name);
    pen.y = top;
    lines.extend(pen.lines(MARGIN + indent, WIDTH - indent, look(size), 2, value));
    pen.blocks.push(Block::Text(lines));
}

/// Where the scan came from, and its grid.
fn scan(pen: &mut Pen, finding: &Finding, facts: &PdfFacts) {
    let format = format!(" ({})", finding.source.format);
    let path = legible(&finding.source.path);
    // Spaces are kept together, so the path stays on one line and is cut at its start.
    let path = fit_end(&path, 8.0, false, WIDTH - 160.0).replace(' ', "\u{a0}");
    row(pen, 8.0, "Scan", &(path + &format));
    if let Some(description) = &facts.series_description {
        row(pen, 8.0, "Series", description);
    }
    if let Some(earlier) = &facts.replaces {
        row(pen, 8.0, "Replaces", earlier);
    }
    let [nz, ny, nx] = finding.geometry.shape();
    let [z, y, x] = finding.geometry.spacing_mm();
    let grid = format!("{nz} × {ny} × {nx} voxels of {z:.2} × {y:.2} × {x:.2} mm (z, y, x)");
    row(pen, 8.0, "Grid", &grid);
    pen.y += GAP;
}

/// The main numbers in a row. A class is among them only if classes were validated on patients.
fn key_figures(pen: &mut Pen, finding: &Finding) {
    let involvement = &finding.involvement;
    let mut figures = vec![
        ("Lesion", format!("{:.1} ml", involvement.both.lesion_ml)),
        ("Share of the lungs", percent(involvement.both.fraction)),
        (
            "Severity score",
            format!("{} of 24", involvement.severity_score),
        ),
        ("Lungs", format!("{:.0} ml", involvement.both.lung_ml)),
    ];
    if finding.validated_on.classes_on_patients() {
        figures.push(("Most probable class", finding.diagnosis.label().to_owned()));
    }
    let (top, step) = (pen.y, WIDTH / figures.len() as f64);
    let ground = pen.blocks.len();
    for (i, (name, value)) in figures.iter().enumerate() {
        let (x, width) = (MARGIN + step * i as f64 + 8.0, step - 12.0);
        pen.y = top + 4.0;
        let mut lines = pen.lines(x, width, faint(7.5), 1, name);
        lines.extend(pen.lines(x, width, bold(13.0), 1, value));
        pen.blocks.push(Block::Text(lines));
    }
    pen.y = top + 36.0;
    let area = [MARGIN, top, WIDTH, pen.y - top];
    let fill = Block::Fill(area, rgb(Theme::LIGHT.panel));
    pen.blocks.insert(ground, fill);
    pen.y += GAP;
}

/// The table by lung and zone; beside it classes and kinds of lesion.
fn measurements(pen: &mut Pen, finding: &Finding) {
    let top = pen.y;
    let width = SIDE - GAP - MARGIN - 10.0;
    pen.heading(MARGIN, width, bold(9.5), 1, "Involvement");
    let columns = table_columns(MARGIN, width, 90.0);
    let names = ZONE_COLUMNS.map(str::to_owned).to_vec();
    let zones = regions(&finding.involvement).map(|zone| zone_cells(zone).to_vec());
    let rows: Vec<_> = std::iter::once(names).chain(zones).collect();
    pen.table(&columns, look(8.0), &rows);
    pen.y += 2.0;
    let scale = format!("Score: {SEVERITY_SCALE}.");
    pen.text(MARGIN, width, faint(7.0), 2, &scale);
    let left = std::mem::replace(&mut pen.y, top);
    classes(pen, finding);
    kinds(pen, finding);
    pen.y = pen.y.max(left);
}

/// Columns over `width`, of which the first one, `first` wide, holds names.
fn table_columns(x: f64, width: f64, first: f64) -> [Column; 5] {
    let step = (width - first) / 4.0;
    std::array::from_fn(|i| match i {
        0 => Column {
            x,
            width: first - 3.0,
            is_numeric: false,
        },
        _ => Column {
            x: x + first + step * i as f64,
            width: step - 3.0,
            is_numeric: true,
        },
    })
}

fn classes(pen: &mut Pen, finding: &Finding) {
    pen.heading(SIDE, SIDE_WIDTH, bold(9.5), 2, classes_heading(finding));
    let columns = [(SIDE, 70.0, false), (SIDE + SIDE_WIDTH, 60.0, true)];
    let columns = columns.map(|(x, width, is_numeric)| Column {
        x,
        width,
        is_numeric,
    });
    let mut rows = vec![vec!["Class".to_owned(), "Probability".to_owned()]];
    for class in Diagnosis::ALL {
        let p = finding.probabilities.of_class(class);
        rows.push(vec![class.label().to_owned(), percent(p)]);
    }
    let line_height = look(8.0).line_height();
    let first_bar = pen.y + line_height + 2.0;
    for (i, class) in Diagnosis::ALL.into_iter().enumerate() {
        let p = finding.probabilities.of_class(class);
        let p = if p.is_nan() { 0.0 } else { p.clamp(0.0, 1.0) };
        let (x, y) = (SIDE + 74.0, first_bar + line_height * i as f64);
        let bar = |share: f64| [x, y, share * (SIDE_WIDTH - 138.0), 6.5];
        pen.blocks
            .push(Block::Fill(bar(1.0), rgb(Theme::LIGHT.line)));
        pen.blocks.push(Block::Fill(bar(p), rgb(colour::BAR)));
    }
    pen.table(&columns, look(8.0), &rows);
    pen.y += 2.0;
    let scored = |on: &[ScoredOn]| match on {
        [] => "none".to_owned(),
        on => on.iter().map(|o| o.label()).collect::<Vec<_>>().join(", "),
    };
    let validated = &finding.validated_on;
    let state = format!(
        "Validated on held-out scans. Lesions: {}. Classes: {}.",
        scored(&validated.lesions),
        scored(&validated.classes)
    );
    pen.text(SIDE, SIDE_WIDTH, faint(7.0), 3, &state);
}

fn kinds(pen: &mut Pen, finding: &Finding) {
    if finding.lesion_kinds.is_empty() {
        return;
    }
    pen.y += 0.5 * GAP;
    let title = "Kinds of lesion (shares of lungs)";
    pen.heading(SIDE, SIDE_WIDTH, bold(9.5), 1, title);
    let columns = table_columns(SIDE, SIDE_WIDTH, 62.0);
    let names = ["Kind", "ml", "Both", "Right", "Left"].map(str::to_owned);
    let shown = finding.lesion_kinds.iter().take(LesionKind::ALL.len());
    let cells = shown.map(|kind| kind_cells(kind).to_vec());
    let rows: Vec<_> = std::iter::once(names.to_vec()).chain(cells).collect();
    pen.table(&columns, look(7.0), &rows);
}

/// As many warnings as have room, two lines each at most, and the number of those left out.
fn warnings(pen: &mut Pen, finding: &Finding) {
    if finding.warnings.is_empty() {
        return;
    }
    let style = Look {
        colour: NOTICE_COLOUR,
        ..look(8.0)
    };
    pen.y += GAP;
    pen.heading(MARGIN, WIDTH, bold(9.5), 1, "Warnings");
    let broken = |w: &String| break_some(&legible(w), style.size, false, WIDTH, 2).len();
    let all: Vec<usize> = finding
        .warnings
        .iter()
        .take(WARNING_LINES)
        .map(broken)
        .collect();
    let fits = |lines: usize| {
        let mut used = 0;
        all.iter()
            .take_while(|n| {
                used += **n;
                used <= lines
            })
            .count()
    };
    let mut shown = fits(WARNING_LINES);
    if shown < finding.warnings.len() {
        // One line says how many are missing.
        shown = fits(WARNING_LINES - 1);
    }
    for warning in &finding.warnings[..shown] {
        pen.text(MARGIN, WIDTH, style, 2, warning);
    }
    if let more @ 1.. = finding.warnings.len() - shown {
        let s = if more == 1 { "" } else { "s" };
        let text = format!("and {more} more warning{s} in the finding");
        let style = Look {
            bold: true,
            ..style
        };
        pen.text(MARGIN, WIDTH, style, 1, &text);
    }
}

/// Program, model, options and scan by their digests.
fn provenance(pen: &mut Pen, finding: &Finding, facts: &PdfFacts) {
    let p = &finding.provenance;
    let (date, version, windows) = (facts.date, &p.version, p.windows);
    pen.heading(MARGIN, WIDTH, bold(9.5), 1, "How it was made");
    row(pen, 7.0, "Date of report", &date.to_string());
    let program = format!("multirnet {version}, {windows} network windows");
    row(pen, 7.0, "Program", &program);
    row(pen, 7.0, "Model", &format!("{}: {}", p.model, p.trained_on));
    row(pen, 7.0, "Model SHA-256", &p.model_sha256);
    row(pen, 7.0, "Options SHA-256", &p.config_sha256);
    row(pen, 7.0, "Scan SHA-256", &finding.source.content_sha256);
    if let Some(uid) = &finding.source.series_uid {
        row(pen, 7.0, "Series UID", uid);
    }
}
