//! The receiving methods, which have the same names on all ends.
//!
//! Owns [`Source`], the requirements on an end, and the macro with the methods. Calls `poll`.

use super::RecvError;
use super::format::Reading;
use super::poll::Poll;

/// An end that copies messages to a private buffer.
pub(super) trait Source: Poll<Output = Result<usize, RecvError>> {
    /// Returns the message of `len` bytes that was copied last.
    fn bytes(&self, len: usize) -> &[u8];

    /// Returns the way in which messages are read.
    fn reading(&self) -> &Reading;

    /// Counts a message that the format refused.
    fn refused(&mut self);
}

/// Defines `try_recv`, `recv`, `recv_timeout`, `recv_deadline`, and the same methods for raw bytes. The end
/// has a `source`, and the impl names the message `$M` and the format `$F`.
macro_rules! receive {
    ($M:ident, $F:ident, $what:literal) => {
        #[doc = concat!("The next ", $what, ", if there is one. Never blocks.")]
        ///
        /// # Errors
        /// [`TryRecvError::Empty`] if there is none; for the other errors see [`TryRecvError`].
        pub fn try_recv(&mut self) -> Result<$M, TryRecvError> {
            let len = poll::once(&mut self.source).ok_or(TryRecvError::Empty)??;
            Ok(self.decode(len)?)
        }

        #[doc = concat!("The next ", $what, "; blocks until there is one. ")]
        /// Polls every 50 µs at first, and every millisecond in the end.
        ///
        /// The message is returned by value: one of a large fixed layout takes its size of stack, in a debug
        /// build several times. `recv_boxed` and its like take none.
        ///
        /// # Errors
        /// See [`RecvError`].
        pub fn recv(&mut self) -> Result<$M, RecvError> {
            loop {
                if let Some(len) = poll::until(&mut self.source, Deadline::Never)? {
                    return self.decode(len?);
                }
            }
        }

        #[doc = concat!("The next ", $what, "; blocks for at most `timeout`. A timeout of zero polls once.")]
        ///
        /// # Errors
        /// [`RecvTimeoutError::Timeout`] if none came in time; for the other errors see [`RecvTimeoutError`].
        pub fn recv_timeout(&mut self, timeout: Duration) -> Result<$M, RecvTimeoutError> {
            let len = poll::until(&mut self.source, Deadline::after(timeout)).map_err(RecvError::from)?;
            Ok(self.decode(len.ok_or(RecvTimeoutError::Timeout)??)?)
        }

        #[doc = concat!("The next ", $what, "; blocks until `deadline` at the latest.")]
        ///
        /// # Errors
        /// [`RecvTimeoutError::Timeout`] if none came in time; for the other errors see [`RecvTimeoutError`].
        pub fn recv_deadline(&mut self, deadline: Instant) -> Result<$M, RecvTimeoutError> {
            let len = poll::until(&mut self.source, Deadline::At(deadline)).map_err(RecvError::from)?;
            Ok(self.decode(len.ok_or(RecvTimeoutError::Timeout)??)?)
        }

        #[doc = concat!("The next ", $what, "; the task sleeps until there is one, not the thread. It is woken as")]
        /// often as [`recv`](Self::recv) polls. If the future is dropped, no message is lost.
        ///
        /// # Errors
        /// See [`RecvError`].
        #[cfg(feature = "async")]
        pub async fn recv_async(&mut self) -> Result<$M, RecvError> {
            let len = super::future::ready(&mut self.source).await??;
            self.decode(len)
        }

        /// Returns the results of [`recv_async`](Self::recv_async) as a stream. It ends after
        /// [`RecvError::Stopped`] and [`RecvError::Forked`]. If the stream is dropped, no message is lost.
        #[cfg(feature = "async")]
        pub fn stream(&mut self) -> super::Stream<'_, Self, $M> {
            super::Stream::new(self, |end, pace, context| {
                pace.poll(&mut end.source, context).map(|len| end.decode(len??))
            })
        }

        fn decode(&mut self, len: usize) -> Result<$M, RecvError> {
            $F::decode(self.source.bytes(len), self.source.reading()).map_err(|why| {
                self.source.refused();
                RecvError::Invalid(why)
            })
        }
    };
    (boxed $M:ident, $what:literal) => {
        #[doc = concat!("Receives the next ", $what, " onto the heap, if there is one, like [`try_recv`](Self::try_recv).")]
        /// A large message takes no stack. Never blocks.
        ///
        /// # Errors
        /// See [`try_recv`](Self::try_recv).
        pub fn try_recv_boxed(&mut self) -> Result<Box<$M>, TryRecvError> {
            let len = poll::once(&mut self.source).ok_or(TryRecvError::Empty)??;
            Ok(self.decode_boxed(len)?)
        }

        #[doc = concat!("Receives the next ", $what, " onto the heap like [`recv`](Self::recv); blocks until there is one.")]
        /// A large message takes no stack.
        ///
        /// # Errors
        /// See [`recv`](Self::recv).
        pub fn recv_boxed(&mut self) -> Result<Box<$M>, RecvError> {
            loop {
                if let Some(len) = poll::until(&mut self.source, Deadline::Never)? {
                    return self.decode_boxed(len?);
                }
            }
        }

        #[doc = concat!("Receives the next ", $what, " onto the heap; blocks for at most `timeout`. Zero polls once.")]
        ///
        /// # Errors
        /// See [`recv_timeout`](Self::recv_timeout).
        pub fn recv_boxed_timeout(&mut self, timeout: Duration) -> Result<Box<$M>, RecvTimeoutError> {
            let len = poll::until(&mut self.source, Deadline::after(timeout)).map_err(RecvError::from)?;
            Ok(self.decode_boxed(len.ok_or(RecvTimeoutError::Timeout)??)?)
        }

        #[doc = concat!("Receives the next ", $what, " onto the heap; blocks until `deadline` at the latest.")]
        ///
        /// # Errors
        /// See [`recv_deadline`](Self::recv_deadline).
        pub fn recv_boxed_deadline(&mut self, deadline: Instant) -> Result<Box<$M>, RecvTimeoutError> {
            let len = poll::until(&mut self.source, Deadline::At(deadline)).map_err(RecvError::from)?;
            Ok(self.decode_boxed(len.ok_or(RecvTimeoutError::Timeout)??)?)
        }

        #[doc = concat!("Receives the next ", $what, " onto the heap like [`recv_async`](Self::recv_async); the task sleeps")]
        /// until there is one, not the thread. A large message takes no stack.
        ///
        /// # Errors
        /// See [`recv_async`](Self::recv_async).
        #[cfg(feature = "async")]
        pub async fn recv_boxed_async(&mut self) -> Result<Box<$M>, RecvError> {
            let len = super::future::ready(&mut self.source).await??;
            self.decode_boxed(len)
        }

        fn decode_boxed(&mut self, len: usize) -> Result<Box<$M>, RecvError> {
            message::read_boxed(self.source.bytes(len)).map_err(|why| {
                self.source.refused();
                RecvError::Invalid(Unreadable::Layout(why))
            })
        }
    };
    (bytes $what:literal) => {
        /// Returns the handle that stops the blocking calls of this end from another thread or from a signal
        /// handler.
        ///
        /// It is the handle of [`Options::stop`] if that is given.
        pub fn stop_handle(&self) -> crate::StopHandle {
            poll::Poll::stop(&self.source).handle()
        }

        #[doc = concat!("The bytes of the next ", $what, ", if there is one: what Python sent with `send_bytes`, or")]
        /// what its codec made. Never blocks.
        ///
        /// # Errors
        /// See `try_recv`.
        pub fn try_recv_bytes(&mut self) -> Result<&[u8], TryRecvError> {
            let len = poll::once(&mut self.source).ok_or(TryRecvError::Empty)??;
            Ok(self.source.bytes(len))
        }

        #[doc = concat!("The bytes of the next ", $what, "; blocks until there is one.")]
        ///
        /// # Errors
        /// See `recv`.
        pub fn recv_bytes(&mut self) -> Result<&[u8], RecvError> {
            loop {
                if let Some(len) = poll::until(&mut self.source, Deadline::Never)? {
                    return len.map(|len| self.source.bytes(len));
                }
            }
        }

        #[doc = concat!("The bytes of the next ", $what, "; blocks for at most `timeout`. A timeout of zero polls once.")]
        ///
        /// # Errors
        /// See `recv_timeout`.
        pub fn recv_bytes_timeout(&mut self, timeout: Duration) -> Result<&[u8], RecvTimeoutError> {
            let len = poll::until(&mut self.source, Deadline::after(timeout)).map_err(RecvError::from)?;
            let len = len.ok_or(RecvTimeoutError::Timeout)??;
            Ok(self.source.bytes(len))
        }
    };
}
pub(super) use receive;
