//! The target `dimse_pdu`.

#![no_main]

multirnet_fuzz::fuzzer!(multirnet_fuzz::network::DIMSE_PDU);
