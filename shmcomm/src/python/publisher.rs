//! [`Publisher`]: the sending end of publish/subscribe, for subscribers in Python.
//!
//! Owns the order of the steps of a send. Calls `owner` for the segment and `ring` for the slot.

use super::format::too_long;
use super::owner::Owned;
use super::v1::name::SegmentPaths;
use super::v1::raw::Raw;
use super::v1::ring;
use super::{Format, Options, Outgoing, SendError, Sends, Stats, stats, trace};
use crate::error::Error;
use crate::layout::v1::{Kind, Shape};
use crate::plural::count;
use crate::wait::{Stop, Stopped};
use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// Smallest number of slots without a warning: with fewer, a Python subscriber that is suspended for a moment
/// is overtaken.
const FEW: u64 = 8;
/// Size of a slot in bytes above which Python copies a message so slowly that it is overtaken meanwhile.
const LARGE: u64 = 64 << 10;
/// Smallest number of slots of that size without a warning.
const FEW_LARGE: u64 = 64;

/// The sending end of a publish/subscribe channel whose subscribers may be Python processes.
///
/// Sending never blocks, unless [`Options::min_lap`] is set. A message that a subscriber has not received by
/// the time its slot is needed again is overwritten. Subscribers in Rust detect that and count it as lost;
/// **subscribers in Python do not**. A Python subscriber that is a whole lap behind receives no message. A
/// subscriber that is overtaken while it reads gets a torn message, which its codec may or may not refuse.
/// Use enough slots: at least 8, or 64 if a slot has 64 KiB or more. For large messages at full speed set
/// [`Options::min_lap`], since more slots hardly help there.
///
/// The channel exists while the publisher does, although every Python client that exits removes its name:
/// this end restores the name within about a millisecond.
///
/// **If this process dies**, the segment and its subscribers stay. The next publisher in Rust with the same
/// slots continues in it. A dropped publisher removes the segment.
pub struct Publisher<M: ?Sized, F: ?Sized> {
    core: PublisherCore,
    _messages: Sends<M, F>,
}

/// The part that does not depend on the message type.
struct PublisherCore {
    place: SegmentPaths,
    owned: Owned,
    buffer: Vec<u8>,
    pace: Pace,
    stop: Stop,
}

/// Enforces the time of a lap: see [`Options::min_lap`].
struct Pace {
    min_lap: Duration,
    /// Time of the last write to each slot; empty without a limit.
    written: Vec<Option<Instant>>,
}

impl<M: ?Sized, F: Format> Publisher<M, F> {
    /// Creates the channel, or resumes the segment of a dead publisher in Rust. A segment that a Python
    /// process made is replaced, like Python itself does.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyPublished`](crate::ErrorKind::AlreadyPublished) if a publisher in Rust is alive;
    /// `InvalidName`, `InvalidGeometry`, `NoSpace`, `Permission` for the reason in the error.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = SegmentPaths::new(Kind::Pub, &options.name)?;
        let owned = Owned::open(&place, options.slots, options.slot_size)?;
        if let Some(why) = risk(owned.segment().shape(), options.min_lap) {
            log::warn!(target: "shmcomm", "channel `{}`: {why}", place.name());
        }
        let buffer = vec![0; owned.segment().shape().capacity()];
        let slots = if options.min_lap.is_zero() { 0 } else { options.slots as usize };
        let pace = Pace { min_lap: options.min_lap, written: vec![None; slots] };
        let stop = Stop::given(options.stop.as_ref());
        Ok(Publisher { core: PublisherCore { place, owned, buffer, pace, stop }, _messages: PhantomData })
    }

    /// Returns the channel's name.
    pub fn name(&self) -> &str {
        self.core.place.name()
    }

    /// Returns `true` if this publisher resumed the segment of a dead one.
    pub fn resumed(&self) -> bool {
        self.core.owned.resumed()
    }

    /// Returns the handle that stops sends that [`Options::min_lap`] delays, from another thread or from a
    /// signal handler. Other sends do not block: a loop of sends checks
    /// [`is_stopped`](crate::StopHandle::is_stopped).
    ///
    /// It is the handle of [`Options::stop`] if that is given.
    pub fn stop_handle(&self) -> crate::StopHandle {
        self.core.stop.handle()
    }

    /// Returns the segment's counts.
    pub fn stats(&self) -> Stats {
        stats::read(self.core.owned.segment().raw(), None)
    }

    /// Publishes a message. Blocks only for the time that [`Options::min_lap`] requires.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, message: &M) -> Result<(), SendError>
    where
        F: Outgoing<M>,
    {
        self.core.check()?;
        let len = F::encode(message, &mut self.core.buffer)?;
        let slot = self.core.pace.write(
            self.core.owned.segment().raw(),
            &self.core.buffer[..len],
            &self.core.stop,
        )?;
        trace::wrote(&self.core.place, slot, len);
        Ok(())
    }

    /// Publishes bytes, for Python's `recv_bytes`, or as encoded by a codec. Blocks only for the time that
    /// [`Options::min_lap`] requires.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_bytes(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.core.check()?;
        let capacity = self.core.buffer.len();
        if payload.len() > capacity {
            return Err(too_long(payload.len(), capacity));
        }
        let slot = self.core.pace.write(self.core.owned.segment().raw(), payload, &self.core.stop)?;
        trace::wrote(&self.core.place, slot, payload.len());
        Ok(())
    }
}

impl PublisherCore {
    #[inline]
    fn check(&self) -> Result<(), SendError> {
        if self.owned.segment().forked() {
            return Err(SendError::Forked);
        }
        if self.owned.replaced() {
            return Err(SendError::Replaced);
        }
        Ok(())
    }
}

impl Pace {
    #[inline]
    fn write(&mut self, raw: &Raw, payload: &[u8], stop: &Stop) -> Result<u64, Stopped> {
        if self.written.is_empty() {
            Ok(ring::write(raw, payload))
        } else {
            self.write_in_time(raw, payload, stop)
        }
    }

    #[cold]
    fn write_in_time(&mut self, raw: &Raw, payload: &[u8], stop: &Stop) -> Result<u64, Stopped> {
        let written = &mut self.written[ring::slot_of_head(raw) as usize];
        if let Some(written) = written {
            let left = self.min_lap.saturating_sub(written.elapsed());
            if !left.is_zero() {
                stop.pause(left)?;
            }
        }
        let slot = ring::write(raw, payload);
        *written = Some(Instant::now());
        Ok(slot)
    }
}

/// Returns the reason why a Python subscriber may read torn messages, if it may.
fn risk(shape: Shape, min_lap: Duration) -> Option<String> {
    let Shape { slots, slot_size } = shape;
    let fewest = if slot_size < LARGE { FEW } else { FEW_LARGE };
    // A wake-up of Python, then a copy at 200 MB/s, with page faults.
    let reads = Duration::from_millis(10) + Duration::from_micros(slot_size / 200);
    let risky = slots < fewest && min_lap < reads;
    risky.then(|| {
        format!(
            "with {slots} of {slot_size}, a publisher at full speed overtakes subscribers in Python \
             while they read, and they read torn messages; use {fewest} or more, or \
             `Options::min_lap` of {reads:?} or more",
            fewest = count(fewest, "slot"),
            slot_size = count(slot_size, "byte"),
            slots = count(slots, "slot")
        )
    })
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for Publisher<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("name", &self.core.place.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_takes_the_size_of_slots_into_account() {
        let risk = |slots, slot_size, min_lap| {
            risk(Shape::new(slots, slot_size).unwrap(), Duration::from_millis(min_lap))
        };
        assert_eq!((risk(64, 4096, 0), risk(8, 4096, 0), risk(64, 1 << 20, 0)), (None, None, None));
        assert!(risk(7, 64, 0).unwrap().contains("8 slots or more"));
        let why = risk(16, 1 << 20, 0).unwrap();
        assert!(why.contains("16 slots of 1048576 bytes") && why.contains("64 slots or more"), "{why}");
        assert_eq!(risk(16, 1 << 20, 20), None);
        assert!(risk(16, 1 << 20, 1).is_some());
    }
}
