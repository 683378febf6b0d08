//! The target `multipart`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::network::MULTIPART);
