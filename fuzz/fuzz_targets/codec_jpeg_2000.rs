//! The target `codec_jpeg_2000`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::codecs::CODEC_JPEG_2000);
