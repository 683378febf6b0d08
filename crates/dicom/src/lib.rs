//! DICOM series to volumes.
