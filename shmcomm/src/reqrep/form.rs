//! Reading and writing of messages in slots, by format.
//!
//! Owns the types of a request and of a reply while they are read. The format reads them. Never waits, and
//! never changes the state of a slot.

use super::raw_requester::RawRequester;
use crate::codec::{Incoming, View};
use crate::message::Invalid;
use crate::ring::{ForkGuard, ReplyGuard, StableBytes, queue};

/// A request while its replier reads it: in its slot, or decoded out of it.
pub(super) type RequestView<'q, Q> = View<ForkGuard<queue::Request<'q>>, Q>;

/// Function that reads a reply. It ends the request before it runs code of the message.
pub(super) type Read<R> = fn(ReplyGuard<&RawRequester>) -> Result<R, Invalid>;

/// Reads a reply of format `F`.
#[inline]
pub(super) fn read<R: ?Sized, F: Incoming<R>>(reply: ReplyGuard<&RawRequester>) -> Result<F::Owned, Invalid> {
    match &reply.end().resolved {
        None => F::take(reply),
        Some(resolved) => {
            let converted = resolved.converted(reply.bytes());
            drop(reply);
            let converted = converted?;
            F::read_private(&converted, converted.len())
        }
    }
}
