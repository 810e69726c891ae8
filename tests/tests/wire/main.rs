//! Channels with a Python process on the other end.

mod dynamic;
mod full;
mod msgpack;
mod names;
mod owner;
mod pubsub;
mod pushpull;
mod reqrep;
mod standard;
mod turns;
mod values;
