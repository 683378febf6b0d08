//! Self-contained HTML pages: one for a finding, one that lists many.

use crate::svg::data_uri;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use multirnet_base::text::for_markup;
use multirnet_finding::{Finding, Involvement, KindInvolvement, NOTICE, ZoneInvolvement};
use multirnet_volume::Diagnosis;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1180px;padding:1rem}\
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.15rem;margin-top:1.6rem}.notice{border:2px solid #b35c00;padding:.5rem .8rem;border-radius:4px;font-weight:600}\
img{max-width:100%;height:auto}table{border-collapse:collapse;margin:.6rem 0}th,td{border-bottom:1px solid #8886;padding:.3rem .8rem;text-align:right}\
th:first-child,td:first-child{text-align:left}.warn li{color:#b35c00}dt{font-weight:600}dd{margin:0 0 .4rem 1rem;overflow-wrap:anywhere}.wide{overflow-x:auto}";

/// One scan in an index.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Name shown for the scan.
    pub name: String,
    /// Address of its page, relative to the index.
    pub href: String,
    /// Its finding, or the reason why there is none.
    pub result: Result<Box<Finding>, String>,
    /// The true class and lesion volume in ml, which are known for phantoms.
    pub truth: Option<(Diagnosis, f64)>,
}

/// A page in one file. Its content security policy forbids every request to a network.
pub(crate) fn shell(title: &str, more_style: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(more_style)) }
            }
            body { (body) }
        }
    }
    .into_string();
    // The markup itself has no such character, so this concerns the texts in it.
    for_markup(&page).into_owned()
}

/// Turns an address with a scheme into a relative one. A scheme could make a link run code or leave
/// the page's folder.
pub(crate) fn safe(address: &str) -> String {
    match address.split(['/', '?', '#']).next() {
        Some(first) if first.contains(':') => format!("./{address}"),
        _ => address.to_owned(),
    }
}

/// The notice, and for synthetic scans a warning about what their results show.
pub(crate) fn warnings(synthetic: bool) -> Markup {
    html! {
        p.notice { (NOTICE) }
        @if synthetic {
            p.notice { "These results come from synthetic phantoms. They show that the machinery works; they say nothing about patients." }
        }
    }
}

/// A page for one finding with its overview picture (PNG bytes) embedded.
pub fn finding_page(name: &str, finding: &Finding, overview_png: &[u8]) -> String {
    let involvement = &finding.involvement;
    let alt = picture_alt(name, finding);
    let body = html! {
        h1 { (heading(name)) }
        p.notice { (finding.notice) }
        @if let Some(notice) = finding.validated_on.notice() { p.notice { (notice) } }
        @if !finding.warnings.is_empty() {
            ul.warn { @for w in &finding.warnings { li { "Warning: " (w) } } }
        }
        img src=(data_uri(overview_png)) alt=(alt);
        h2 { "Involvement" }
        p { "Severity score " b { (involvement.severity_score) } " of 24 (" (SEVERITY_SCALE) ")." }
        div.wide { table {
            tr { @for name in ZONE_COLUMNS { th { (name) } } }
            @for zone in regions(involvement) { tr { @for cell in zone_cells(zone) { td { (cell) } } } }
        } }
        @if !finding.lesion_kinds.is_empty() {
            h2 { "Kinds of lesion" }
            div.wide { table {
                tr { th { "Kind" } th { "Lesion, ml" } th { "Share of both lungs" } th { "of the right" } th { "of the left" } }
                @for kind in &finding.lesion_kinds { tr { @for cell in kind_cells(kind) { td { (cell) } } } }
            } }
        }
        h2 { (classes_heading(finding)) }
        table {
            tr { th { "Class" } th { "Probability" } }
            @for class in Diagnosis::ALL {
                tr { td { (class.label()) } td { (percent(finding.probabilities.to_array()[class.index()])) } }
            }
        }
        h2 { "How it was made" }
        dl {
            dt { "Scan" } dd { (finding.source.path) " (" (finding.source.format) ", SHA-256 " code { (finding.source.content_sha256) } ")" }
            dt { "Model" } dd { (finding.provenance.model) ": " (finding.provenance.trained_on) " (SHA-256 " code { (finding.provenance.model_sha256) } ")" }
            dt { "Program" } dd { "multirnet " (finding.provenance.version) ", options SHA-256 " code { (finding.provenance.config_sha256) } ", " (finding.provenance.windows) " network windows" }
            dt { "Time" } dd { @for t in &finding.timings { (t.stage) " " (format!("{:.2} s", t.seconds)) "; " } }
        }
    };
    shell(&format!("multirnet: {name}"), "", &body)
}

/// A page that lists scans with their findings.
pub fn index_page(title: &str, introduction: &str, entries: &[Entry]) -> String {
    let with_truth = entries.iter().any(|e| e.truth.is_some());
    let of_entry = |e: &Entry| e.result.as_ref().ok().and_then(|f| f.validated_on.notice());
    let notices: std::collections::BTreeSet<_> = entries.iter().filter_map(of_entry).collect();
    let body = html! {
        h1 { (title) }
        p.notice { (NOTICE) }
        @for notice in &notices { p.notice { (notice) } }
        p { (introduction) }
        div.wide { table {
            tr {
                th { "Scan" } th { "Most probable class" } th { "Probability" } th { "Lesion, ml" } th { "Involved" } th { "Severity" }
                @if with_truth { th { "True class" } th { "True lesion, ml" } }
            }
            @for entry in entries {
                tr {
                    @match &entry.result {
                        Ok(f) => {
                            td { a href=(safe(&entry.href)) { (entry.name) } }
                            td { (f.diagnosis.label()) }
                            td { (percent(f.probabilities.to_array()[f.diagnosis.index()])) }
                            td { (format!("{:.0}", f.involvement.both.lesion_ml)) }
                            td { (percent(f.involvement.both.fraction)) }
                            td { (f.involvement.severity_score) " / 24" }
                        }
                        Err(reason) => { td { (entry.name) } td colspan="5" { "failed: " (reason) } }
                    }
                    @if with_truth {
                        @if let Some((class, ml)) = entry.truth { td { (class.label()) } td { (format!("{ml:.0}")) } }
                        @else { td {} td {} }
                    }
                }
            }
        } }
    };
    shell(title, "", &body)
}

/// The heading of a finding's report.
pub(crate) fn heading(name: &str) -> String {
    format!("Pneumonia CT finding: {name}")
}

/// The heading of the class probabilities, with their state of validation.
pub(crate) fn classes_heading(finding: &Finding) -> &'static str {
    match finding.validated_on.classes_on_patients() {
        true => "Class probabilities",
        false => "Class probabilities, not validated on patients",
    }
}

/// What the picture of a finding shows, for readers who cannot see it.
pub(crate) fn picture_alt(name: &str, finding: &Finding) -> String {
    format!(
        "Axial, coronal and sagittal planes of {name} with lesion outlines; lesions take {} of the lungs",
        percent(finding.involvement.both.fraction)
    )
}

/// How the severity score adds up.
pub(crate) const SEVERITY_SCALE: &str =
    "six zones, 0 to 4 each: none, under 25 %, under 50 %, under 75 %, more";

/// The columns of [`zone_cells`].
pub(crate) const ZONE_COLUMNS: [&str; 5] = ["Region", "Lung, ml", "Lesion, ml", "Share", "Score"];

/// The rows of the table by lung and zone: both lungs, each lung, the six zones.
pub(crate) fn regions(involvement: &Involvement) -> impl Iterator<Item = &ZoneInvolvement> {
    [&involvement.both, &involvement.right, &involvement.left]
        .into_iter()
        .chain(&involvement.zones)
}

/// The cells of a region's row.
pub(crate) fn zone_cells(zone: &ZoneInvolvement) -> [String; 5] {
    [
        zone.name.replace('_', " "),
        format!("{:.0}", zone.lung_ml),
        format!("{:.1}", zone.lesion_ml),
        percent(zone.fraction),
        zone.score.to_string(),
    ]
}

/// The cells of a kind's row: name, ml, shares of both lungs, of the right, of the left.
pub(crate) fn kind_cells(kind: &KindInvolvement) -> [String; 5] {
    [
        kind.kind.label().to_owned(),
        format!("{:.1}", kind.lesion_ml),
        percent(kind.fraction),
        percent(kind.right_fraction),
        percent(kind.left_fraction),
    ]
}

/// A share in percent.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}
