//! Draws every kind of figure with invented numbers, for inspection.
//!
//! `cargo run --workspace --release --example figures -- OUT [dark]` writes SVG, PNG and HTML files
//! to the folder OUT. Scans are synthetic phantoms; all scores, curves and "predictions" are made up
//! and mean nothing.

use multirnet_phantom::{Phantom, PhantomConfig};
use multirnet_report::*;
use multirnet_volume::{Diagnosis, Volume};
use std::path::Path;

type Failure = Box<dyn std::error::Error>;
type Outcome<T> = std::result::Result<T, Failure>;

const SYSTEMS: [&str; 9] = [
    "MultiR-Net",
    "MultiR-Net, no classification",
    "3D U-Net",
    "3D U-Net++",
    "Zhou multi-task",
    "Inf-Net (2D)",
    "MedT (2D)",
    "TransU-Net (2D)",
    "JCS (2D)",
];
const INVENTED: &str = "invented numbers";

/// Numbers in `[0, 1)` from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, rest @ ..] = &arguments[..] else {
        return Err("usage: figures OUT [dark]".into());
    };
    let out = Path::new(out);
    std::fs::create_dir_all(out)?;
    let theme = if rest.iter().any(|a| a == "dark") {
        Theme::DARK
    } else {
        Theme::LIGHT
    };
    let mut page = Section {
        heading: "Figures".into(),
        blocks: vec![],
    };
    let charts = charts(&theme)?;
    let pictures = pictures(&theme)?;
    for (name, svg) in charts.iter().chain(&pictures) {
        write(&out.join(format!("{name}.svg")), svg.as_bytes())?;
        write(&out.join(format!("{name}.png")), &figure_png(svg, 2.0)?)?;
        page.blocks.push(Block::Figure(Figure {
            caption: format!("{name} ({INVENTED})."),
            alt: format!("A figure of the kind {name} with {INVENTED}"),
            picture: Picture::Svg(svg.clone()),
        }));
    }
    write(&out.join("report.html"), report(page).as_bytes())?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Outcome<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(part, path)?;
    println!("{}", path.display());
    Ok(())
}

type Named = Vec<(&'static str, String)>;

fn charts(theme: &Theme) -> Outcome<Named> {
    let mut dice = Dice(7);
    let mut figures: Named = vec![];
    let curves = SYSTEMS.iter().enumerate().map(|(k, name)| Curve {
        name: (*name).into(),
        points: (1..=60)
            .map(|e| {
                let level = 0.86 - 0.035 * k as f64;
                let y = level * (1.0 - (-f64::from(e) / (6.0 + 2.0 * k as f64)).exp());
                [f64::from(e), y + 0.008 * dice.normal()]
            })
            .collect(),
    });
    let curves = CurveFigure {
        title: format!("Validation Dice ({INVENTED})"),
        x_label: "Epoch".into(),
        y_label: "Dice".into(),
        curves: curves.collect(),
    };
    figures.push(("curves", training_curves_svg(&curves, theme)));

    let group = |dice: &mut Dice, k: usize, n: usize| BoxGroup {
        name: SYSTEMS[k].into(),
        values: (0..n)
            .map(|i| match (k, i) {
                (3, 0) | (6, 0..3) => f64::NAN,
                (6, 3) => f64::INFINITY,
                _ => 86.0 - 3.0 * k as f64 - 6.0 * dice.normal().abs().powf(1.5),
            })
            .collect(),
    };
    let mark = |first, second, stars: &str| Significance {
        first,
        second,
        stars: stars.into(),
    };
    let all = BoxPlot {
        title: format!("Volume Dice ({INVENTED})"),
        axis: "Volume Dice, %".into(),
        groups: (0..9).map(|k| group(&mut dice, k, 82)).collect(),
        marks: (1..9)
            .map(|k| mark(0, k, ["n.s.", "*", "**", "***"][(k / 2).min(3)]))
            .collect(),
        range: Some([0.0, 100.0]),
        note: "Wilcoxon signed-rank test, paired by case, Holm correction: * p\u{a0}<\u{a0}0.05, ** p\u{a0}<\u{a0}0.01, *** p\u{a0}<\u{a0}0.001, n.s. not significant.".into(),
    };
    figures.push(("boxes", box_plot_svg(&all, theme)));
    let few = BoxPlot {
        title: format!("Average surface distance ({INVENTED})"),
        axis: "Average surface distance, mm".into(),
        groups: (0..4)
            .map(|k| BoxGroup {
                name: SYSTEMS[k].into(),
                values: (0..18)
                    .map(|_| 1.0 + 0.6 * k as f64 + dice.normal().powi(2))
                    .collect(),
            })
            .collect(),
        marks: vec![mark(0, 1, "n.s."), mark(0, 2, "*"), mark(1, 3, "***")],
        ..BoxPlot::default()
    };
    figures.push(("boxes-brackets", box_plot_svg(&few, theme)));

    let agreement = AgreementPlot {
        title: format!("Lesion volume ({INVENTED})"),
        quantity: "lesion volume".into(),
        unit: "ml".into(),
        groups: ["Normal", "CAP", "COVID-19"]
            .iter()
            .enumerate()
            .map(|(k, name)| AgreementGroup {
                name: (*name).into(),
                pairs: (0..[8, 32, 22][k])
                    .map(|_| {
                        let truth = 600.0 * dice.next().powi(2) * (k as f64 / 2.0 + 0.02);
                        [
                            truth,
                            (truth * (0.97 + 0.06 * dice.normal()) + 6.0 * dice.normal()).max(0.0),
                        ]
                    })
                    .collect(),
            })
            .collect(),
    };
    figures.push(("agreement", bland_altman_svg(&agreement, theme)));

    let classes: Vec<String> = Diagnosis::ALL.iter().map(|c| c.label().into()).collect();
    let confusion = Confusion {
        title: format!("MultiR-Net ({INVENTED})"),
        classes: classes.clone(),
        counts: vec![vec![27, 2, 0], vec![1, 29, 2], vec![0, 4, 18]],
    };
    figures.push(("confusion", confusion_svg(&confusion, theme)?));

    let roc = RocFigure {
        title: format!("One class against the rest ({INVENTED})"),
        curves: classes
            .iter()
            .enumerate()
            .map(|(k, name)| {
                let mut points = vec![[0.0, 0.0]];
                for i in 1..=30 {
                    let x = f64::from(i) / 30.0;
                    let y = 1.0 - (1.0 - x).powf(9.0 - 2.5 * k as f64);
                    points.push([x, points[points.len() - 1][1]]);
                    points.push([x, y]);
                }
                RocCurve {
                    name: name.clone(),
                    points,
                    auc: [0.978, 0.941, 0.903][k],
                    interval: Some([[0.951, 0.996], [0.894, 0.975], [0.842, 0.953]][k]),
                    cases: [[29, 53], [32, 50], [22, 60]][k],
                }
            })
            .collect(),
        level_percent: Some(95.0),
    };
    figures.push(("roc", roc_svg(&roc, theme)));

    let reliability = ReliabilityFigure {
        title: format!("Lesion probability ({INVENTED})"),
        event: "Truly lesion".into(),
        curves: [("implanted", 0.9, 0.021), ("patients", 1.6, 0.087)]
            .map(|(name, power, error)| ReliabilityCurve {
                name: name.into(),
                points: (0..10)
                    .map(|i| f64::from(i).mul_add(0.1, 0.05))
                    .map(|p| [p, p.powf(power)])
                    .collect(),
                error,
            })
            .to_vec(),
        note: "Voxels of the lungs. Error: expected calibration error".into(),
    };
    figures.push(("reliability", reliability_svg(&reliability, theme)));

    let bar = |name: &str, value: f64| Bar {
        name: name.into(),
        value,
        interval: Some([value - 2.1, value + 1.8]),
        n: 82,
    };
    let bars = BarChart {
        title: format!("Ablation ({INVENTED})"),
        axis: "Volume Dice, %".into(),
        groups: vec![
            BarGroup {
                name: "Reverse attention".into(),
                bars: vec![bar("on", 84.2), bar("off", 80.9)],
            },
            BarGroup {
                name: "Loss".into(),
                bars: vec![
                    bar("Dice", 81.7),
                    bar("Tversky", 83.0),
                    bar("focal Tversky", 84.2),
                ],
            },
            BarGroup {
                name: "Context slices n".into(),
                bars: vec![
                    bar("0", 79.5),
                    bar("1", 84.2),
                    Bar {
                        name: "2".into(),
                        value: f64::NAN,
                        interval: None,
                        n: 82,
                    },
                ],
            },
        ],
        note: "Intervals: 95 %, bootstrap by patient.".into(),
    };
    figures.push(("bars", bar_chart_svg(&bars, theme)));
    let some: Vec<String> = [4, 5].iter().map(|k| figures[*k].1.clone()).collect();
    figures.push(("panels", panels_svg(2, &some, theme)?));
    Ok(figures)
}

/// A mask like `truth` with errors that depend on `k`: moved, and for larger `k` also cut and with
/// an extra ball.
fn predicted(truth: &Volume<u8>, lungs: &Volume<u8>, k: usize) -> Volume<u8> {
    let [nz, ny, nx] = truth.shape();
    let wave = |v: usize, f: f64| (v as f64 * f + k as f64).sin();
    Volume::from_fn(*truth.geometry(), |[z, y, x]| {
        let moved = |v: usize, d: f64, n: usize| (v as f64 + d).round().clamp(0.0, n as f64 - 1.0);
        let from = [
            moved(z, 0.0, nz) as usize,
            moved(y, (1.0 + 0.8 * k as f64) * wave(x, 0.09), ny) as usize,
            moved(x, (1.0 + 0.8 * k as f64) * wave(y, 0.07), nx) as usize,
        ];
        let missed = k > 1 && wave(x, 0.05) * wave(y, 0.04) > 0.9 - 0.1 * k as f64;
        let ball = [(z, nz, 0.55), (y, ny, 0.55), (x, nx, 0.31)].map(|(v, n, at)| {
            let r = if n == nz { 0.05 } else { 0.035 };
            ((v as f64 / n as f64 - at) / r).powi(2)
        });
        let invented = k > 0 && ball.iter().sum::<f64>() < 1.0 && lungs.at([z, y, x]) != 0;
        u8::from((truth.at(from) != 0 && !missed && lungs.at([z, y, x]) != 0) || invented)
    })
}

fn dice_percent(a: &Volume<u8>, b: &Volume<u8>) -> Option<f64> {
    let count = |f: &dyn Fn(bool, bool) -> bool| {
        let pairs = a.data().iter().zip(b.data());
        pairs.filter(|(p, q)| f(**p != 0, **q != 0)).count() as f64
    };
    let whole = count(&|p, _| p) + count(&|_, q| q);
    (whole > 0.0).then(|| 200.0 * count(&|p, q| p && q) / whole)
}

fn scene(seed: u64, class: Diagnosis) -> Outcome<(Phantom, usize)> {
    let phantom = PhantomConfig::sample(seed, class, 256).generate()?;
    let area = |z: &usize| {
        phantom
            .lesions
            .plane(*z)
            .iter()
            .filter(|v| **v != 0)
            .count()
    };
    let busiest = (0..phantom.lesions.shape()[0])
        .max_by_key(area)
        .unwrap_or(0);
    Ok((phantom, busiest))
}

fn pictures(theme: &Theme) -> Outcome<Named> {
    let scenes = [
        scene(11, Diagnosis::Covid19)?,
        scene(12, Diagnosis::Cap)?,
        scene(15, Diagnosis::Covid19)?,
        scene(16, Diagnosis::Cap)?,
    ];
    let mut figures: Named = vec![];
    let mut overlay = OverlayFigure {
        title: format!("The same slices, all systems ({INVENTED}; synthetic phantoms)"),
        note: "Dice of the whole scan.".into(),
        ..OverlayFigure::default()
    };
    let mut gradcam = GradCam {
        title: format!("Class activation ({INVENTED}; synthetic phantoms)"),
        note: "Shares are of the whole scan's activation. r: Spearman correlation, SSIM: structural similarity, each with the map of the same net with randomised weights.".into(),
        ..GradCam::default()
    };
    for (i, (phantom, z)) in scenes.iter().enumerate() {
        let lungs = Slice::axial(&phantom.lungs, *z)?;
        let part = lungs.box_around(15.0).ok_or("a slice without lungs")?;
        let scan = Slice::axial(&phantom.ct, *z)?.crop(&part)?;
        let truth = Slice::axial(&phantom.lesions, *z)?.crop(&part)?;
        let [rows, columns] = scan.shape();
        let heat = |at: [f64; 2], r: f64| {
            let values = (0..rows * columns).map(|p| {
                let (y, x) = (
                    (p / columns) as f64 / rows as f64,
                    (p % columns) as f64 / columns as f64,
                );
                (-((y - at[0]).powi(2) + (x - at[1]).powi(2)) / (r * r)).exp() as f32
            });
            Slice::new(rows, columns, scan.spacing_mm(), values.collect())
        };
        gradcam.cases.push(GradCamCase {
            name: format!("Phantom {}", i + 1),
            truth: phantom.class.label().into(),
            predicted: if i < 2 {
                phantom.class
            } else {
                Diagnosis::Normal
            }
            .label()
            .into(),
            probability: 0.93 - 0.11 * i as f64,
            heat: heat([0.6, 0.2 + 0.15 * i as f64], 0.25)?,
            lesion: truth.clone(),
            share_in_lesion: Some(0.61 - 0.13 * i as f64),
            randomised: (i != 3).then_some(RandomisedCheck {
                heat: heat([0.3, 0.7], 0.5)?,
                correlation: -0.07 + 0.1 * i as f64,
                similarity: 0.21,
            }),
            scan: scan.clone(),
        });
        if i < 3 {
            let mut systems = vec![];
            for (k, name) in SYSTEMS.iter().enumerate().take(6) {
                let mask = predicted(&phantom.lesions, &phantom.lungs, k);
                systems.push(OverlayMask {
                    name: (*name).into(),
                    dice_percent: dice_percent(&phantom.lesions, &mask),
                    mask: Slice::axial(&mask, *z)?.crop(&part)?,
                });
            }
            overlay.cases.push(OverlayCase {
                name: format!("Phantom {}, {}, slice {z}", i + 1, phantom.class.label()),
                scan,
                truth,
                systems,
            });
        }
    }
    figures.push(("overlay", overlay_svg(&overlay, theme)?));
    figures.push(("gradcam", gradcam_svg(&gradcam, theme)?));

    let (phantom, _) = &scenes[0];
    let surfaces = SurfaceFigure {
        title: format!("Surfaces ({INVENTED}; a synthetic phantom)"),
        panels: panels(phantom)?,
        views: vec![View3::Anterior, View3::Left, View3::Inferior],
        note: "Marching cubes, cells of about 1.5 mm, smoothed.".into(),
    };
    let start = std::time::Instant::now();
    figures.push(("surfaces", surfaces_svg(&surfaces, theme)?));
    println!("surfaces drawn in {:.1?}", start.elapsed());
    Ok(figures)
}

fn panels(phantom: &Phantom) -> Outcome<Vec<SurfacePanel>> {
    let prediction = predicted(&phantom.lesions, &phantom.lungs, 3);
    let lungs = Some(&phantom.lungs);
    Ok(surface_panels(
        lungs,
        &phantom.lesions,
        &prediction,
        &Detail::FINE,
    )?)
}

fn report(figures: Section) -> String {
    let column = |name: &str, numeric| Column {
        name: name.into(),
        numeric,
    };
    let table = Table {
        caption: format!("Scores ({INVENTED})."),
        columns: vec![
            column("System", false),
            column("Dice, %", true),
            column("ASD, mm", true),
            column("Parameters", false),
        ],
        rows: SYSTEMS
            .iter()
            .enumerate()
            .map(|(k, s)| {
                let dice = 84.25 - 3.3 * k as f64;
                vec![
                    (*s).into(),
                    format!("{dice:.2}"),
                    format!("{:.2}", 9.1 + 0.8 * k as f64),
                    format!("{} M", 19 + k),
                ]
            })
            .collect(),
        note: "ASD: mean of both directions, convention surface-distance.".into(),
    };
    report_page(&ReportPage {
        title: format!("A comparison ({INVENTED})"),
        lead: "This page shows every kind of figure. Its numbers are made up.".into(),
        synthetic: true,
        sections: vec![
            Section {
                heading: "Tables".into(),
                blocks: vec![
                    Block::Text("A paragraph before the table.".into()),
                    Block::Table(table),
                    Block::Link("surfaces.html".into(), "Surfaces that can be turned".into()),
                ],
            },
            figures,
            Section {
                heading: "Limits".into(),
                blocks: vec![Block::List(vec!["Phantoms are not patients.".into()])],
            },
        ],
        provenance: vec![("Program".into(), "multirnet, example figures".into())],
    })
}
