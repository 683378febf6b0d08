//! The target `interface`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::interface::INTERFACE);
