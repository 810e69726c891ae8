//! A bridge that carries shmcomm channels between machines, on zenoh.
//!
//! Owns [`Config`] and [`Bridge`]. Calls the library's dynamic ends and zenoh. Never reads another process's messages
//! unless a pattern of the configuration names the channel.
//!
//! | module | owns |
//! |---|---|
//! | `config` | flags and the TOML file |
//! | `context` | what exports and imports share |
//! | `session` | the zenoh session: endpoints, TLS, times of reconnection |
//! | `keys` | names on the network |
//! | `wire` | the description of a channel and the head of a message, as bytes that may be hostile |
//! | `losses` | the last message of each channel, and how many are missing before the next |
//! | `local`, `export` | channels of this host, and the way out of their messages |
//! | `routes` | the bridges that channels have passed, as bridges of a host tell each other |
//! | `offers`, `import` | channels of other hosts, and the way in of their messages |
//! | `serve`, `call` | request/reply: the way out and in |
//! | `drain`, `feed` | push/pull: the way out and in |
//! | `resolve` | conversions between two layouts of a service or queue |
//! | `ends` | exports and imports of all patterns |
//! | `bridge` | the loop that opens and closes exports and imports |
//! | `counts`, `metrics` | the counters, and their text for Prometheus |

mod bridge;
mod call;
mod config;
mod context;
mod counts;
mod drain;
mod ends;
mod export;
mod feed;
mod import;
mod keys;
mod local;
mod losses;
mod metrics;
mod offers;
mod resolve;
mod routes;
mod serve;
mod session;
mod wire;

pub use bridge::Bridge;
pub use config::{Config, Mode, Rule, Tls};

/// Reason why the bridge could not start or continue: what happened, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BridgeError(pub(crate) String);
