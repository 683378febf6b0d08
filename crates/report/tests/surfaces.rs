//! Surfaces, the interactive page and report pages.

mod common;

use common::{check, count};
use multirnet_report::*;
use multirnet_volume::{Geometry, Volume};

fn masks() -> [Volume<u8>; 3] {
    let grid = Geometry::axial([16, 24, 24], [2.0, 1.5, 1.5]).unwrap();
    let ball = |centre: [f64; 3], r: f64| {
        Volume::from_fn(grid, move |p| {
            let d: f64 = (0..3).map(|a| (p[a] as f64 - centre[a]).powi(2)).sum();
            u8::from(d <= r * r)
        })
    };
    [
        ball([8.0, 12.0, 12.0], 7.5),
        ball([8.0, 12.0, 9.0], 4.0),
        ball([8.0, 12.0, 12.0], 4.0),
    ]
}

#[test]
fn surfaces_are_drawn_and_their_differences_add_up() {
    let [lungs, truth, prediction] = masks();
    let detail = Detail::default();
    let panels = surface_panels(Some(&lungs), &truth, &prediction, &detail).unwrap();
    assert_eq!(panels.len(), 3);
    let finishes: Vec<Finish> = panels[2].surfaces.iter().map(|s| s.finish).collect();
    assert_eq!(
        finishes,
        [
            Finish::Glass,
            Finish::Solid,
            Finish::Striped,
            Finish::Dotted
        ]
    );
    let ml = |s: &Surface| s.mesh.volume_ml();
    let both = ml(&panels[2].surfaces[1]);
    let whole = ml(&panels[0].surfaces[1]);
    let missed = ml(&panels[2].surfaces[2]);
    assert!(
        (both + missed - whole).abs() < 0.1 * whole,
        "{both} + {missed}, {whole}"
    );
    let figure = SurfaceFigure {
        panels: panels.clone(),
        views: vec![View3::Anterior, View3::Inferior, View3::Oblique],
        ..SurfaceFigure::default()
    };
    for theme in [Theme::LIGHT, Theme::DARK] {
        let svg = surfaces_svg(&figure, &theme).unwrap();
        check(&svg);
        assert_eq!(count(&svg, "<image"), 9);
        // Lungs, reference, prediction, both, missed, invented.
        assert_eq!(count(&svg, "class=\"key\""), 6);
        assert_eq!(svg, surfaces_svg(&figure, &theme).unwrap());
    }
    let other = Volume::filled(0u8, Geometry::axial([2; 3], [1.0; 3]).unwrap());
    assert!(surface_panels(None, &truth, &other, &detail).is_err());
    // The figure says that there is nothing to draw.
    let empty = surface_panels(None, &other, &other, &detail).unwrap();
    let figure = SurfaceFigure {
        panels: empty,
        ..figure
    };
    let svg = surfaces_svg(&figure, &Theme::LIGHT).unwrap();
    check(&svg);
    assert!(svg.contains("no surface to draw"));
    check(&surfaces_svg(&SurfaceFigure::default(), &Theme::LIGHT).unwrap());
}

#[test]
fn a_report_is_one_accessible_page() {
    let column = |name: &str, numeric| Column {
        name: name.into(),
        numeric,
    };
    let table = Table {
        caption: "Scores <&>".into(),
        columns: vec![column("System", false), column("Dice, %", true)],
        rows: vec![
            vec!["A".into(), "84.25".into()],
            vec!["B".into()],
            vec!["C".into(), "1".into(), "beyond".into()],
            vec![],
        ],
        note: "a note".into(),
    };
    let figure = |picture| {
        Block::Figure(Figure {
            caption: "A curve".into(),
            alt: "A curve that rises".into(),
            picture,
        })
    };
    let section = Section {
        heading: "Results".into(),
        blocks: vec![
            Block::Text("text".into()),
            Block::List(vec!["item".into()]),
            Block::Table(table),
            figure(Picture::Svg(roc_svg(&RocFigure::default(), &Theme::LIGHT))),
            figure(Picture::Png(vec![1, 2, 3])),
            Block::Link("javascript:alert(1)".into(), "a link".into()),
        ],
    };
    let mut page = ReportPage {
        title: "Report".into(),
        synthetic: true,
        sections: vec![section.clone(), section.clone(), section],
        provenance: vec![("Version".into(), "0".into())],
        ..ReportPage::default()
    };
    let html = report_page(&page);
    for text in [
        "For research use only. Not a medical device.",
        "say nothing about patients",
        "@media print",
        "Scores &lt;&amp;&gt;",
        "Figure 6. ",
        "Table 3. ",
        "alt=\"A curve that rises\"",
        "href=\"#section-2\"",
        "lang=\"en\"",
    ] {
        assert!(html.contains(text), "{text} is missing");
    }
    assert_eq!(count(&html, "scope=\"col\""), 6);
    assert_eq!(count(&html, "scope=\"row\""), 12);
    // The header, and one cell per row, filled or not.
    assert_eq!(count(&html, "class=\"number\""), 15);
    assert!(!html.contains("href=\"javascript"));
    assert!(!html.contains("http://") && !html.contains("https://"));
    page.synthetic = false;
    assert!(!report_page(&page).contains("patients"));
    assert!(report_page(&ReportPage::default()).contains("For research use only"));
}
