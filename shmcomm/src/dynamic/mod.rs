//! Channels whose Rust types the program does not have: their facts, participants and messages at run time.
//!
//! Owns [`describe`], [`Observer`], [`TableObserver`] and the ends that take their layout from a segment. Calls the patterns and
//! `schema`. Never changes a protocol: a dynamic end is a typed end whose messages are bytes.

mod content;
mod declaration;
mod description;
#[cfg(all(test, feature = "derive", feature = "msgpack", feature = "pickle"))]
mod encoded_tests;
mod end;
mod error;
mod job;
mod keys;
mod loan;
mod message;
mod observer;
mod payload;
mod pubsub;
mod pushpull;
mod reqrep;
mod sample;
mod stream;
mod table;
mod table_reader;
#[cfg(all(test, feature = "derive"))]
mod table_tests;
mod table_writer;

pub use content::Content;
pub use declaration::Declaration;
pub use description::{Description, Wire, describe, describe_in_group};
pub use error::{DynError, ValueError};
pub use job::DynJob;
pub use loan::DynLoan;
pub use message::DynMessage;
pub use observer::{Observed, ObservedMessage, Observer};
pub use pubsub::{DynPublisher, DynSubscriber};
pub use pushpull::{DynPuller, DynPusher};
pub use reqrep::{DynReplier, DynRequest, DynRequester};
pub use sample::DynSample;
pub use stream::DynReplies;
pub use table::{ObservedValue, TableObserver};
pub use table_reader::{DynKeyChanges, DynTableReader};
pub use table_writer::DynTableWriter;
