//! The parts of a study that can run apart: each system in each division.

use crate::config::StudyConfig;
use crate::division::Division;
use crate::options::Options;
use crate::{Error, ErrorKind, Result, run};
use multirnet_base::StopToken;
use std::fmt;
use std::path::Path;

/// One training of a study, and the scores of its test scans. Parts do not depend on each other, so
/// several machines can run them in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The system's id.
    pub system: String,
    /// The division's name.
    pub division: String,
}

impl fmt::Display for Part {
    /// Writes `SYSTEM/DIVISION`, which [`StudyConfig::part`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.system, self.division)
    }
}

impl StudyConfig {
    /// All parts, division by division. They follow from the configuration alone; the cohort need not
    /// exist yet.
    pub fn parts(&self) -> Vec<Part> {
        let part = |division: &String| {
            let division = division.clone();
            self.systems.iter().map(move |system| Part {
                system: system.id.clone(),
                division: division.clone(),
            })
        };
        Division::names(self).iter().flat_map(part).collect()
    }

    /// The part called `name`.
    ///
    /// # Errors
    /// `Config` if there is none; the remedy lists the names.
    pub fn part(&self, name: &str) -> Result<Part> {
        let parts = self.parts();
        let names: Vec<String> = parts.iter().map(Part::to_string).collect();
        let found = names.iter().position(|n| n == name);
        found.map(|i| parts[i].clone()).ok_or_else(|| {
            let names = multirnet_base::error::name_some(&names);
            Error::new(ErrorKind::Config, format!("the study has no part {name:?}"))
                .hint(format!("its parts are {names}"))
        })
    }
}

/// Trains and scores one part of the study in the folder `root`. What is finished is kept. Several
/// programs may run different parts in one folder at the same time, on one or several machines.
/// [`run()`](crate::run()) then finds all parts finished and gives the same results as if it had run them.
///
/// # Errors
/// As [`run()`](crate::run()); `Write` if another program trains the same part.
pub fn run_part(
    config: &StudyConfig,
    part: &Part,
    root: &Path,
    options: &mut Options<'_>,
    stop: &StopToken,
) -> Result<()> {
    let (folder, cohort) = run::open(config, root, options, stop)?;
    let divisions = Division::all(config, &cohort)?;
    for division in divisions.iter().filter(|d| d.name == part.division) {
        let systems = config.systems.iter().filter(|s| s.id == part.system);
        let systems: Vec<_> = systems.collect();
        run::run_division(config, division, &systems, &folder, options, stop)?;
    }
    Ok(())
}
