//! `Debug` of the native ends: name, pattern and figures.
//!
//! Owns those implementations. Calls the public methods of the ends, which load figures from the segment and ask the
//! kernel which participants live. Never blocks, and shows zeros in the child of a fork.

use crate::layout::Pattern;
use crate::pubsub::{Publisher, Subscriber};
use crate::pushpull::{Puller, Pusher};
use crate::reqrep::{Replier, Requester, StreamReplier, StreamRequester};
use crate::stats::Stats;
use core::fmt::{Debug, DebugStruct, Formatter, Result};

/// Shows what all ends have.
fn show<'a, 'b>(
    f: &'a mut Formatter<'b>,
    end: &str,
    channel: &str,
    pattern: Pattern,
    stats: &Stats,
) -> DebugStruct<'a, 'b> {
    let mut shown = f.debug_struct(end);
    shown.field("channel", &channel).field("pattern", &pattern.name());
    shown.field("messages", &stats.messages).field("slots", &stats.slots);
    shown.field("participants", &stats.participants.len());
    if let Some(backlog) = &stats.backlog {
        shown.field("waiting", &backlog.waiting);
    }
    shown
}

macro_rules! debug {
    ($end:ident<$($type:ident),*>, $pattern:ident $(, $figure:ident)*) => {
        impl<$($type: ?Sized),*> Debug for $end<$($type),*> {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                let mut shown = show(f, stringify!($end), self.name(), Pattern::$pattern, &self.stats());
                $(shown.field(stringify!($figure), &self.$figure());)*
                shown.finish_non_exhaustive()
            }
        }
    };
}

debug!(Publisher<M, F>, PubSub);
debug!(Subscriber<M, F>, PubSub, received, lost, lag);
debug!(Pusher<M, F>, PushPull);
debug!(Puller<M, F>, PushPull);
debug!(Requester<Q, R, F>, ReqRep);
debug!(Replier<Q, R, F>, ReqRep);
debug!(StreamRequester<Q, R, F>, ReqRep);
debug!(StreamReplier<Q, R, F>, ReqRep);
