//! From a channel to its ends.

use super::{Channel, Opener, PubSub, PushPull};
use crate::layout::Pattern;
use crate::{Error, Publisher, Puller, Pusher, Subscriber};

impl<M: ?Sized, F: ?Sized> Opener<PubSub<M, F>> {
    /// Opens the sending end: creates the channel, or carries on where a publisher that ended or died
    /// left it. Does not wait.
    ///
    /// # Errors
    ///
    /// [`AlreadyPublished`](crate::ErrorKind::AlreadyPublished) while another publisher lives; wrong
    /// settings; what the system refuses: see [`ErrorKind`](crate::ErrorKind).
    pub fn publisher(self) -> Result<Publisher<M, F>, Error> {
        Publisher::open(self.spec(Pattern::PubSub)?)
    }

    /// Opens a receiving end. Waits for the channel to appear, up to the connect timeout.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) after the connect timeout;
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) if the messages there have another layout: the
    /// error names the first field that differs; others see [`ErrorKind`](crate::ErrorKind).
    pub fn subscriber(self) -> Result<Subscriber<M, F>, Error> {
        Subscriber::open(self.spec(Pattern::PubSub)?)
    }
}

impl<M: ?Sized, F: ?Sized> Channel<PubSub<M, F>> {
    /// Opens the sending end: see [`Opener::publisher`].
    pub fn publisher(&self) -> Result<Publisher<M, F>, Error> {
        self.open().publisher()
    }

    /// Opens a receiving end: see [`Opener::subscriber`].
    pub fn subscriber(&self) -> Result<Subscriber<M, F>, Error> {
        self.open().subscriber()
    }
}

impl<M: ?Sized, F: ?Sized> Opener<PushPull<M, F>> {
    /// Opens a sending end; creates the channel if this is its first end. Does not wait.
    ///
    /// # Errors
    ///
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) if the messages there have another layout;
    /// wrong settings; what the system refuses: see [`ErrorKind`](crate::ErrorKind).
    pub fn pusher(self) -> Result<Pusher<M, F>, Error> {
        Pusher::open(self.spec(Pattern::PushPull)?)
    }

    /// Opens a receiving end; creates the channel if this is its first end. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`pusher`](Self::pusher).
    pub fn puller(self) -> Result<Puller<M, F>, Error> {
        Puller::open(self.spec(Pattern::PushPull)?)
    }
}

impl<M: ?Sized, F: ?Sized> Channel<PushPull<M, F>> {
    /// Opens a sending end: see [`Opener::pusher`].
    pub fn pusher(&self) -> Result<Pusher<M, F>, Error> {
        self.open().pusher()
    }

    /// Opens a receiving end: see [`Opener::puller`].
    pub fn puller(&self) -> Result<Puller<M, F>, Error> {
        self.open().puller()
    }
}
