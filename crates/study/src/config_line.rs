//! Line numbers for faults in tables of a configuration that are checked after parsing.

use crate::Error;
use multirnet_base::toml_text;
use multirnet_infer::PredictOptions;
use multirnet_train::TrainConfig;
use serde::Deserialize;

/// The tables of a study or an ablation that [`StudyConfig`](crate::StudyConfig) and
/// [`AblationConfig`](crate::AblationConfig) hold as TOML tables. Merged TOML tables do not know
/// their lines. Parsed with their own types they give errors with lines.
#[derive(Deserialize)]
struct Tables {
    #[serde(rename = "train")]
    _train: Option<TrainConfig>,
    #[serde(rename = "predict")]
    _predict: Option<PredictOptions>,
    #[serde(default, rename = "system")]
    _systems: Vec<Entry>,
    #[serde(default, rename = "axis")]
    _axes: Vec<Axis>,
}

#[derive(Deserialize)]
struct Axis {
    #[serde(default, rename = "variant")]
    _variants: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "set")]
    _set: Option<TrainConfig>,
}

/// Adds the line of the fault to `error`, which a check of the configuration `text` gave. The error
/// stays as it is if the line cannot be found.
pub(crate) fn with_line(text: &str, error: Error) -> Error {
    match toml_text::parse::<Tables>(text) {
        // A table by itself may have a fault that the merged table does not have: fields of a system
        // that another table names.
        Err(fault) if error.reason().contains(&fault.reason) => match fault.line {
            Some(line) => error.line(line),
            None => error,
        },
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use crate::{AblationConfig, StudyConfig};

    const HEAD: &str = "title = \"t\"\ncohort.manifest = \"a.csv\"\n";

    #[test]
    fn a_fault_names_its_line_in_one_line() {
        let system = "[[system]]\nid = \"a\"\n";
        for (text, start, word) in [
            (
                format!("{HEAD}[train.run]\nepoch = 3\n{system}"),
                "line 4: ",
                "`epoch`",
            ),
            (
                format!("{HEAD}{system}set.run.epoch = 3\n"),
                "line 5: ",
                "`epoch`",
            ),
            (
                format!("{HEAD}[predict]\ntreshold = 1\n{system}"),
                "line 4: ",
                "`treshold`",
            ),
            (format!("{HEAD}\nsystems = []\n"), "line 4: ", "`systems`"),
            // A value out of range in the merged table does not belong to one line.
            (
                format!("{HEAD}[train.run]\nepochs = 0\n{system}"),
                "system",
                "run.epochs",
            ),
            // Fields of a system that another table names are not a fault, but the typing error is.
            (
                format!(
                    "{HEAD}[train.model]\nsystem = \"unet3d\"\n{system}\
                     set.model.channels = [2]\nset.run.seeds = 1\n"
                ),
                "system",
                "",
            ),
        ] {
            let error = StudyConfig::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(start) && error.contains(word), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let axis = "[[axis]]\nname = \"x\"\n[[axis.variant]]\nname = \"y\"\n";
        let text =
            format!("{HEAD}train = {{}}\n{axis}[[axis.variant]]\nname = \"z\"\nset.run.epoch = 1");
        let error = AblationConfig::parse(&text).unwrap_err().to_string();
        assert!(
            error.starts_with("line 10: ") && error.contains("`epoch`"),
            "{error}"
        );
    }
}
