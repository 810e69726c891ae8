//! The lower bound: shared memory and nothing else. This is not a library: it trusts both ends, recovers from
//! nothing, and supports one sender.

use super::{Answerer, Caller, Receiver, Sender, Touch, Wait, path};
use crate::Result;
use crate::case::Place;
use memmap2::{MmapOptions, MmapRaw};
use rustix::thread::futex;
use std::fs::OpenOptions;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Zeroed memory that both processes map.
struct Shared(MmapRaw);

impl Shared {
    /// Maps the file in both processes. Both create it: the second process finds it with its full size.
    fn open(name: &str, size: usize) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path(name))?;
        file.set_len(size as u64)?;
        Ok(Shared(MmapOptions::new().len(size).populate().map_raw(&file)?))
    }

    #[inline(always)]
    fn at(&self, at: usize, size: usize) -> *mut u8 {
        assert!(at.is_multiple_of(8) && at + size <= self.0.len());
        self.0.as_mut_ptr().wrapping_add(at)
    }

    #[inline(always)]
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: in bounds and aligned, mapped as long as `self` lives, and only accessed as an atomic.
        unsafe { AtomicU64::from_ptr(self.at(at, 8).cast()) }
    }

    #[inline(always)]
    fn half(&self, at: usize) -> &AtomicU32 {
        // SAFETY: as in `word`; no access takes these four bytes for part of a longer word.
        unsafe { AtomicU32::from_ptr(self.at(at, 4).cast()) }
    }
}

/// Two counters, each on its own cache line: the minimum of a round trip.
pub struct Line {
    shared: Shared,
    mine: usize,
    other: usize,
    seen: u64,
}

impl Line {
    pub fn open(place: &Place) -> Result<Self> {
        let shared = Shared::open(&place.name, 4096)?;
        let (mine, other) = if place.leads { (0, 1024) } else { (1024, 0) };
        Ok(Line { shared, mine, other, seen: 0 })
    }
}

impl Sender for Line {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        self.shared.word(self.mine).store(number, Ordering::Release);
        Ok(())
    }
}

impl Receiver for Line {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        loop {
            let number = self.shared.word(self.other).load(Ordering::Acquire);
            if number != self.seen {
                self.seen = number;
                return Ok(number);
            }
            std::hint::spin_loop();
        }
    }
}

impl Caller for Line {
    #[inline]
    fn call(&mut self, number: u64) -> Result<u64> {
        self.send(number)?;
        self.recv()
    }
}

impl Answerer for Line {
    #[inline]
    fn answer(&mut self) -> Result<u64> {
        let number = self.recv()?;
        self.send(number)?;
        Ok(number)
    }
}

/// Offset of the position that the first receiver has reached, on its own cache line. Further receivers have theirs
/// from [`MORE_TAILS`] on, two lines apart.
const TAIL: usize = 0;
const MORE_TAILS: usize = 1024;
/// Offset of the word on which a receiver sleeps.
const FUTEX: usize = 128;
const SLOTS: usize = 4096;
/// Offset of the payload in a slot, behind its stamp.
const PAYLOAD: usize = 8;

/// A minimal ring, lossless: a slot is a stamp and the message behind it.
pub struct Ring<const N: usize> {
    shared: Shared,
    slots: u64,
    next: u64,
    /// Least tail at the last load.
    tail: u64,
    /// Number of receivers that the sender waits for, or the number of this receiver among them.
    receivers: usize,
    wait: Wait,
    /// Number of receivers that a message wakes.
    wakes: u32,
    touch: Touch,
    stride: usize,
}

impl<const N: usize> Ring<N> {
    const STRIDE: usize = (PAYLOAD + 8 * N).next_multiple_of(64);

    pub fn open(name: &str, slots: usize, wait: Wait, touch: Touch) -> Result<Self> {
        assert!(slots.is_power_of_two());
        let shared = Shared::open(name, SLOTS + slots * Self::STRIDE)?;
        Ok(Ring {
            shared,
            slots: slots as u64,
            next: 0,
            tail: 0,
            receivers: 0,
            wait,
            wakes: 1,
            touch,
            stride: Self::STRIDE,
        })
    }

    /// Puts the slots side by side: several share a line.
    pub fn packed(self) -> Self {
        Ring { stride: PAYLOAD + 8 * N, ..self }
    }

    /// Makes the sender of a ring with `receivers` further receivers, or the further receiver of this number.
    pub fn spread(self, receivers: usize) -> Self {
        assert!(Self::tail_of(receivers) < SLOTS);
        Ring { receivers, ..self }
    }

    /// Returns the offset of the tail of a receiver.
    const fn tail_of(receiver: usize) -> usize {
        if receiver == 0 { TAIL } else { MORE_TAILS + 128 * receiver }
    }

    /// Sets the number of sleeping receivers that a message wakes.
    pub fn waking(self, receivers: u32) -> Self {
        Ring { wakes: receivers, ..self }
    }

    #[inline(always)]
    fn slot(&self) -> usize {
        SLOTS + (self.next & (self.slots - 1)) as usize * self.stride
    }

    /// Writes a message without a check for room; the caller may overwrite.
    #[inline]
    pub fn put(&mut self, number: u64) {
        let slot = self.slot();
        // SAFETY: in bounds and aligned; the receiver has left the slot, and returns to it only by the stamp.
        let words = unsafe { &mut *self.shared.at(slot + PAYLOAD, 8 * N).cast::<[u64; N]>() };
        self.touch.write(words, number);
        self.next += 1;
        self.shared.word(slot).store(self.next, Ordering::Release);
        if self.wait == Wait::Blocking {
            let futex = self.shared.half(FUTEX);
            futex.fetch_add(1, Ordering::SeqCst);
            let _ = futex::wake(futex, futex::Flags::empty(), self.wakes);
        }
    }

    /// Sleeps until the slot has a message.
    #[cold]
    fn sleep(&self, stamp: &AtomicU64) {
        let futex = self.shared.half(FUTEX);
        loop {
            let value = futex.load(Ordering::Acquire);
            fence(Ordering::SeqCst);
            if stamp.load(Ordering::Acquire) == self.next + 1 {
                return;
            }
            let _ = futex::wait(futex, futex::Flags::empty(), value, None);
        }
    }
}

impl<const N: usize> Sender for Ring<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        while self.next - self.tail >= self.slots {
            let tails = (0..=self.receivers).map(|receiver| self.shared.word(Self::tail_of(receiver)));
            self.tail = tails.map(|tail| tail.load(Ordering::Acquire)).min().expect("there is one at least");
            std::hint::spin_loop();
        }
        self.put(number);
        Ok(())
    }
}

impl<const N: usize> Receiver for Ring<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        let slot = self.slot();
        let stamp = self.shared.word(slot);
        while stamp.load(Ordering::Acquire) != self.next + 1 {
            match self.wait {
                Wait::Polling => std::hint::spin_loop(),
                Wait::Blocking => self.sleep(stamp),
            }
        }
        // SAFETY: in bounds and aligned; the stamp says that the sender has finished writing.
        let words = unsafe { &*self.shared.at(slot + PAYLOAD, 8 * N).cast::<[u64; N]>() };
        let number = self.touch.read(words);
        self.next += 1;
        self.shared.word(Self::tail_of(self.receivers)).store(self.next, Ordering::Release);
        Ok(number)
    }
}

/// A ring whose sender checks no receiver: for any number of receivers, which must keep up.
pub struct Overwriting<const N: usize>(pub Ring<N>);

impl<const N: usize> Sender for Overwriting<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        self.0.put(number);
        Ok(())
    }
}
