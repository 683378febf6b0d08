//! The target `manifest`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::texts::MANIFEST);
