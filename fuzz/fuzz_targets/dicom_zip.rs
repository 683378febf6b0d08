//! The target `dicom_zip`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::dicom::DICOM_ZIP);
