//! Behaviour of the reader and of the writers of results on series that the tests write byte by byte.

mod compressed;
mod damage;
mod irregular;
mod reading;
mod refusals;
mod results;
mod support;
