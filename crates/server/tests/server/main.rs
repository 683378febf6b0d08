//! The server through its HTTP interface, in this process, on small phantoms.

mod access;
mod corrections;
mod durability;
mod interface;
mod jobs;
mod limits;
mod results;
mod studies;
mod support;
