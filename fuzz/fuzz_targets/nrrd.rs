//! The target `nrrd`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::volumes::NRRD);
