//! The target `dicom_file`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::dicom::DICOM_FILE);
