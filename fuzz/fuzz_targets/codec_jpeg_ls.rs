//! The target `codec_jpeg_ls`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::codecs::CODEC_JPEG_LS);
