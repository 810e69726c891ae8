//! Publish/subscribe: one publisher, any number of subscribers. The newest messages win, or, where the
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
pub use loan::{Loan, TailLoan};
pub use publisher::Publisher;
pub use sample::{Sample, TailSample};
pub use subscriber::{Iter, Subscriber};

use crate::layout::{Geometry, Region};
use crate::message::Fixed;
use crate::segment::Keeper;

/// The one publisher's seat. Subscriber on seat `i` has reader bit `i - 1`.
const PUBLISHER_SEAT: u32 = 0;

const KEEPER: Keeper = Keeper { sweep, spent: |_, _| true };

/// A dead subscriber holds no slot. What a dead publisher left, its successor repairs.
fn sweep(region: &Region, geometry: &Geometry, seat: u32) {
    if seat != PUBLISHER_SEAT {
        crate::ring::sweep_reader(*region, geometry, seat - 1);
    }
}
