//! Live view of shmcomm channels: one port for a page in a browser and for clients of the Foxglove WebSocket
//! protocol.
//!
//! [`Server::start`] listens. A browser that opens [`Server::url`] gets a page with all channels, their rates,
//! losses and lags, live values and plots. The page needs no network. Foxglove, Lichtblick and other clients of
//! the protocol connect to the same port.
//!
//! The server takes no seat: it sees messages as a [`shmcomm::Observer`] does, so no publisher waits for it. It
//! listens on loopback, answers the processes of its own user only, and refuses the pages of other sites.
//! `docs/viewing.md` in the repository describes what is exposed.
//!
//! ```
//! use shmcomm_view::{Options, Server};
//!
//! let server = Server::start(Options { bind: "127.0.0.1:0".parse()?, ..Options::default() })?;
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! server.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod catalog;
mod client;
mod encoding;
mod feed;
mod figures;
mod gate;
mod http;
mod options;
mod page;
mod protocol;
mod publish;
mod server;
mod shown;
mod wire;

pub use options::{DEFAULT_PORT, Options, OptionsError};
pub use server::{Event, Server, StartError};
