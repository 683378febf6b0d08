//! All targets.

use crate::{Target, codecs, dicom, files, interface, models, network, texts, volumes};

/// All targets.
pub static TARGETS: [&Target; 20] = [
    &volumes::NIFTI,
    &volumes::NRRD,
    &volumes::METAIMAGE,
    &volumes::PICTURE,
    &dicom::DICOM_FILE,
    &dicom::DICOM_ZIP,
    &codecs::CODEC_RLE,
    &codecs::CODEC_JPEG,
    &codecs::CODEC_JPEG_LS,
    &codecs::CODEC_JPEG_2000,
    &network::DIMSE_PDU,
    &network::DIMSE_COMMAND,
    &network::MULTIPART,
    &network::DICOM_JSON,
    &texts::MANIFEST,
    &texts::CONFIGURATION,
    &models::WEIGHTS,
    &models::CHECKPOINT,
    &files::CACHE_ENTRY,
    &interface::INTERFACE,
];
