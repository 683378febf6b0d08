//! The target `weights`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::models::WEIGHTS);
