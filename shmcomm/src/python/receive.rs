//! The names under which an end receives, which are the same for all of them.
//!
//! Owns [`Source`], what they need of an end, and the macro with the methods. Calls `poll`.

use super::RecvError;
use super::poll::Poll;

/// An end that copies messages to a private buffer.
pub(super) trait Source: Poll<Output = Result<usize, RecvError>> {
    /// The message that was copied last, which has `len` bytes.
    fn bytes(&self, len: usize) -> &[u8];

    /// Counts a message that the format refused.
    fn refused(&mut self);
}

/// `try_recv`, `recv`, `recv_timeout`, `recv_deadline`, and the same for raw bytes, for an end with a
/// `source`, in an impl that knows the message `$M` and the format `$F`.
macro_rules! receive {
    ($M:ident, $F:ident, $what:literal) => {
        #[doc = concat!("The next ", $what, ", if there is one. Never blocks.")]
        ///
        /// # Errors
        /// [`TryRecvError::Empty`] if there is none; else see [`TryRecvError`].
        pub fn try_recv(&mut self) -> Result<$M, TryRecvError> {
            let len = poll::once(&mut self.source).ok_or(TryRecvError::Empty)??;
            Ok(self.decode(len)?)
        }

        #[doc = concat!("The next ", $what, "; blocks until there is one. ")]
        /// Looks every 50 µs at first, every millisecond in the end.
        ///
        /// # Errors
        /// See [`RecvError`].
        pub fn recv(&mut self) -> Result<$M, RecvError> {
            loop {
                if let Some(len) = poll::until(&mut self.source, Deadline::Never) {
                    return self.decode(len?);
                }
            }
        }

        #[doc = concat!("The next ", $what, "; blocks for at most `timeout`. Zero looks once.")]
        ///
        /// # Errors
        /// [`RecvTimeoutError::Timeout`] if none came; else see [`RecvTimeoutError`].
        pub fn recv_timeout(&mut self, timeout: Duration) -> Result<$M, RecvTimeoutError> {
            let len = poll::until(&mut self.source, Deadline::after(timeout));
            Ok(self.decode(len.ok_or(RecvTimeoutError::Timeout)??)?)
        }

        #[doc = concat!("The next ", $what, "; blocks until `deadline` at the latest.")]
        ///
        /// # Errors
        /// [`RecvTimeoutError::Timeout`] if none came; else see [`RecvTimeoutError`].
        pub fn recv_deadline(&mut self, deadline: Instant) -> Result<$M, RecvTimeoutError> {
            let len = poll::until(&mut self.source, Deadline::At(deadline));
            Ok(self.decode(len.ok_or(RecvTimeoutError::Timeout)??)?)
        }

        #[doc = concat!("The next ", $what, "; the task sleeps until there is one, not the thread. It is woken as")]
        /// often as [`recv`](Self::recv) looks. Dropping the future loses nothing.
        ///
        /// # Errors
        /// See [`RecvError`].
        #[cfg(feature = "async")]
        pub async fn recv_async(&mut self) -> Result<$M, RecvError> {
            let len = super::future::ready(&mut self.source).await?;
            self.decode(len)
        }

        /// What [`recv_async`](Self::recv_async) answers, one after the other, as a stream. It ends after
        /// [`RecvError::Forked`]. Dropping it loses nothing.
        #[cfg(feature = "async")]
        pub fn stream(&mut self) -> super::Stream<'_, Self, $M> {
            super::Stream::new(self, |end, pace, context| {
                pace.poll(&mut end.source, context).map(|len| end.decode(len?))
            })
        }

        fn decode(&mut self, len: usize) -> Result<$M, RecvError> {
            $F::decode(self.source.bytes(len)).map_err(|why| {
                self.source.refused();
                RecvError::Invalid(why)
            })
        }
    };
    (bytes $what:literal) => {
        #[doc = concat!("The bytes of the next ", $what, ", if there is one: what Python sent with `send_bytes`, or")]
        /// what its codec made. Never blocks.
        ///
        /// # Errors
        /// As `try_recv`.
        pub fn try_recv_bytes(&mut self) -> Result<&[u8], TryRecvError> {
            let len = poll::once(&mut self.source).ok_or(TryRecvError::Empty)??;
            Ok(self.source.bytes(len))
        }

        #[doc = concat!("The bytes of the next ", $what, "; blocks until there is one.")]
        ///
        /// # Errors
        /// As `recv`.
        pub fn recv_bytes(&mut self) -> Result<&[u8], RecvError> {
            loop {
                if let Some(len) = poll::until(&mut self.source, Deadline::Never) {
                    return len.map(|len| self.source.bytes(len));
                }
            }
        }

        #[doc = concat!("The bytes of the next ", $what, "; blocks for at most `timeout`. Zero looks once.")]
        ///
        /// # Errors
        /// As `recv_timeout`.
        pub fn recv_bytes_timeout(&mut self, timeout: Duration) -> Result<&[u8], RecvTimeoutError> {
            let len = poll::until(&mut self.source, Deadline::after(timeout));
            let len = len.ok_or(RecvTimeoutError::Timeout)??;
            Ok(self.source.bytes(len))
        }
    };
}
pub(super) use receive;
