//! [`RequestLoan`]: a request that its requester writes in its slot.
//!
//! Owns the guard. Never waits; the release of a slot is in `raw_requester`.

use super::form::read;
use super::raw_requester::RawRequester;
use super::{Call, CallError};
use crate::message::in_place::InPlaceMut;
use crate::message::{Fixed, ShmMessage};
use crate::ring::RequestSlot;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// A request that is being built in its slot, which the loan dereferences to. See
/// [`Requester::loan`](super::Requester::loan).
///
/// A dropped loan sends no request and frees the slot. A forgotten loan keeps the slot until the requester is
/// dropped.
#[must_use = "a loan that is dropped sends nothing"]
pub struct RequestLoan<'r, Q, R> {
    place: InPlaceMut<RequestSlot<&'r RawRequester>, Q>,
    end: &'r RawRequester,
    _reply: PhantomData<fn() -> R>,
}

impl<'r, Q: ShmMessage, R: ShmMessage> RequestLoan<'r, Q, R> {
    #[inline]
    pub(super) fn new(unsent: RequestSlot<&'r RawRequester>, end: &'r RawRequester) -> Self {
        RequestLoan { place: InPlaceMut::new(unsent), end, _reply: PhantomData }
    }

    /// Sends the request and wakes a replier that sleeps. Never blocks.
    ///
    /// # Errors
    /// [`CallError::Damaged`] if another process has overwritten the slot's word, [`CallError::Forked`] in a
    /// forked child.
    pub fn send(self) -> Result<Call<'r, R>, CallError> {
        let ticket = self.end.publish(self.place.into_keeper().into_raw(), size_of::<Q>())?;
        Ok(Call::new(self.end, ticket, read::<R, Fixed>))
    }
}

impl<Q: ShmMessage, R> Deref for RequestLoan<'_, Q, R> {
    type Target = Q;

    fn deref(&self) -> &Q {
        self.place.get()
    }
}

impl<Q: ShmMessage, R> DerefMut for RequestLoan<'_, Q, R> {
    fn deref_mut(&mut self) -> &mut Q {
        self.place.get_mut()
    }
}

impl<Q: ShmMessage + fmt::Debug, R> fmt::Debug for RequestLoan<'_, Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestLoan").field(&**self).finish()
    }
}
