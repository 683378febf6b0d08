//! The target `nifti`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::volumes::NIFTI);
