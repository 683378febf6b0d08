//! The target `codec_jpeg`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::codecs::CODEC_JPEG);
