//! Behaviour of the reader on series that the tests write byte by byte.

mod compressed;
mod damage;
mod irregular;
mod reading;
mod refusals;
mod support;
