//! The report as other programs read it, and its layout under extreme findings.

use super::sheet::{Block, Line, MARGIN, PAGE};
use super::*;
use crate::font::text_width;
use crate::svg::encode_png;
use crate::{ErrorKind, page};
use multirnet_finding::{
    Involvement, KindInvolvement, LesionKind, NOTICE, Probabilities, Provenance, SCHEMA,
    ScanSource, ScoredOn, ValidatedOn, ZoneInvolvement,
};
use multirnet_volume::{Diagnosis, Geometry};

fn region(name: &str, lung_ml: f64, lesion_ml: f64, score: u8) -> ZoneInvolvement {
    let fraction = lesion_ml / lung_ml.max(1e-9);
    ZoneInvolvement {
        name: name.into(),
        lung_ml,
        lesion_ml,
        fraction,
        score,
    }
}

fn kind(kind: LesionKind, lesion_ml: f64) -> KindInvolvement {
    KindInvolvement {
        kind,
        lesion_ml,
        fraction: lesion_ml / 4321.0,
        right_fraction: lesion_ml / 5000.0,
        left_fraction: lesion_ml / 3000.0,
    }
}

/// A made-up finding with a different number in every place.
fn made_up() -> Finding {
    Finding {
        schema: SCHEMA,
        notice: NOTICE.into(),
        validated_on: ValidatedOn::default(),
        source: ScanSource {
            path: "studies/2026/patient 7/series-2".into(),
            format: "dicom".into(),
            content_sha256: "ab12".repeat(16),
            series_uid: Some("2.25.123456789".into()),
            ..ScanSource::default()
        },
        geometry: Geometry::axial([255, 512, 512], [1.25, 0.7, 0.7]).unwrap(),
        diagnosis: Diagnosis::Covid19,
        probabilities: Probabilities::from_array([0.052, 0.237, 0.711]),
        involvement: Involvement {
            right: region("right", 2400.0, 310.4, 1),
            left: region("left", 1921.0, 77.7, 1),
            both: region("both", 4321.0, 388.1, 1),
            zones: [
                region("right upper", 801.0, 40.1, 1),
                region("right middle", 802.0, 205.2, 2),
                region("right lower", 797.0, 65.1, 1),
                region("left upper", 640.0, 0.0, 0),
                region("left middle", 641.0, 33.3, 1),
                region("left lower", 639.0, 44.4, 1),
            ],
            severity_score: 6,
        },
        lesion_kinds: vec![
            kind(LesionKind::GroundGlass, 250.9),
            kind(LesionKind::Consolidation, 137.2),
        ],
        warnings: vec!["the slices are 5 mm apart".into()],
        timings: vec![],
        provenance: Provenance {
            version: "9.8.7".into(),
            model: "demo".into(),
            model_sha256: "cd34".repeat(16),
            trained_on: "drawn lesions in drawn lungs".into(),
            config_sha256: "ef56".repeat(16),
            config: serde_json::Value::Null,
            windows: 17,
            voxels: 17,
        },
    }
}

/// A finding whose every text is long and whose numbers are too large, missing or not numbers.
fn extreme() -> Finding {
    let word = "x".repeat(5000);
    let prose = "many words that never end and then some more of them; ".repeat(200);
    let mut finding = made_up();
    finding.notice = String::new();
    finding.source.path = format!("/{word}/scan.nii.gz");
    finding.source.format = word.clone();
    finding.source.content_sha256 = word.clone();
    finding.source.series_uid = Some(word.clone());
    finding.probabilities = Probabilities::from_array([f64::NAN, -3.0, f64::INFINITY]);
    let both = &mut finding.involvement.both;
    (both.lung_ml, both.lesion_ml, both.fraction) = (1e300, f64::NAN, f64::INFINITY);
    finding.involvement.right = region(&word, 0.0, 0.0, 0);
    finding.lesion_kinds = vec![kind(LesionKind::GroundGlass, 1e300); 40];
    finding.warnings = (0..500).map(|i| format!("{i} {prose}")).collect();
    finding.provenance.version = word.clone();
    finding.provenance.model = prose.clone();
    finding.provenance.model_sha256 = word;
    finding.provenance.trained_on = prose;
    finding
}

fn facts() -> PdfFacts {
    PdfFacts {
        date: "2026-11-28".parse().unwrap(),
        series_description: Some("Thorax 1.25 lung".into()),
        replaces: Some("an earlier report of this study, 2.25.1234".into()),
    }
}

fn png(width: usize, height: usize) -> Vec<u8> {
    let rgb: Vec<u8> = (0..width * height * 3).map(|i| (i % 251) as u8).collect();
    encode_png(width, height, png::ColorType::Rgb, &rgb).unwrap()
}

fn pdf(name: &str, finding: &Finding) -> Vec<u8> {
    finding_pdf(name, finding, &png(160, 118), &facts()).unwrap()
}

fn words(pdf: &[u8]) -> String {
    let document = lopdf::Document::load_mem(pdf).unwrap();
    assert_eq!(document.get_pages().len(), 1);
    let text = document.extract_text(&[1]).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines(blocks: &[Block]) -> Vec<&Line> {
    fn of(block: &Block) -> Vec<&Line> {
        match block {
            Block::Title(lines) | Block::Heading(lines) | Block::Text(lines) => {
                lines.iter().collect()
            }
            Block::Table(rows) => rows.iter().flatten().collect(),
            Block::Picture(..) | Block::Fill(..) | Block::Frame(..) => vec![],
        }
    }
    blocks.iter().flat_map(of).collect()
}

/// Left, top, right, bottom of a line.
fn bounds(line: &Line) -> [f64; 4] {
    let ([x, y], look) = (line.at, line.look);
    let width = text_width(&line.text, look.size, look.bold);
    // DejaVu's letters reach from 0.24 em below to 0.76 em above the baseline.
    [x, y - 0.76 * look.size, x + width, y + 0.24 * look.size]
}

/// Checks that everything lies within the margins and that no texts overlap.
fn check_layout(blocks: &[Block]) {
    let end = [PAGE[0] - MARGIN, PAGE[1] - MARGIN];
    let inside = |[left, top, right, bottom]: [f64; 4], what: &str| {
        let fits = left >= MARGIN - 0.01 && right <= end[0] + 0.01;
        let fits = fits && top >= MARGIN - 0.01 && bottom <= end[1] + 0.01;
        assert!(fits, "{what}: {left} {top} {right} {bottom}");
    };
    let mut placed: Vec<([f64; 4], &str)> = vec![];
    for line in lines(blocks) {
        placed.push((bounds(line), &line.text));
    }
    for block in blocks {
        if let Block::Picture([x, y, w, h], alt) = block {
            assert!(*w > 100.0 && *h > 100.0, "the picture has {w} × {h} points");
            placed.push(([*x, *y, x + w, y + h], alt));
        }
        if let Block::Fill([x, y, w, h], _) | Block::Frame([x, y, w, h], _) = block {
            inside([*x, *y, x + w, y + h], "a rectangle");
        }
    }
    for (i, (a, text)) in placed.iter().enumerate() {
        inside(*a, text);
        for (b, other) in &placed[..i] {
            let apart = a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] - 0.01 || b[1] >= a[3] - 0.01;
            assert!(apart, "{text:?} {a:?} covers {other:?} {b:?}");
        }
    }
}

#[test]
fn the_report_is_one_tagged_page_with_embedded_subset_fonts() {
    let bytes = pdf("scan", &made_up());
    assert!(bytes.starts_with(b"%PDF-1.7"));
    let document = lopdf::Document::load_mem(&bytes).unwrap();
    let page = document.get_pages()[&1];
    let fonts = document.get_page_fonts(page).unwrap();
    assert_eq!(fonts.len(), 2);
    for font in fonts.values() {
        let base = font.get(b"BaseFont").unwrap().as_name().unwrap();
        let base = String::from_utf8_lossy(base);
        assert!(base.contains("+DejaVuSans"), "{base} is not a subset");
    }
    let files = document.objects.values().filter_map(|o| o.as_dict().ok());
    assert_eq!(files.filter(|d| d.has(b"FontFile2")).count(), 2);
    // Each weight has more than 600 kB; the subsets have some 20.
    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
    let catalog = document.catalog().unwrap();
    assert_eq!(catalog.get(b"Lang").unwrap().as_str().unwrap(), b"en");
    assert!(catalog.has(b"StructTreeRoot") && catalog.has(b"MarkInfo"));
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("Pneumonia CT finding: scan"));
    assert!(text.contains("pdfaid:conformance") && text.contains("pdfuaid:part"));
}

#[test]
fn the_texts_are_those_of_the_finding() {
    let finding = made_up();
    let text = words(&pdf("case 7", &finding));
    let mut expected = vec![
        page::heading("case 7"),
        NOTICE.into(),
        "Demonstration model: not validated on patients.".into(),
        "studies/2026/patient 7/series-2 (dicom)".into(),
        "Thorax 1.25 lung".into(),
        "255 × 512 × 512 voxels of 1.25 × 0.70 × 0.70 mm".into(),
        "388.1 ml".into(),
        "6 of 24".into(),
        "4321 ml".into(),
        "Class probabilities, not validated on patients".into(),
        "the slices are 5 mm apart".into(),
        "2026-11-28".into(),
        "multirnet 9.8.7, 17 network windows".into(),
        "demo: drawn lesions in drawn lungs".into(),
        "ab12".repeat(16),
        "cd34".repeat(16),
        "ef56".repeat(16),
        "2.25.123456789".into(),
    ];
    expected.extend(page::regions(&finding.involvement).map(|z| page::zone_cells(z).join(" ")));
    expected.extend(
        finding
            .lesion_kinds
            .iter()
            .map(|k| page::kind_cells(k).join(" ")),
    );
    for class in Diagnosis::ALL {
        let p = page::percent(finding.probabilities.of_class(class));
        expected.push(format!("{} {p}", class.label()));
    }
    for part in expected {
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&part), "{part:?} is missing in {text:?}");
    }
}

#[test]
fn a_class_leads_only_if_classes_were_validated_on_patients() {
    let largest = |finding: &Finding| {
        let blocks = compose::compose("x", finding, &facts(), [16.0, 9.0]);
        let lines = lines(&blocks);
        let big = lines.iter().filter(|l| l.look.size > 10.0);
        big.map(|l| l.text.clone()).collect::<Vec<_>>().join("|")
    };
    let mut finding = made_up();
    assert!(!largest(&finding).contains("COVID") && largest(&finding).contains("388.1 ml"));
    finding.validated_on.classes = vec![ScoredOn::Patients];
    assert!(largest(&finding).contains(Diagnosis::Covid19.label()));
    let text = words(&pdf("x", &finding));
    assert!(text.contains("Demonstration model: its lesions are not validated on patients."));
    finding.validated_on.lesions = vec![ScoredOn::Phantoms, ScoredOn::Patients];
    let text = words(&pdf("x", &finding));
    assert!(!text.contains("Demonstration") && !text.contains("not validated"));
    assert!(text.contains("Lesions: phantoms, patients. Classes: patients."));
}

#[test]
fn equal_arguments_give_equal_bytes() {
    let finding = made_up();
    assert_eq!(pdf("scan", &finding), pdf("scan", &finding));
    let mut later = facts();
    later.date = "2026-11-29".parse().unwrap();
    let other = finding_pdf("scan", &finding, &png(160, 118), &later).unwrap();
    assert_ne!(pdf("scan", &finding), other);
}

#[test]
fn everything_stays_within_the_margins() {
    let usual = made_up();
    let mut bare = made_up();
    bare.lesion_kinds.clear();
    bare.warnings.clear();
    bare.source.series_uid = None;
    // One lung is missing.
    bare.involvement.left = region("left", 0.0, 0.0, 0);
    for name in ["scan", &"long name ".repeat(100), &"W".repeat(1000), ""] {
        for finding in [&usual, &bare, &extreme()] {
            for size in [[1600.0, 1180.0], [10.0, 10.0], [2000.0, 1000.0]] {
                check_layout(&compose::compose(name, finding, &facts(), size));
            }
        }
        assert!(pdf(name, &extreme()).starts_with(b"%PDF"));
    }
    let text = words(&pdf("scan", &extreme()));
    assert!(
        text.contains("and 498 more warnings in the finding"),
        "{text}"
    );
    assert!(text.contains("/scan.nii.gz") && text.contains(NOTICE));
}

#[test]
fn as_many_warnings_are_shown_as_have_room() {
    let shown = |count: usize| {
        let mut finding = made_up();
        finding.warnings = (0..count).map(|i| format!("warning number {i}.")).collect();
        words(&pdf("x", &finding))
    };
    assert!(!shown(0).contains("Warnings"));
    assert!(shown(6).contains("warning number 5.") && !shown(6).contains("more warning"));
    let seven = shown(7);
    assert!(seven.contains("number 4.") && seven.contains("and 2 more warnings"));
}

#[test]
fn any_letters_can_be_written() {
    let mut finding = made_up();
    let all: Vec<char> = (0..=0x1_f9ff).filter_map(char::from_u32).collect();
    for part in all.chunks(700) {
        let text: String = part.iter().collect();
        finding.warnings = text
            .chars()
            .collect::<Vec<_>>()
            .chunks(100)
            .map(String::from_iter)
            .collect();
        finding.provenance.model = text.chars().take(120).collect();
        let bytes = finding_pdf(&text, &finding, &png(4, 3), &facts());
        assert!(
            bytes.is_ok(),
            "{:?} from U+{:04X} on",
            bytes.err(),
            u32::from(part[0])
        );
    }
    let text = words(&pdf("Müller-Lüdenscheidt Žižek Ωμέγα Пётр 肺", &made_up()));
    assert!(
        text.contains("Müller-Lüdenscheidt Žižek Ωμέγα Пётр \u{fffd}"),
        "{text}"
    );
}

#[test]
fn pictures_that_cannot_be_read_are_refused() {
    let cut = &png(40, 30)[..200];
    for picture in [&b""[..], b"no picture", cut] {
        let error = finding_pdf("x", &made_up(), picture, &facts()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Draw);
    }
}
