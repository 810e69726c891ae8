//! Publish/subscribe: one publisher or several, any number of subscribers. The newest messages win, or, where the
//! channel says so, the publisher waits.
//!
//! Owns both ends and what they answer. Calls `segment`, `ring`, `wait` and `message`. Never touches
//! a mapping or a slot itself.

mod buffer;
mod encoded;
mod error;
mod filter;
#[cfg(feature = "async")]
mod future;
mod identity;
mod loan;
mod publisher;
mod room;
mod sample;
mod source;
mod subscriber;
mod terms;
#[cfg(all(test, feature = "derive"))]
mod tests;
mod watch;

pub use error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
pub use filter::Filter;
#[cfg(feature = "async")]
pub use future::MessageStream;
pub use identity::PublisherId;
pub use loan::{Loan, TailLoan};
pub use publisher::Publisher;
pub use sample::{Sample, TailSample};
pub use subscriber::{Iter, Subscriber};

use crate::layout::{Geometry, Region, control, seat};
use crate::message::Fixed;
use crate::ring;
use crate::segment::Keeper;
use crate::sync::Ordering;

/// The seat of a publisher that waits: it is the only one.
const PUBLISHER_SEAT: u32 = 0;

const KEEPER: Keeper = Keeper { sweep, spent: |_, _| true };

/// A dead subscriber holds no slot. What a dead publisher left, its successor repairs; what one of several
/// counted, the segment goes on counting.
fn sweep(region: &Region, geometry: &Geometry, index: u32) {
    match index.checked_sub(geometry.publishers) {
        Some(bit) => ring::sweep_reader(*region, geometry, bit),
        None if geometry.discipline.shared() => {
            let at = geometry.seat(index);
            // Relaxed, all: figures. Whoever sweeps holds the seat.
            let take = |word| region.u64(at + word).swap(0, Ordering::Relaxed);
            region.u64(control::BYTES).fetch_add(take(seat::BYTES), Ordering::Relaxed);
            region.u64(control::HEAD).fetch_max(take(seat::POSITION), Ordering::Relaxed);
        }
        None => {}
    }
}
