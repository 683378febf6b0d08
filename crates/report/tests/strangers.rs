//! Names and texts of strangers are text in pages, figures, pictures and PDF files.

#[allow(dead_code)]
mod common;
#[path = "common/scene.rs"]
mod scene;

use common::check;
use multirnet_report::*;
use multirnet_volume::{Diagnosis, Orientation};

/// Texts that act where somebody forgets to escape them.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'><svg onload=alert(1)>",
        "</style></title></text></svg><script>alert(1)</script>",
        "javascript:alert(1)",
        "]]>&amp;&#60;script&#62;&nosuch; & <!-- --> <?x?> <!DOCTYPE x [<!ENTITY a \"b\">]>",
        "\u{1b}[2J\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m",
        "txt.\u{202e}gnp.live \u{2066}\u{2067}\u{200f}",
        "one\ntwo\rthree\ttab\u{0}nul\u{1f}\u{7f}\u{85}\u{2028}",
        "\u{fffe}\u{ffff}\u{feff}\u{fdd0}\u{e0041}",
        "",
        " ",
        "肺炎 Пневмония التهاب \u{1f9ec}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(10_000));
    texts.push("<b>".repeat(5000));
    texts.push(texts.concat());
    texts
}

/// A tag with the names of its attributes and their values.
type Tag = (String, Vec<(String, String)>);

/// The tags of a page, read as a browser reads them: quoted values may hold anything.
fn tags(page: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = rest[at + 1..].trim_start_matches('/');
        let name: String = rest
            .chars()
            .take_while(|c| !c.is_whitespace() && !">/".contains(*c))
            .collect();
        let mut attributes = Vec::new();
        let mut tail = &rest[name.len()..];
        loop {
            tail = tail.trim_start_matches([' ', '\n', '/']);
            if tail.starts_with('>') || tail.is_empty() {
                break;
            }
            let key: String = tail.chars().take_while(|c| !" \n=>".contains(*c)).collect();
            tail = &tail[key.len()..];
            let mut value = "";
            if let Some(quoted) = tail.strip_prefix("=\"") {
                let end = quoted.find('"').expect("a value ends");
                (value, tail) = (&quoted[..end], &quoted[end + 1..]);
            } else {
                assert!(
                    !tail.starts_with('='),
                    "a value without quotes: {:.80}",
                    tail
                );
            }
            attributes.push((key, value.to_owned()));
        }
        rest = tail;
        found.push((name, attributes));
    }
    found
}

/// Fails if a text has become markup, or if a character acts on what surrounds it.
fn assert_inert(what: &str, page: &str) {
    const TAGS: &str = " !DOCTYPE html head meta title style body h1 h2 h3 p ul ol li div table caption thead \
        tbody tr th td a img code b dl dt dd nav figure figcaption section header footer main span small strong \
        svg g rect text line path circle image polygon polyline ellipse tspan defs clipPath ";
    for (name, attributes) in tags(page) {
        assert!(
            TAGS.contains(&format!(" {name} ")),
            "{what}: a tag {name:.60}"
        );
        for (key, value) in attributes {
            assert!(!key.starts_with("on"), "{what}: {name} has {key}");
            if matches!(key.as_str(), "href" | "src") {
                let scheme = value.split(['/', '?', '#']).next().unwrap_or_default();
                let is_data = value.starts_with("data:image/png;base64,")
                    || value.starts_with("data:image/svg+xml;base64,");
                assert!(
                    is_data || !scheme.contains(':'),
                    "{what}: {key} is {value:.60}"
                );
            }
        }
    }
    let active = |c: &char| multirnet_base::text::is_active(*c) && *c != '\n' && *c != '\t';
    if let Some(c) = page.chars().find(active) {
        panic!("{what} has the character {:x}", c as u32);
    }
}

#[test]
fn figures_show_hostile_text_as_text() {
    for text in hostile() {
        // Shaping ten thousand letters takes seconds, and a few hundred say as much.
        let text: String = text.chars().take(600).collect();
        let name = || text.clone();
        let mut figures = vec![
            (
                "box plot",
                box_plot_svg(
                    &BoxPlot {
                        title: name(),
                        axis: name(),
                        groups: vec![
                            BoxGroup {
                                name: name(),
                                values: vec![1.0, 2.0, 3.0],
                            },
                            BoxGroup {
                                name: name(),
                                values: vec![2.0, f64::NAN],
                            },
                        ],
                        marks: vec![Significance {
                            first: 0,
                            second: 1,
                            stars: name(),
                        }],
                        range: None,
                        note: name(),
                    },
                    &Theme::LIGHT,
                ),
            ),
            (
                "bars",
                bar_chart_svg(
                    &BarChart {
                        title: name(),
                        axis: name(),
                        groups: vec![BarGroup {
                            name: name(),
                            bars: vec![Bar {
                                name: name(),
                                value: 0.5,
                                interval: None,
                                n: 3,
                            }],
                        }],
                        note: name(),
                    },
                    &Theme::DARK,
                ),
            ),
            (
                "roc",
                roc_svg(
                    &RocFigure {
                        title: name(),
                        curves: vec![RocCurve {
                            name: name(),
                            points: vec![[0.0, 0.0], [0.5, 0.7], [1.0, 1.0]],
                            auc: 0.7,
                            interval: None,
                            cases: [3, 4],
                        }],
                        level_percent: None,
                    },
                    &Theme::LIGHT,
                ),
            ),
            (
                "reliability",
                reliability_svg(
                    &ReliabilityFigure {
                        title: name(),
                        event: name(),
                        curves: vec![ReliabilityCurve {
                            name: name(),
                            points: vec![[0.1, 0.2]],
                            error: 0.1,
                        }],
                        note: name(),
                    },
                    &Theme::LIGHT,
                ),
            ),
            (
                "agreement",
                bland_altman_svg(
                    &AgreementPlot {
                        title: name(),
                        quantity: name(),
                        unit: name(),
                        groups: vec![AgreementGroup {
                            name: name(),
                            pairs: vec![[1.0, 2.0], [2.0, 2.5]],
                        }],
                    },
                    &Theme::LIGHT,
                ),
            ),
            (
                "curves",
                curves_svg(
                    &text,
                    &text,
                    &text,
                    &[Curve {
                        name: name(),
                        points: vec![[0.0, 1.0], [1.0, 0.5]],
                    }],
                ),
            ),
        ];
        let matrix = Confusion {
            title: name(),
            classes: vec![name(), name()],
            counts: vec![vec![1, 2], vec![3, 4]],
        };
        if let Ok(svg) = confusion_svg(&matrix, &Theme::LIGHT) {
            figures.push(("confusion", svg));
        }
        for (what, svg) in figures {
            assert_inert(what, &svg);
            // The reader of SVG takes well-formed XML only.
            let width = svg
                .split(" width=\"")
                .nth(1)
                .and_then(|w| w.split('"').next()?.parse::<f64>().ok());
            if width.is_some_and(|w| w < 5000.0) {
                check(&svg);
            } else {
                figure_png(&svg, 100.0 / width.unwrap()).unwrap_or_else(|e| panic!("{what}: {e}"));
            }
        }
    }
}

#[test]
fn pages_pictures_and_pdf_files_show_hostile_text_as_text() {
    let (scan, made) = scene::scene(Orientation::CANONICAL);
    for text in hostile() {
        let mut prediction = made.clone();
        let finding = &mut prediction.finding;
        finding.source.path = format!("/{text}/scan.nii");
        finding.source.format = text.clone();
        finding.source.content_sha256 = text.clone();
        finding.source.series_uid = Some(text.clone());
        finding.warnings = vec![text.clone(), text.clone()];
        finding.timings[0].stage = text.clone();
        finding.notice = text.clone();
        finding.provenance.model = text.clone();
        finding.provenance.trained_on = text.clone();
        finding.provenance.model_sha256 = text.clone();
        finding.provenance.version = text.clone();
        let finding = &prediction.finding;
        let overview = Overview {
            scan: &scan,
            finding,
            maps: &prediction.maps,
        };
        assert_inert("overview", &overview_svg(&overview).unwrap());
        let png = overview_png(&overview).unwrap();
        assert_inert("finding", &finding_page(&text, finding, &png));
        let facts = PdfFacts {
            date: "2026-11-28".parse().unwrap(),
            series_description: Some(text.clone()),
            replaces: Some(text.clone()),
        };
        let pdf = finding_pdf(&text, finding, &png, &facts).unwrap();
        lopdf::Document::load_mem(&pdf).unwrap();
        refusal_picture(&text, &text, Some(&text)).unwrap();
        let entries = [
            Entry {
                name: text.clone(),
                href: text.clone(),
                result: Ok(Box::new(finding.clone())),
                truth: Some((Diagnosis::Cap, 1.0)),
            },
            Entry {
                name: text.clone(),
                href: text.clone(),
                result: Err(text.clone()),
                truth: None,
            },
        ];
        assert_inert("index", &index_page(&text, &text, &entries));
        let page = ReportPage {
            title: text.clone(),
            lead: text.clone(),
            synthetic: true,
            sections: vec![Section {
                heading: text.clone(),
                blocks: vec![
                    Block::Text(text.clone()),
                    Block::List(vec![text.clone()]),
                    Block::Table(Table {
                        caption: text.clone(),
                        columns: vec![Column::new(&text, false), Column::new(&text, true)],
                        rows: vec![vec![text.clone(), text.clone()]],
                        note: text.clone(),
                    }),
                    Block::Figure(Figure {
                        caption: text.clone(),
                        alt: text.clone(),
                        picture: Picture::Svg(curves_svg(&text, "x", "y", &[])),
                    }),
                    Block::Link(text.clone(), text.clone()),
                ],
            }],
            provenance: vec![(text.clone(), text.clone())],
        };
        assert_inert("report", &report_page(&page));
    }
}
