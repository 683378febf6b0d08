//! The overview and the pages of a made-up finding.

#[path = "common/scene.rs"]
mod scene;

use multirnet_finding::{Prediction, kind_involvement};
use multirnet_report::{
    Entry, Overview, PdfFacts, finding_page, finding_pdf, index_page, overview_png, overview_svg,
    planes_png,
};
use multirnet_volume::{Axis, Diagnosis, Geometry, Orientation, Volume};
use scene::scene;

fn size_of_png(png: &[u8]) -> (u32, u32) {
    let reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .unwrap();
    (reader.info().width, reader.info().height)
}

#[test]
fn the_overview_says_what_was_found() {
    let (scan, prediction) = scene(Orientation::CANONICAL);
    let overview = Overview {
        scan: &scan,
        finding: &prediction.finding,
        maps: &prediction.maps,
    };
    let svg = overview_svg(&overview).unwrap();
    for text in [
        "CAP",
        "90.0 %",
        "For research use only",
        "nothing at all",
        "slices are 5 mm apart",
        "50 mm",
        "of 24",
    ] {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(
        !svg.contains("<b>scan"),
        "a file name reached the markup unescaped"
    );
    assert_eq!(size_of_png(&overview_png(&overview).unwrap()), (1600, 1180));
}

#[test]
fn the_planes_alone_have_no_numbers_and_go_into_a_pdf() {
    let (scan, prediction) = scene(Orientation::CANONICAL);
    let overview = Overview {
        scan: &scan,
        finding: &prediction.finding,
        maps: &prediction.maps,
    };
    let planes = planes_png(&overview).unwrap();
    assert_eq!(size_of_png(&planes), (1196, 1104));
    let facts = PdfFacts {
        date: "20261128".parse().unwrap(),
        series_description: None,
        replaces: None,
    };
    let pdf = finding_pdf("scan", &prediction.finding, &planes, &facts).unwrap();
    assert!(pdf.starts_with(b"%PDF"));
}

#[test]
fn kinds_of_lesion_are_told_apart_where_they_are_known() {
    let (scan, mut prediction) = scene(Orientation::CANONICAL);
    let draw = |prediction: &Prediction| {
        let overview = Overview {
            scan: &scan,
            finding: &prediction.finding,
            maps: &prediction.maps,
        };
        (
            overview_svg(&overview).unwrap(),
            finding_page("x", &prediction.finding, b"not a picture"),
        )
    };
    let (plain, page) = draw(&prediction);
    for text in ["ground glass", "consolidation"] {
        assert!(
            !plain.contains(text) && !page.contains(text),
            "{text} is unknown"
        );
    }
    assert!(plain.contains("lesion (thick)"));
    // The front half of the ball is ground glass, the back half consolidation.
    let maps = &mut prediction.maps;
    let shape = maps.lesions.shape();
    for (i, v) in maps.lesions.data_mut().iter_mut().enumerate() {
        *v *= 1 + u8::from(i / shape[2] % shape[1] > 36);
    }
    prediction.finding.lesion_kinds = kind_involvement(&maps.lungs, &maps.lesions).unwrap();
    let (both, page) = draw(&prediction);
    for text in ["ground glass", "consolidation"] {
        assert!(
            both.contains(text) && page.contains(text),
            "{text} is missing"
        );
    }
    assert!(!both.contains("lesion (thick)"));
    // Four panels and the legend show each kind in its own colour, and one kind with dashes.
    let count = |part: &str| both.matches(part).count();
    assert_eq!(count("stroke=\"#f0e442\""), 5);
    assert_eq!(count("stroke=\"#e8601c\""), 5);
    assert_eq!(count("stroke-dasharray=\"6 3\""), 5);
}

#[test]
fn the_axis_order_of_the_scan_does_not_change_the_pictures() {
    let plain = scene(Orientation::CANONICAL);
    let turned = scene(Orientation::new([Axis::Right, Axis::Inferior, Axis::Anterior]).unwrap());
    let png = |(scan, prediction): &(Volume<f32>, Prediction)| {
        overview_png(&Overview {
            scan,
            finding: &prediction.finding,
            maps: &prediction.maps,
        })
        .unwrap()
    };
    let decode = |bytes: Vec<u8>| {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0u8; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        pixels
    };
    let (a, b) = (decode(png(&plain)), decode(png(&turned)));
    let differing = a
        .iter()
        .zip(&b)
        .filter(|(p, q)| p.abs_diff(**q) > 8)
        .count();
    assert!(
        differing < a.len() / 500,
        "{differing} of {} samples differ",
        a.len()
    );
}

#[test]
fn a_scan_without_lesion_or_heat_is_drawn() {
    let (scan, mut prediction) = scene(Orientation::CANONICAL);
    prediction.maps.lesions.data_mut().fill(0);
    prediction.maps.heatmap = None;
    let svg = overview_svg(&Overview {
        scan: &scan,
        finding: &prediction.finding,
        maps: &prediction.maps,
    })
    .unwrap();
    assert!(svg.contains("no class activation"));
    prediction.maps.lungs.data_mut().fill(0);
    assert!(
        overview_svg(&Overview {
            scan: &scan,
            finding: &prediction.finding,
            maps: &prediction.maps,
        })
        .is_ok()
    );
}

#[test]
fn maps_of_another_grid_are_refused() {
    let (scan, mut prediction) = scene(Orientation::CANONICAL);
    let smaller = Geometry::axial([10, 10, 10], [5.0; 3]).unwrap();
    prediction.maps.lesions = Volume::filled(0, smaller);
    let error = overview_png(&Overview {
        scan: &scan,
        finding: &prediction.finding,
        maps: &prediction.maps,
    })
    .unwrap_err();
    assert_eq!(error.kind(), multirnet_report::ErrorKind::Mismatch);
}

#[test]
fn pages_hold_the_numbers_and_escape_names() {
    let (_, prediction) = scene(Orientation::CANONICAL);
    let page = finding_page("<i>x</i>", &prediction.finding, b"not a picture");
    assert!(
        page.contains("&lt;i&gt;x&lt;/i&gt;")
            && page.contains("For research use only")
            && page.contains("right upper")
    );
    let entries = [
        Entry {
            name: "good".into(),
            href: "good/report.html".into(),
            result: Ok(Box::new(prediction.finding)),
            truth: Some((Diagnosis::Cap, 12.0)),
        },
        Entry {
            name: "bad".into(),
            href: String::new(),
            result: Err("no lungs".into()),
            truth: None,
        },
    ];
    let index = index_page("Title", "Intro", &entries);
    assert!(
        index.contains("good/report.html")
            && index.contains("failed: no lungs")
            && index.contains("True class")
    );
}
