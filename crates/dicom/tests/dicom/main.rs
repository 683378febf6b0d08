//! Behaviour of the reader on series made here, byte by byte.

mod compressed;
mod damage;
mod irregular;
mod reading;
mod refusals;
mod support;
