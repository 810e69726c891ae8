//! The settings of a channel whose replies are streams.
//!
//! Owns `window` of the descriptor. Calls `check`. The setting at run time is in `opener`.

use super::{Channel, ReqStream, check};
use crate::segment::Requested;

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Channel<ReqStream<Q, R, F>> {
    /// Sets the number of replies of one request that may be unread, 1 to 65,536. The default is 16. A replier that has
    /// sent as many waits until its requester has received one. Each slot has room for the window.
    ///
    /// # Panics
    ///
    /// Panics on any other number; in a `const` this is a compile error.
    #[track_caller]
    pub const fn window(mut self, replies: usize) -> Self {
        check::window(self.name, replies);
        self.settings.window = replies;
        self.settings.asked = self.settings.asked.and(Requested::WINDOW);
        self
    }
}
