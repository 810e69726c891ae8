//! The server as browsers and clients of the Foxglove protocol see it, honest ones and others.

mod channels;
mod client;
mod connect;
mod hostile;
mod publish;
