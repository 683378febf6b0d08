//! The target `picture`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::volumes::PICTURE);
