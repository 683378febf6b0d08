//! Structure of the figures of a comparison, their pictures, and their response to bad input.

mod common;

use common::{check, count};
use multirnet_report::*;

const THEMES: [Theme; 2] = [Theme::LIGHT, Theme::DARK];

fn group(name: &str, values: &[f64]) -> BoxGroup {
    BoxGroup {
        name: name.into(),
        values: values.to_vec(),
    }
}

#[test]
fn a_box_plot_shows_every_value_and_counts_the_rest() {
    let plot = BoxPlot {
        title: "A <title>".into(),
        axis: "Dice, %".into(),
        groups: vec![
            group("one", &[1.0, 2.0, 3.0, f64::NAN, f64::INFINITY]),
            group("two", &[2.0, 5.0]),
            group("none", &[]),
            group("undefined", &[f64::NAN, f64::NAN]),
        ],
        marks: vec![
            Significance {
                first: 0,
                second: 1,
                stars: "**".into(),
            },
            Significance {
                first: 0,
                second: 99,
                stars: "beyond".into(),
            },
        ],
        range: None,
        note: "a note".into(),
    };
    for theme in THEMES {
        let svg = box_plot_svg(&plot, &theme);
        check(&svg);
        assert_eq!(count(&svg, "class=\"mark\""), 5);
        assert_eq!(count(&svg, "class=\"box\""), 2);
        assert_eq!(count(&svg, "class=\"bracket\""), 1);
        assert!(svg.contains("A &lt;title&gt;") && svg.contains(">**<"));
        assert!(!svg.contains("beyond"));
        for text in [
            "1\u{a0}undefined",
            "1\u{a0}infinite",
            "2\u{a0}undefined",
            "n\u{a0}=\u{a0}0",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, box_plot_svg(&plot, &theme));
    }
    // With a range, values outside are counted and not drawn.
    let ranged = BoxPlot {
        range: Some([0.0, 2.5]),
        ..plot.clone()
    };
    let svg = box_plot_svg(&ranged, &Theme::LIGHT);
    check(&svg);
    assert_eq!(count(&svg, "class=\"mark\""), 3);
    assert_eq!(count(&svg, "1\u{a0}outside"), 2);
    // A reference that all marks name heads a column instead of brackets.
    let marks = (1..4).map(|second| Significance {
        first: 0,
        second,
        stars: "*".into(),
    });
    let column = BoxPlot {
        marks: marks.collect(),
        ..plot
    };
    let svg = box_plot_svg(&column, &Theme::LIGHT);
    assert_eq!(
        (
            count(&svg, "class=\"bracket\""),
            count(&svg, "class=\"stars\"")
        ),
        (0, 3)
    );
    assert!(svg.contains("versus"));
    for range in [
        None,
        Some([1.0, 0.0]),
        Some([f64::NAN, 1.0]),
        Some([3.0, 3.0]),
    ] {
        check(&box_plot_svg(
            &BoxPlot {
                range,
                ..BoxPlot::default()
            },
            &Theme::LIGHT,
        ));
        check(&box_plot_svg(
            &BoxPlot {
                range,
                ..ranged.clone()
            },
            &Theme::LIGHT,
        ));
    }
}

#[test]
fn a_bland_altman_plot_prints_bias_and_limits() {
    let plot = AgreementPlot {
        quantity: "lesion volume".into(),
        unit: "ml".into(),
        groups: vec![
            AgreementGroup {
                name: "CAP".into(),
                pairs: vec![[0.0, 1.0], [1.0, 4.0], [5.0, 7.0], [f64::NAN, 1.0]],
            },
            AgreementGroup::default(),
        ],
        ..AgreementPlot::default()
    };
    let svg = bland_altman_svg(&plot, &Theme::LIGHT);
    check(&svg);
    // Three pairs and two keys of the legend.
    assert_eq!(count(&svg, "class=\"mark\""), 3 + 2);
    assert_eq!(count(&svg, "class=\"limit\""), 3);
    for text in [
        "2.00 ml",
        "3.96 ml",
        "0.040 ml",
        "n = 3; 1 not finite, left out",
    ] {
        assert!(svg.contains(text), "{text} is missing");
    }
    check(&bland_altman_svg(&AgreementPlot::default(), &Theme::DARK));
}

#[test]
fn a_confusion_matrix_has_counts_shares_and_accuracy() {
    let matrix = Confusion {
        title: String::new(),
        classes: ["a", "b", "c"].map(String::from).to_vec(),
        counts: vec![vec![3, 1, 0], vec![0, 0, 0], vec![0, 2, 2]],
    };
    let svg = confusion_svg(&matrix, &Theme::LIGHT).unwrap();
    check(&svg);
    assert_eq!(count(&svg, "class=\"cell\""), 9);
    assert!(svg.contains("75.0 %") && svg.contains("Accuracy 62.5 % (5 of 8)"));
    // A row without cases has no shares.
    assert_eq!(count(&svg, ">–<"), 3);
    let ragged = Confusion {
        counts: vec![vec![1, 2]],
        ..matrix
    };
    for bad in [ragged, Confusion::default()] {
        let error = confusion_svg(&bad, &Theme::LIGHT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
    }
}

#[test]
fn curves_and_bars_have_their_marks() {
    let roc = RocFigure {
        curves: vec![
            RocCurve {
                name: "CAP".into(),
                points: vec![[0.0, 0.0], [0.0, 0.8], [1.0, 1.0], [f64::NAN, 2.0]],
                auc: 0.9,
                interval: Some([0.8, 0.95]),
                cases: [5, 7],
            },
            RocCurve {
                name: "empty".into(),
                auc: f64::NAN,
                ..RocCurve::default()
            },
        ],
        level_percent: Some(95.0),
        ..RocFigure::default()
    };
    let svg = roc_svg(&roc, &Theme::LIGHT);
    check(&svg);
    assert_eq!(count(&svg, "class=\"curve\""), 2);
    assert!(svg.contains("CAP: AUC 0.900 [0.800, 0.950], n = 5/7"));
    assert!(svg.contains("empty: AUC undefined"));
    check(&roc_svg(&RocFigure::default(), &Theme::DARK));

    let reliability = ReliabilityFigure {
        curves: vec![
            ReliabilityCurve {
                name: "patients".into(),
                points: vec![[0.02, 0.01], [0.55, 0.4], [0.95, f64::NAN]],
                error: 0.0341,
            },
            ReliabilityCurve {
                name: "none".into(),
                error: f64::NAN,
                ..ReliabilityCurve::default()
            },
        ],
        event: "Truly lesion".into(),
        ..ReliabilityFigure::default()
    };
    let svg = reliability_svg(&reliability, &Theme::LIGHT);
    check(&svg);
    assert_eq!(count(&svg, "class=\"curve\""), 2);
    assert!(svg.contains("patients: error 0.034") && svg.contains("none: error undefined"));
    assert!(svg.contains(">Truly lesion<") && svg.contains(">calibrated<"));

    let bar = |value: f64, interval| Bar {
        name: "variant".into(),
        value,
        interval,
        n: 4,
    };
    let chart = BarChart {
        axis: "Dice, %".into(),
        groups: vec![BarGroup {
            name: "Loss".into(),
            bars: vec![
                bar(80.0, Some([70.0, 90.0])),
                bar(-3.0, None),
                bar(f64::NAN, Some([f64::NAN, 1.0])),
                bar(5.0, Some([f64::NEG_INFINITY, 6.0])),
            ],
        }],
        ..BarChart::default()
    };
    let svg = bar_chart_svg(&chart, &Theme::LIGHT);
    check(&svg);
    assert_eq!(count(&svg, "class=\"bar\""), 3);
    assert_eq!(count(&svg, "class=\"interval\""), 1);
    assert!(svg.contains("80.0 [70.0, 90.0]") && svg.contains("undefined"));
    assert!(svg.contains("n = 4 for each bar"));
    check(&bar_chart_svg(&BarChart::default(), &Theme::DARK));

    let curves = CurveFigure {
        curves: (0..10)
            .map(|k| Curve {
                name: format!("system {k}"),
                points: (0..50).map(|e| [f64::from(e), f64::from(e * k)]).collect(),
            })
            .collect(),
        ..CurveFigure::default()
    };
    let svg = training_curves_svg(&curves, &Theme::LIGHT);
    check(&svg);
    assert_eq!(count(&svg, "class=\"curve\""), 10);
    assert_eq!(count(&svg, "class=\"key\""), 10);
}

#[test]
fn panels_join_figures() {
    let one = roc_svg(&RocFigure::default(), &Theme::LIGHT);
    let figures = [one.clone(), one.clone(), one];
    let svg = panels_svg(2, &figures, &Theme::LIGHT).unwrap();
    check(&svg);
    assert_eq!(count(&svg, "<svg"), 4);
    assert!(svg.contains(">c<"));
    assert!(panels_svg(0, &figures, &Theme::LIGHT).is_err());
    assert!(panels_svg(2, &[], &Theme::LIGHT).is_err());
    assert!(panels_svg(2, &["<p>".into()], &Theme::LIGHT).is_err());
}

fn slice<T: Copy>(value: impl Fn(usize, usize) -> T) -> Slice<T> {
    let data = (0..20 * 30).map(|i| value(i / 30, i % 30)).collect();
    Slice::new(20, 30, [2.0, 1.0], data).unwrap()
}

fn case(systems: usize) -> OverlayCase {
    OverlayCase {
        name: "case <1>".into(),
        scan: slice(|r, c| if (r + c) % 7 == 0 { f32::NAN } else { -600.0 }),
        truth: slice(|r, c| u8::from((5..9).contains(&r) && (8..20).contains(&c))),
        systems: (0..systems)
            .map(|k| OverlayMask {
                name: format!("system {k}"),
                mask: slice(|r, c| u8::from(k > 0 && r > 5 && c > 9)),
                dice_percent: [Some(81.25), None, Some(f64::NAN)][k % 3],
            })
            .collect(),
    }
}

#[test]
fn overlays_show_all_systems_on_one_slice() {
    let figure = OverlayFigure {
        cases: vec![case(3), case(3)],
        ..OverlayFigure::default()
    };
    let svg = overlay_svg(&figure, &Theme::LIGHT).unwrap();
    check(&svg);
    assert_eq!(count(&svg, "<image"), 8);
    // Each picture has the outline of the reference, and each system has its own.
    assert_eq!(count(&svg, "class=\"outline\""), 8 + 6);
    assert!(svg.contains("Dice 81.2 %") && svg.contains("Dice undefined"));
    assert!(svg.contains("case &lt;1&gt;"));
    // 30 × 1 mm by 20 × 2 mm: pixels are shown higher than wide.
    let size = |name: &str| -> f64 {
        let (_, image) = svg.split_once("<image").unwrap();
        let (_, rest) = image.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    assert!((size("height") / size("width") - 40.0 / 30.0).abs() < 1e-3);
    // Eleven systems continue in a second row of pictures.
    let many = OverlayFigure {
        cases: vec![case(11)],
        ..OverlayFigure::default()
    };
    let svg = overlay_svg(&many, &Theme::DARK).unwrap();
    check(&svg);
    assert_eq!(count(&svg, "<image"), 12);
    check(&overlay_svg(&OverlayFigure::default(), &Theme::LIGHT).unwrap());
    let mut wrong = case(1);
    wrong.systems[0].mask = Slice::new(1, 2, [1.0; 2], vec![0; 2]).unwrap();
    let figure = OverlayFigure {
        cases: vec![wrong],
        ..OverlayFigure::default()
    };
    let error = overlay_svg(&figure, &Theme::LIGHT).unwrap_err();
    assert!(
        error.to_string().contains("system 0 on case <1>"),
        "{error}"
    );
}

#[test]
fn activation_panels_separate_right_from_wrong_cases() {
    let heat = slice(|r, c| if r == c { f32::NAN } else { c as f32 / 10.0 });
    let base = case(0);
    let right = GradCamCase {
        name: "one".into(),
        truth: "CAP".into(),
        predicted: "CAP".into(),
        probability: 0.91,
        scan: base.scan,
        heat: heat.clone(),
        lesion: base.truth,
        share_in_lesion: Some(0.42),
        randomised: Some(RandomisedCheck {
            heat,
            correlation: f64::NAN,
            similarity: 0.304,
        }),
    };
    let wrong = GradCamCase {
        predicted: "normal".into(),
        share_in_lesion: None,
        randomised: None,
        ..right.clone()
    };
    let healthy = GradCamCase {
        lesion: slice(|_, _| 0u8),
        ..wrong.clone()
    };
    let figure = GradCam {
        cases: vec![right.clone(), wrong, healthy],
        ..GradCam::default()
    };
    let svg = gradcam_svg(&figure, &Theme::LIGHT).unwrap();
    check(&svg);
    assert_eq!(count(&svg, "<image"), 3 + 2 + 2);
    for text in [
        "Right (1 of 3)",
        "Wrong (2 of 3)",
        "42 % in lesion",
        "no lesion",
        "no activation",
        "r undefined, SSIM 0.30",
        "not computed",
    ] {
        assert!(svg.contains(text), "{text} is missing");
    }
    check(&gradcam_svg(&GradCam::default(), &Theme::DARK).unwrap());
    let bad = GradCamCase {
        heat: Slice::new(1, 1, [1.0; 2], vec![0.0]).unwrap(),
        ..right
    };
    let figure = GradCam {
        cases: vec![bad],
        ..GradCam::default()
    };
    assert!(gradcam_svg(&figure, &Theme::LIGHT).is_err());
}
