//! The analysis that the listener runs: received studies through the library.

use crate::dicom_results::DicomArguments;
use crate::failure::Outcome;
use crate::model::ModelArguments;
use crate::output::say;
use crate::predicting::PredictArguments;
use multirnet::dicom::{
    DicomOptions, EarlierResult, StudyAnalysis, StudyResult, analyse_study, refuse_study,
};
use multirnet::{Error, ErrorKind, Geometry, Model, PredictOptions, StopToken};
use multirnet_base::files;
use multirnet_pacs::config::{Config, ResultsConfig};
use multirnet_pacs::store::ReceivedStudy;
use multirnet_pacs::{Analyse, AnalysisError};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// Shape and spacing in millimetres of the scan whose memory is told at the start, `(z, y, x)`.
const USUAL_SCAN: ([usize; 3], [f64; 3]) = ([300, 512, 512], [1.25, 0.75, 0.75]);

/// A model with the configuration's options.
pub struct Analysis {
    pub model: Model,
    options: PredictOptions,
    results: ResultsConfig,
}

impl Analysis {
    /// Loads what the configuration in the file `path` names. Flags in `arguments` go before it.
    pub fn new(config: &Config, path: &Path, mut arguments: ModelArguments) -> Outcome<Self> {
        let named = config.analysis.model.as_deref();
        arguments.model = arguments.model.or_else(|| named.map(|n| within(path, n)));
        let model = arguments.load()?;
        let changes = PredictArguments {
            config: config.analysis.options.clone(),
            memory_limit: config.analysis.memory_limit_mib,
            ..PredictArguments::default()
        };
        let options = changes.options(&model)?;
        Ok(Self {
            options,
            model,
            results: config.results.clone(),
        })
    }

    /// Bytes that the analysis of a usual scan takes.
    pub fn usual_bytes(&self) -> Outcome<u64> {
        let (shape, spacing) = USUAL_SCAN;
        let grid = Geometry::axial(shape, spacing).map_err(multirnet::Error::from)?;
        Ok(self.model.plan(&grid, false, &self.options).peak())
    }

    /// How the results of `study` are written now.
    fn dicom(&self, study: &ReceivedStudy) -> multirnet::Result<DicomOptions> {
        let results = &self.results;
        let arguments = DicomArguments {
            labelmap: results.labelmap,
            all_frames: results.all_frames,
            enhanced_sr: results.enhanced_sr,
            station: results.station.clone(),
        };
        let mut options = arguments.options()?;
        let previous = study.previous.iter().flat_map(|p| &p.results);
        options.replaces = previous
            .map(|r| EarlierResult {
                series_uid: r.series_uid.clone(),
                sop_class_uid: r.sop_class_uid.clone(),
                instance_uid: r.sop_instance_uid.clone(),
            })
            .collect();
        Ok(options)
    }
}

/// A model's path in a configuration lies in the folder of that file. A name stays a name.
fn within(config: &Path, model: &str) -> PathBuf {
    match model.contains(['/', MAIN_SEPARATOR]) {
        true => files::parent(config).join(model),
        false => PathBuf::from(model),
    }
}

impl Analyse for Analysis {
    fn analyse(
        &self,
        study: &ReceivedStudy,
        out: &Path,
        stop: &StopToken,
    ) -> Result<Vec<PathBuf>, AnalysisError> {
        let analysis = StudyAnalysis {
            model: &self.model,
            options: &self.options,
            dicom: &self.dicom(study)?,
        };
        let result = analyse_study(&study.folder, out, &analysis, stop)?;
        tell(study, &result);
        Ok(result.files)
    }

    fn refuse(
        &self,
        study: &ReceivedStudy,
        out: &Path,
        reason: &str,
    ) -> Result<Vec<PathBuf>, AnalysisError> {
        let error = Error::new(ErrorKind::Scan, reason);
        Ok(refuse_study(
            &study.folder,
            out,
            &error,
            &self.dicom(study)?,
        )?)
    }
}

/// Says what was found, without anything that names a patient. Files that a reason names have UIDs for
/// names.
fn tell(study: &ReceivedStudy, result: &StudyResult) {
    let plan = result.plan.as_ref();
    let plan = plan.map_or_else(String::new, |p| {
        format!(" (memory planned: at most {} MiB)", p.peak() >> 20)
    });
    match (&result.finding, &result.refusal) {
        (Some(finding), _) => say(&format!(
            "{}: {:.1} % of the lungs are involved{plan}",
            study.job,
            100.0 * finding.involvement.both.fraction
        )),
        (None, Some(refusal)) => say(&format!(
            "{}: not analysed: {}{plan}",
            study.job,
            refusal.reason()
        )),
        (None, None) => {}
    }
}
