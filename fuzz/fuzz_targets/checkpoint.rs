//! The target `checkpoint`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::models::CHECKPOINT);
