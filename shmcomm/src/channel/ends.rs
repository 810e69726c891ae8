//! Constructors of the ends of a channel.

use super::{Channel, Opener, PubSub, PushPull, ReqRep, ReqStream, Table};
use crate::layout::Pattern;
use crate::message::ShmMessage;
use crate::table::{Key, TableKeys, TableReader, TableWriter};
use crate::{
    Error, Publisher, Puller, Pusher, Replier, Requester, StreamReplier, StreamRequester, Subscriber,
};

impl<M: ?Sized, F: ?Sized> Opener<PubSub<M, F>> {
    /// Opens the sending end: creates the channel, or continues where a publisher that ended or died left it.
    /// Does not wait.
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyPublished`](crate::ErrorKind::AlreadyPublished) while another publisher lives. Also
    /// fails on wrong settings and on errors of the system: see [`ErrorKind`](crate::ErrorKind).
    pub fn publisher(self) -> Result<Publisher<M, F>, Error> {
        Publisher::open(self.spec(Pattern::PubSub)?)
    }

    /// Opens a receiving end. Waits for the channel to appear, up to the connect timeout.
    ///
    /// # Errors
    ///
    /// Returns [`NotFound`](crate::ErrorKind::NotFound) after the connect timeout. Returns
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) if the messages of the channel have another layout:
    /// the error names the first field that differs. For other errors see [`ErrorKind`](crate::ErrorKind).
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
    /// Returns [`TypeMismatch`](crate::ErrorKind::TypeMismatch) if the messages of the channel have another
    /// layout. Also fails on wrong settings and on errors of the system: see [`ErrorKind`](crate::ErrorKind).
    pub fn pusher(self) -> Result<Pusher<M, F>, Error> {
        Pusher::open(self.spec(Pattern::PushPull)?)
    }

    /// Opens a receiving end; creates the channel if this is its first end. Does not wait.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`pusher`](Self::pusher).
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

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Opener<ReqRep<Q, R, F>> {
    /// Opens a requester; creates the channel if this is its first end. Does not wait.
    ///
    /// # Errors
    ///
    /// Returns [`TypeMismatch`](crate::ErrorKind::TypeMismatch) if the messages of the channel have another
    /// layout. Also fails on wrong settings and on errors of the system: see [`ErrorKind`](crate::ErrorKind).
    pub fn requester(self) -> Result<Requester<Q, R, F>, Error> {
        Requester::open(self.spec(Pattern::ReqRep)?)
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Opener<ReqRep<Q, R, F>> {
    /// Opens a replier; creates the channel if this is its first end. Does not wait.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`requester`](Self::requester).
    pub fn replier(self) -> Result<Replier<Q, R, F>, Error> {
        Replier::open(self.spec(Pattern::ReqRep)?)
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Channel<ReqRep<Q, R, F>> {
    /// Opens a requester: see [`Opener::requester`].
    pub fn requester(&self) -> Result<Requester<Q, R, F>, Error> {
        self.open().requester()
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Channel<ReqRep<Q, R, F>> {
    /// Opens a replier: see [`Opener::replier`].
    pub fn replier(&self) -> Result<Replier<Q, R, F>, Error> {
        self.open().replier()
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Opener<ReqStream<Q, R, F>> {
    /// Opens a requester; creates the channel if this is its first end. Does not wait.
    ///
    /// # Errors
    ///
    /// Returns [`TypeMismatch`](crate::ErrorKind::TypeMismatch) if the messages of the channel have another layout, and
    /// [`ChannelMismatch`](crate::ErrorKind::ChannelMismatch) if its requests have one reply. Also fails on wrong
    /// settings and on errors of the system: see [`ErrorKind`](crate::ErrorKind).
    pub fn requester(self) -> Result<StreamRequester<Q, R, F>, Error> {
        StreamRequester::open(self.spec(Pattern::ReqRep)?)
    }

    /// Opens a replier; creates the channel if this is its first end. Does not wait.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`requester`](Self::requester).
    pub fn replier(self) -> Result<StreamReplier<Q, R, F>, Error> {
        StreamReplier::open(self.spec(Pattern::ReqRep)?)
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Channel<ReqStream<Q, R, F>> {
    /// Opens a requester: see [`Opener::requester`].
    pub fn requester(&self) -> Result<StreamRequester<Q, R, F>, Error> {
        self.open().requester()
    }

    /// Opens a replier: see [`Opener::replier`].
    pub fn replier(&self) -> Result<StreamReplier<Q, R, F>, Error> {
        self.open().replier()
    }
}

impl<T: TableKeys + ?Sized> Opener<Table<T>> {
    /// Opens the writer of a key; creates the table if this is its first writer. Does not wait.
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyPublished`](crate::ErrorKind::AlreadyPublished) with the process id while another writer of the key
    /// lives. Returns [`TypeMismatch`](crate::ErrorKind::TypeMismatch) if the table has other keys, or a key of another
    /// layout: the error names the first key that differs. For other errors see [`ErrorKind`](crate::ErrorKind).
    pub fn writer<V: ShmMessage>(self, key: Key<T, V>) -> Result<TableWriter<T, V>, Error> {
        TableWriter::open(&self.spec(Pattern::Table)?, key)
    }

    /// Opens a reader. Waits for the table to appear, up to the connect timeout. A reader takes no seat.
    ///
    /// # Errors
    ///
    /// Returns [`NotFound`](crate::ErrorKind::NotFound) after the connect timeout, and
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) like [`writer`](Self::writer). For other errors see
    /// [`ErrorKind`](crate::ErrorKind).
    pub fn reader(self) -> Result<TableReader<T>, Error> {
        TableReader::open(self.spec(Pattern::Table)?)
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Channel<ReqRep<Q, R, F>> {
    /// Sets whether a request whose replier died goes to another replier. By default it does not, and its
    /// requester gets an error: the dead replier may have done half of the work.
    pub const fn redeliver(mut self, redeliver: bool) -> Self {
        self.settings.redeliver = redeliver;
        self
    }
}

impl<T: ?Sized> Channel<Table<T>> {
    /// Lets several writers store each key, in turn. All programs must declare the same.
    pub const fn many_writers(mut self) -> Self {
        self.settings.many_writers = true;
        self
    }
}

impl<T: TableKeys + ?Sized> Channel<Table<T>> {
    /// Opens the writer of a key: see [`Opener::writer`].
    pub fn writer<V: ShmMessage>(&self, key: Key<T, V>) -> Result<TableWriter<T, V>, Error> {
        self.open().writer(key)
    }

    /// Opens a reader: see [`Opener::reader`].
    pub fn reader(&self) -> Result<TableReader<T>, Error> {
        self.open().reader()
    }
}
