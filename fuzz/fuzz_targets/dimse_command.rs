//! The target `dimse_command`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::network::DIMSE_COMMAND);
