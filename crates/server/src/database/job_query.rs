//! What a list of jobs is asked for.

use crate::job::{ClassName, JobState};
use multirnet::Diagnosis;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which jobs a list has, and in which order.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs with this most probable class: `normal`, `cap` or `covid19`.
    #[param(value_type = Option<ClassName>)]
    pub diagnosis: Option<Diagnosis>,
    /// Only jobs with this latest verdict; `none` for those without one.
    pub reviewed: Option<ReviewFilter>,
    /// Only jobs whose name, patient or description holds this text.
    pub q: Option<String>,
    /// What the list is sorted by.
    pub sort: JobOrder,
    /// `asc` or `desc`.
    pub order: Direction,
    /// Most jobs of the answer, 1 to 500; 50 if left out.
    #[param(value_type = Option<u64>, minimum = 0, maximum = 4294967295_u64)]
    pub limit: Option<u32>,
    /// How many jobs of the list come before the answer.
    #[param(value_type = u64, minimum = 0, maximum = 4294967295_u64)]
    pub offset: u32,
}

/// What readers did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewFilter {
    /// Nobody has read the result.
    None,
    /// The latest reader confirmed it.
    Confirmed,
    /// The latest reader corrected it.
    Corrected,
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobOrder {
    /// When the job was taken in.
    #[default]
    Created,
    /// When it ended.
    Finished,
    /// Its name.
    Name,
    /// The share of the lungs that is involved.
    Share,
    /// Its state.
    State,
}

/// The direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Smallest first.
    Asc,
    /// Largest first.
    #[default]
    Desc,
}
