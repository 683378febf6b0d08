//! Helpers of the tests of figures.

use multirnet_report::figure_png;

/// Number of times that a text occurs.
pub fn count(svg: &str, part: &str) -> usize {
    svg.matches(part).count()
}

/// Checks that a figure can be drawn, has the size that it states, and has no NaN coordinate.
pub fn check(svg: &str) {
    // Encoded pictures can contain any letters.
    let drawn = svg.split("base64,").enumerate();
    let markup: String = drawn
        .map(|(i, part)| match i {
            0 => part,
            _ => part.split_once('"').map_or("", |(_, rest)| rest),
        })
        .collect();
    assert!(
        !markup.contains("NaN") && !markup.contains("inf\""),
        "{markup}"
    );
    let number = |name: &str| -> f64 {
        let (_, rest) = svg.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let png = figure_png(svg, 1.5).unwrap();
    let reader = png::Decoder::new(std::io::Cursor::new(&png))
        .read_info()
        .unwrap();
    let size = (reader.info().width, reader.info().height);
    let expected = |name| (1.5 * number(name)).round() as u32;
    assert_eq!(size, (expected("width"), expected("height")));
    assert_eq!(png, figure_png(svg, 1.5).unwrap());
}
