//! The study as the figures see it.

use crate::division::Division;
use crate::folder::Folder;
use crate::{Error, ErrorKind, Result, Results, StudyConfig};
use multirnet_base::StopToken;
use multirnet_cohort::{Cohort, load::Reader};
use multirnet_infer::DeviceChoice;

/// The data that figures are drawn from.
pub(super) struct Study<'a> {
    pub(super) config: StudyConfig,
    pub(super) folder: Folder,
    pub(super) cohort: Cohort,
    pub(super) divisions: Vec<Division>,
    pub(super) results: Results,
    pub(super) read: &'a Reader<'a>,
    /// The device that networks run on.
    pub(super) device: DeviceChoice,
    /// Ends the drawing early when it is raised.
    pub(super) stop: &'a StopToken,
}

/// Ends the drawing if `stop` is raised.
///
/// # Errors
/// `Interrupted`.
pub(super) fn check_stop(stop: &StopToken) -> Result<()> {
    match stop.is_raised() {
        true => Err(Error::interrupted_drawing()),
        false => Ok(()),
    }
}

impl Study<'_> {
    /// The division and the case of score number `index` of each system's list.
    pub(super) fn place(&self, index: usize) -> Option<(&Division, usize)> {
        let all = self.divisions.iter();
        let mut all = all.flat_map(|d| d.test().into_iter().map(move |case| (d, case)));
        all.nth(index)
    }
}

/// An error of the drawing crate.
pub(super) fn figure_error(e: multirnet_report::Error) -> Error {
    Error::caused(ErrorKind::Figure, e)
}
