//! Recording and replay of [shmcomm] channels in MCAP, the container format of Foxglove and ROS 2.
//!
//! Owns the encodings that other programs read ([`encoding`]), the [`Recorder`] and the [`Player`]. Calls the public
//! API of `shmcomm`, and the crate `mcap` for files. Never writes to a channel that it records.
//!
//! ```
//! use shmcomm::{Channel, PubSub, describe};
//! use shmcomm_record::encoding::{Encoder, Encoding};
//!
//! # let ns = format!("doc-record-{}", std::process::id());
//! const POSE: Channel<PubSub<[f64; 3]>> = Channel::new("pose");
//! let publisher = POSE.open().namespace(&ns).publisher()?;
//!
//! let description = describe(publisher.name())?.expect("the publisher has made it");
//! let encoder = Encoder::of(&description, Encoding::Ros2)?;
//! assert_eq!((encoder.schema().encoding, encoder.message_encoding()), ("ros2msg", "cdr"));
//! assert_eq!(encoder.schema().text(), "float64[3] value\n");
//! let cdr = encoder.encode(&[0; 24])?;
//! assert_eq!(encoder.decode(&cdr)?, [0; 24]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod encoding;
mod error;
mod facts;
pub mod names;
mod player;
mod reader;
mod recorder;
mod target;

pub use error::{PlayError, RecordError};
pub use facts::ChannelFacts;
pub use player::{PlayOptions, Played, Player};
pub use reader::{Messages, RecordedChannel, RecordedMessage, read};
pub use recorder::{ChannelReport, Compression, Notice, RecordOptions, Recorder};

/// Compiles and runs the programs of the page.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/recording.md")]
    mod recording {}
}
