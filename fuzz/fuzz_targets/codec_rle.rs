//! The target `codec_rle`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::codecs::CODEC_RLE);
