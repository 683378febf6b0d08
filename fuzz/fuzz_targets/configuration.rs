//! The target `configuration`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::texts::CONFIGURATION);
