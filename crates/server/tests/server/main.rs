//! The server through its HTTP interface, in this process, on small phantoms.

mod access;
mod corrections;
mod durability;
mod guessing;
mod hostile;
mod interface;
mod jobs;
mod limits;
mod many;
mod privacy;
mod raw;
mod results;
mod slow;
mod smuggling;
mod studies;
mod support;
mod traversal;
