//! `multirnet package`: writes a trained model's file and page for other users.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::{output, toml_file};
use multirnet_base::StagedFolder;
use multirnet_base::digest::sha256;
use multirnet_finding::{NOTICE, ScoredOn, ValidatedOn};
use multirnet_infer::{CardScore, DeviceChoice, MODEL_FILE, ModelCard, ModelSource};
use multirnet_nn::weights::{self, Dtype};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Largest file of a packaged model, in bytes.
const MAX_BYTES: usize = 25_000_000;

/// Package a trained model: weights in 16 bits with a full card, and a page that shows it
///
/// Writes model.safetensors and README.md to OUT. The card file (TOML) has licence, attribution,
/// validated_on and `[[scores]]` (on, cases, kind, seen, metric, value, interval), which replace the
/// model's own. It may also have trained_on, validation, threshold, lesion_temperature and
/// class_temperature, and `[[notes]]` (heading, text) for the page.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  multirnet package runs/mine/model.safetensors --name mine --card card.toml -o models/mine"
)]
pub struct Package {
    /// Model file with a card, as `train` writes it: RUN/model.safetensors
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// Name of the model
    #[arg(long)]
    name: String,

    /// Card file (TOML)
    #[arg(long, value_name = "FILE")]
    card: PathBuf,

    /// Folder for the model; --model NAME finds it if the folder has the model's name
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,
}

/// The content of a card file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CardFile {
    licence: String,
    attribution: Vec<String>,
    #[serde(default)]
    scores: Vec<CardScore>,
    trained_on: Option<String>,
    validation: Option<String>,
    threshold: Option<f32>,
    lesion_temperature: Option<f64>,
    class_temperature: Option<f64>,
    /// Kinds of scans on which the model's lesion maps and classes were validated.
    #[serde(default)]
    validated_on: ValidatedOn,
    #[serde(default)]
    notes: Vec<Note>,
}

/// A section of the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    heading: String,
    text: String,
}

#[derive(Serialize)]
struct Packaged {
    model: PathBuf,
    bytes: usize,
    sha256: String,
    card: ModelCard,
}

impl Package {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let file: CardFile = toml_file::read(&self.card, "card")?;
        let label = self.model.display().to_string();
        let source = ModelSource::File(self.model.clone());
        let bytes = source.bytes().map_err(Failure::input)?;
        let cpu = DeviceChoice::Cpu.open().map_err(Failure::input)?;
        let net: multirnet_nn::System =
            weights::from_bytes(&label, &bytes, &cpu).map_err(Failure::input)?;
        let own = ModelCard::read(&label, &bytes).map_err(Failure::input)?;
        // A model without `input` would get views that differ from those of its training, and
        // nobody would notice.
        let own = own.filter(|card| card.input.is_some()).ok_or_else(|| {
            Failure::input(format!(
                "{label}: no card says how scans were prepared for this model (give \
                 model.safetensors of a run of `multirnet train`)"
            ))
        })?;
        let card = file.merged(own, &self.name);
        let bytes = weights::to_bytes(&net, Dtype::F16).map_err(Failure::input)?;
        let at_card = |e| Failure::input(format!("{}: {e}", output::path(&self.card)));
        let bytes = card.package(&self.name, &bytes).map_err(at_card)?;
        if bytes.len() > MAX_BYTES {
            return Err(Failure::input(format!(
                "{label}: the packaged model would have {:.1} MB, and {:.0} MB are allowed (train a \
                 narrower net)",
                bytes.len() as f64 / 1e6,
                MAX_BYTES as f64 / 1e6
            )));
        }
        let packaged = Packaged {
            model: self.out.join(MODEL_FILE),
            bytes: bytes.len(),
            sha256: sha256(&bytes),
            card,
        };
        let network = format!(
            "{}, {} parameters",
            net.config().name(),
            net.trained_parameters()
        );
        let staged = StagedFolder::new(&self.out)?;
        staged.write(MODEL_FILE, &bytes)?;
        staged.write(
            "README.md",
            page(&packaged, &network, &file.notes).as_bytes(),
        )?;
        staged.publish()?;
        output::print(&if context.json {
            output::to_json(&packaged)?
        } else {
            format!(
                "{}: {:.1} MB, SHA-256 {}\n",
                output::path(&packaged.model),
                packaged.bytes as f64 / 1e6,
                packaged.sha256
            )
        })
    }
}

impl CardFile {
    /// The card of the model `name`: this file's fields replace those of `own`, the card that
    /// training wrote.
    fn merged(&self, own: ModelCard, name: &str) -> ModelCard {
        ModelCard {
            name: name.to_owned(),
            trained_on: self.trained_on.clone().unwrap_or(own.trained_on),
            validation: self.validation.clone().or(own.validation),
            threshold: self.threshold.or(own.threshold),
            lesion_temperature: self.lesion_temperature.or(own.lesion_temperature),
            class_temperature: self.class_temperature.or(own.class_temperature),
            validated_on: self.validated_on.clone(),
            licence: Some(self.licence.clone()),
            attribution: self.attribution.clone(),
            scores: self.scores.clone(),
            ..own
        }
    }
}

/// Kinds of scans in words.
fn kinds(kinds: &[ScoredOn]) -> String {
    match kinds {
        [] => "nothing".to_owned(),
        some => some
            .iter()
            .map(|k| k.label())
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// The model's page, in Markdown.
fn page(packaged: &Packaged, network: &str, notes: &[Note]) -> String {
    let card = &packaged.card;
    let name = &card.name;
    let mut text = format!(
        "# {name}\n\n**{NOTICE}**\n\nUse it with `--model {name}`. This page is what `multirnet package` makes of the \
         model's card.\n\n| | |\n|---|---|\n"
    );
    let mut row = |head: &str, value: &str| text += &format!("| {head} | {} |\n", cell(value));
    row("licence", card.licence.as_deref().unwrap_or_default());
    row("trained on", &card.trained_on);
    if let Some(validation) = &card.validation {
        row("chosen on", validation);
    }
    row("lesions validated on", &kinds(&card.validated_on.lesions));
    row("classes validated on", &kinds(&card.validated_on.classes));
    if let Some(threshold) = card.threshold {
        row("lesion from a probability of", &threshold.to_string());
    }
    let temperatures = [
        ("temperature of lesions", card.lesion_temperature),
        ("temperature of classes", card.class_temperature),
    ];
    for (name, value) in temperatures {
        if let Some(value) = value {
            row(name, &value.to_string());
        }
    }
    row("network", network);
    row(
        "file",
        &format!(
            "`{MODEL_FILE}`, {:.1} MB, weights in 16 bits, SHA-256 `{}`",
            packaged.bytes as f64 / 1e6,
            packaged.sha256
        ),
    );
    row("made by", &format!("multirnet {}", card.version));
    if !card.scores.is_empty() {
        text += "\n## Scores\n\n| scans | what they are | number | what of them the model had seen | score | value (95 % interval) |\n\
                 |---|---|---:|---|---|---:|\n";
        for score in &card.scores {
            let interval = score
                .interval
                .map(|[low, high]| format!(" ({low} to {high})"));
            text += &format!(
                "| {} | {} | {} | {} | {} | {}{} |\n",
                cell(&score.on),
                score.kind.label(),
                score.cases,
                cell(&score.seen),
                cell(&score.metric),
                score.value,
                interval.unwrap_or_default()
            );
        }
    }
    if !card.attribution.is_empty() {
        text += "\n## Data\n\n";
        for source in &card.attribution {
            text += &format!("- {}\n", source.trim());
        }
    }
    for note in notes {
        text += &format!("\n## {}\n\n{}\n", note.heading.trim(), note.text.trim());
    }
    text
}

/// Makes a text fit into one cell of a Markdown table.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = r#"
licence = "CC-BY-NC-4.0"
attribution = ["Scans by A, CC BY 4.0."]
threshold = 0.4
class_temperature = 1.5
validated_on = { lesions = ["patients"] }
[[scores]]
on = "Five | stacks"
cases = 5
kind = "patients"
seen = "Nothing."
metric = "mean volume Dice, %"
value = 71.5
interval = [60.0, 80.0]
[[notes]]
heading = "Limits"
text = "Few scans."
"#;

    #[test]
    fn the_card_file_replaces_what_it_says_and_the_page_shows_all() {
        let file: CardFile = toml::from_str(CARD).unwrap();
        let own = ModelCard {
            threshold: Some(0.6),
            trained_on: "A cohort.".into(),
            validation: Some("Two scans.".into()),
            ..ModelCard::unknown("run")
        };
        let card = file.merged(own, "mine");
        assert_eq!((card.name.as_str(), card.threshold), ("mine", Some(0.4)));
        assert_eq!(card.trained_on, "A cohort.");
        assert!(card.validated_on.lesions_on_patients() && card.check().is_ok());
        let packaged = Packaged {
            model: "mine".into(),
            bytes: 7_000_000,
            sha256: "ab".into(),
            card,
        };
        let page = page(&packaged, "multirnet", &file.notes);
        for text in [
            "# mine\n",
            "not a medical device",
            "CC-BY-NC-4.0",
            "Two scans.",
            "| Five \\| stacks | patients | 5 | Nothing. | mean volume Dice, % | 71.5 (60 to 80) |",
            "- Scans by A",
            "| temperature of classes | 1.5 |",
            "## Limits\n\nFew scans.",
        ] {
            let found = page.to_lowercase().contains(&text.to_lowercase());
            assert!(found, "{text} is missing in {page}");
        }
    }

    #[test]
    fn unknown_fields_and_kinds_are_refused() {
        for (from, to) in [("cases", "case"), ("\"patients\"", "\"people\"")] {
            let error = toml::from_str::<CardFile>(&CARD.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(to.trim_matches('"')), "{error}");
        }
    }
}
