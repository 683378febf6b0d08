//! The result of a scan's analysis, which every interface of the program shows: the [`Finding`]
//! with its [`Probabilities`], the [`Involvement`] of the lungs and of each [`LesionKind`], and the
//! [`Maps`] on the scan's own grid. This crate does not depend on a network.
//!
//! ```
//! use multirnet_finding::{LesionKind, Probabilities, involvement, kind_involvement};
//! use multirnet_volume::{Diagnosis, Geometry, Volume};
//!
//! let grid = Geometry::axial([3, 4, 8], [5.0, 2.0, 2.0])?;
//! let lungs = Volume::from_fn(grid, |[_, _, x]| if x < 4 { 1 } else { 2 });
//! // Ground glass (1) in a half of the right lung, consolidation (2) in a quarter of the left one.
//! let lesions = Volume::from_fn(grid, |[_, _, x]| match x {
//!     0 | 1 => LesionKind::GroundGlass.value(),
//!     7 => LesionKind::Consolidation.value(),
//!     _ => 0,
//! });
//! let measured = involvement(&lungs, &lesions)?;
//! assert_eq!((measured.right.fraction, measured.left.fraction), (0.5, 0.25));
//! let kinds = kind_involvement(&lungs, &lesions)?;
//! assert_eq!(kinds[0].lesion_ml + kinds[1].lesion_ml, measured.both.lesion_ml);
//!
//! let probabilities = Probabilities::from_array([0.2, 0.1, 0.7]);
//! assert_eq!(probabilities.top(), Diagnosis::Covid19);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod finding;
mod involvement;
mod kinds;
mod lesions;
mod maps;
mod native;
mod probabilities;
mod scored_on;
mod validated_on;

pub use error::{Error, ErrorKind, Result};
pub use finding::{Finding, NOTICE, Provenance, SCHEMA, ScanSource, Timing};
pub use involvement::{Involvement, ZoneInvolvement, involvement};
pub use kinds::{KindInvolvement, LesionKind, kind_involvement};
pub use lesions::{
    Lesion, LesionChanges, LesionMaterial, Lung, MOST_LESIONS, lesion_changes, lesions,
};
pub use maps::{Maps, Prediction};
pub use native::{NativeBox, NativeMap};
pub use probabilities::Probabilities;
pub use scored_on::ScoredOn;
pub use validated_on::ValidatedOn;
