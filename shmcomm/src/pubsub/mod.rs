//! Publish/subscribe: one publisher or several, any number of subscribers. If the ring is full, the oldest
//! messages are overwritten, or with `overflow: Wait` the publisher waits.
//!
//! Flow control for `overflow: Wait` is credit-based (Firedancer tango `fctl`, LMAX Disruptor gating
//! sequences).
//!
//! Owns both ends and their results. Calls `segment`, `ring`, `wait` and `message`. Never touches a mapping
//! or a slot itself.

mod buffer;
mod capacity;
mod error;
mod filter;
#[cfg(feature = "async")]
mod future;
mod gates;
mod identity;
mod iter;
mod loan;
mod owned;
mod publisher;
mod raw_publisher;
mod raw_subscriber;
mod sample;
mod subscriber;
#[cfg(all(test, feature = "derive"))]
mod tests;
mod watch;

pub use error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
pub use filter::Filter;
#[cfg(feature = "async")]
pub use future::{MessageStream, OwnedMessageStream};
pub use identity::PublisherId;
pub use iter::TryIter;
pub(crate) use loan::BytesLoan;
pub use loan::{Loan, TailLoan};
pub(crate) use owned::OwnedBytes;
pub use publisher::Publisher;
pub use sample::{Sample, TailSample};
pub use subscriber::{Iter, Subscriber};

use crate::layout::{Geometry, Region, control, seat};
use crate::message::Fixed;
use crate::ring;
use crate::segment::PatternOps;
use crate::sync::Ordering;

/// Seat of the publisher on a channel with `overflow: Wait`, which has only one publisher.
const PUBLISHER_SEAT: u32 = 0;

const OPS: PatternOps = PatternOps { recover: recover_seat, drained: |_, _| true };

/// Recovers the seat of a dead participant: releases the pin of a subscriber, or adds the counts of a
/// publisher to those of the channel. The next publisher repairs the slots of a dead publisher.
fn recover_seat(region: &Region, geometry: &Geometry, index: u32) {
    match index.checked_sub(geometry.publishers) {
        Some(bit) => ring::reclaim_pins(*region, geometry, bit),
        None if geometry.discipline.shared() => {
            let at = geometry.seat(index);
            // Relaxed, all: statistics. The recovering process holds the seat.
            let take = |word| region.u64(at + word).swap(0, Ordering::Relaxed);
            region.u64(control::BYTES).fetch_add(take(seat::BYTES), Ordering::Relaxed);
            region.u64(control::HEAD).fetch_max(take(seat::POSITION), Ordering::Relaxed);
        }
        None => {}
    }
}
