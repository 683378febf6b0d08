//! The crate's parts against each other, on this machine and without outside tools.

mod archive;
mod clients;
mod drops;
mod faults;
mod floods;
mod kills;
mod listening;
mod network;
mod studies;
mod support;
mod tls;
