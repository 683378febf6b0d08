//! The target `dicom_json`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::network::DICOM_JSON);
