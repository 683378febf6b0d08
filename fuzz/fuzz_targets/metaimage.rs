//! The target `metaimage`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::volumes::METAIMAGE);
