//! The target `cache_entry`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::files::CACHE_ENTRY);
