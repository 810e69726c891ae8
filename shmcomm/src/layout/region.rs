//! [`Region`]: the bytes of a segment, as the rings see them.
//!
//! Owns the step from an offset to an atomic word or a pointer. Calls atomics only. Never maps, allocates
//! or frees: it is a view of memory that its maker keeps alive. Under `cfg(loom)` the same operations
//! access the words of loom instead, so that the model checker runs the rings unchanged.

#[cfg(not(loom))]
mod real {
    use crate::layout::LINE_PAIR;
    use crate::layout::prefetch::{prefetch, prefetch_for_write};
    use crate::sync::{AtomicU32, AtomicU64};
    use core::ptr::NonNull;

    /// Bytes shared with other processes.
    ///
    /// Invariants:
    /// 1. `base` is aligned to a page (to 64 on the heap) and `len` bytes from it are mapped and
    ///    readable for as long as any copy of this value is used. They are writable, except in the mapping of
    ///    an observer, which stores nothing.
    /// 2. No participant makes a reference to the bytes, other than to atomics, unless the protocol of a
    ///    ring gives it the slot exclusively.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Region {
        base: NonNull<u8>,
        len: usize,
    }

    // SAFETY: a region is an address. The bytes behind it are accessed through atomics, or through pointers
    // whose users guarantee soundness (invariant 2).
    unsafe impl Send for Region {}
    // SAFETY: as for `Send`.
    unsafe impl Sync for Region {}

    impl Region {
        /// # Safety
        /// Invariants 1 and 2.
        pub(crate) const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
            Region { base, len }
        }

        /// Returns the word at byte `at`. Panics if the layout is violated, which `Geometry` rules out.
        #[inline]
        pub(crate) fn u64(&self, at: usize) -> &AtomicU64 {
            assert!(at.is_multiple_of(8) && at < self.len && self.len - at >= 8);
            // SAFETY: in bounds and aligned (just checked; invariant 1), and shared only as an
            // atomic (invariant 2).
            unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at).cast()) }
        }

        /// Returns the half word at byte `at`.
        #[inline]
        pub(crate) fn u32(&self, at: usize) -> &AtomicU32 {
            assert!(at.is_multiple_of(4) && at < self.len && self.len - at >= 4);
            // SAFETY: as for `u64`.
            unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(at).cast()) }
        }

        /// Returns a pointer to `len` bytes at `at`. The protocol of the ring says when it may be used.
        #[inline]
        pub(crate) fn ptr(&self, at: usize, len: usize) -> NonNull<u8> {
            assert!(at <= self.len && self.len - at >= len);
            // SAFETY: in bounds (just checked).
            unsafe { self.base.add(at) }
        }

        /// Prefetches for writing the line of byte `at`.
        #[inline(always)]
        pub(crate) fn prefetch_for_write(&self, at: usize) {
            prefetch_for_write(self.base.as_ptr().wrapping_add(at));
        }

        /// Returns the words in `N` bytes from byte `at` on.
        #[inline(always)]
        pub(crate) fn words<const N: usize>(&self, at: usize) -> Words<N> {
            assert!(at.is_multiple_of(8));
            Words(self.ptr(at, N))
        }

        /// Returns the words from byte `at` on that belong to one participant or one event.
        pub(crate) fn line(&self, at: usize) -> Line {
            self.words(at)
        }
    }

    /// Words that are used often: their bounds were checked once.
    ///
    /// Invariant: aligned to 8, and `N` bytes from there are in the region, whose invariants hold.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Words<const N: usize>(NonNull<u8>);

    /// Words of one participant or one event.
    pub(crate) type Line = Words<LINE_PAIR>;

    // SAFETY: as for `Region`.
    unsafe impl<const N: usize> Send for Words<N> {}
    // SAFETY: as for `Region`.
    unsafe impl<const N: usize> Sync for Words<N> {}

    impl<const N: usize> Words<N> {
        /// Returns the word at byte `at`. For a constant the compiler removes the checks.
        #[inline(always)]
        pub(crate) fn u64(&self, at: usize) -> &AtomicU64 {
            assert!(at.is_multiple_of(8) && at + 8 <= N);
            // SAFETY: in bounds and aligned (just checked, and the invariant), and shared only as an atomic.
            unsafe { AtomicU64::from_ptr(self.0.as_ptr().add(at).cast()) }
        }

        /// Returns the half word at byte `at`.
        #[inline(always)]
        pub(crate) fn u32(&self, at: usize) -> &AtomicU32 {
            assert!(at.is_multiple_of(4) && at + 4 <= N);
            // SAFETY: as for `u64`.
            unsafe { AtomicU32::from_ptr(self.0.as_ptr().add(at).cast()) }
        }

        /// Prefetches for reading the line `by` bytes after the start of the words, in them or behind them.
        #[inline(always)]
        pub(crate) fn prefetch(&self, by: usize) {
            prefetch(self.0.as_ptr().wrapping_add(by));
        }

        /// Prefetches a line for writing: see [`Words::prefetch`].
        #[inline(always)]
        pub(crate) fn prefetch_for_write(&self, by: usize) {
            prefetch_for_write(self.0.as_ptr().wrapping_add(by));
        }
    }
}

/// The memory of the model checker: only the words that a ring touches, each an object of loom.
#[cfg(loom)]
mod model {
    use crate::layout::{
        Discipline, Geometry, control,
        geometry::{ENTRY, STATE},
        seat, slot,
    };
    use crate::sync::AtomicU64;
    use core::ptr::NonNull;
    use loom::cell::UnsafeCell;

    /// The counterpart of the real region, over a [`Heap`](super::Heap) that outlives every copy.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Region {
        words: NonNull<Memory>,
    }

    // SAFETY: loom's objects are made for threads, and the heap outlives the region.
    unsafe impl Send for Region {}
    // SAFETY: as for `Send`.
    unsafe impl Sync for Region {}

    /// Number of words in front of the payload: stamp, meta, time, extra.
    const SLOT_WORDS: usize = slot::EXTRA / 8 + 1;
    /// Largest number of state words behind the payload.
    const STATES: usize = 2;

    #[derive(Debug)]
    pub(crate) struct Memory {
        geometry: Geometry,
        /// `true` if the payload is also in words, which an observer loads while the writer stores.
        observed: bool,
        /// `HEAD`, `MESSAGES`, `BYTES`, `HOLES`, then `TAIL`, `RECEIVED`, `REDELIVERED`, then `JOINS`.
        control: [AtomicU64; 8],
        /// `POSITION`, `FLOW`, `EVICTIONS`, `JOINED` of each seat.
        seats: Vec<[AtomicU64; 4]>,
        /// The entries of a multi-producer ring.
        entries: Vec<AtomicU64>,
        /// The words of the keys of a table.
        keys: Vec<AtomicU64>,
        /// Of each slot: its words, its state words, then the payload, if the payload is copied or observed.
        slots: Vec<AtomicU64>,
        /// The payload of each slot, if a participant owns the slot; loom reports a race on it.
        cells: Vec<UnsafeCell<u64>>,
    }

    impl Memory {
        pub(crate) fn new(geometry: &Geometry, observed: bool) -> Self {
            let copied = matches!(geometry.discipline, Discipline::Copied | Discipline::MultiCopied);
            let payload = (geometry.slot_size as usize).div_ceil(8);
            let is_table = geometry.discipline == Discipline::Table;
            let slots = if is_table { 0 } else { geometry.slots_in_all() as usize };
            let keys = if is_table { geometry.slot_size / 8 } else { 0 };
            let entries = if geometry.discipline.shared() { geometry.slots } else { 0 };
            let words = SLOT_WORDS + STATES + if copied || observed { payload } else { 0 };
            let cells = if copied { 0 } else { payload };
            Memory {
                geometry: *geometry,
                observed,
                control: core::array::from_fn(|_| AtomicU64::new(0)),
                seats: (0..geometry.seats).map(|_| core::array::from_fn(|_| AtomicU64::new(0))).collect(),
                keys: (0..keys).map(|_| AtomicU64::new(0)).collect(),
                entries: (0..entries).map(|_| AtomicU64::new(0)).collect(),
                slots: (0..slots * words).map(|_| AtomicU64::new(0)).collect(),
                cells: (0..slots * cells).map(|_| UnsafeCell::new(0)).collect(),
            }
        }

        /// Returns the slot, and the offset in it, of the byte `at` of the segment.
        fn split(&self, at: usize) -> (usize, usize) {
            let at = at - self.geometry.slots_offset as usize;
            (at / self.geometry.stride as usize, at % self.geometry.stride as usize)
        }
    }

    impl Region {
        /// # Safety
        /// `words` outlives every copy.
        pub(crate) const unsafe fn new(words: NonNull<Memory>) -> Self {
            Region { words }
        }

        fn memory(&self) -> &Memory {
            // SAFETY: the promise of `new`; no code takes a `&mut`.
            unsafe { self.words.as_ref() }
        }

        pub(crate) fn len(&self) -> usize {
            self.memory().geometry.segment_size as usize
        }

        /// Returns `true` if an observer may load the payload.
        pub(crate) fn is_observed(&self) -> bool {
            self.memory().observed
        }

        /// Returns the word at byte `at`, which must be a word that a ring may touch.
        pub(crate) fn u64(&self, at: usize) -> &AtomicU64 {
            let words = self.memory();
            match at {
                control::HEAD..=control::HOLES => &words.control[(at - control::HEAD) / 8],
                control::TAIL..=control::REDELIVERED => &words.control[4 + (at - control::TAIL) / 8],
                control::JOINS => &words.control[7],
                _ if (at as u64) < words.geometry.entries_offset => {
                    let at = at - words.geometry.seats_offset as usize;
                    &words.seats[at / seat::SIZE][match at % seat::SIZE {
                        seat::POSITION => 0,
                        seat::FLOW => 1,
                        seat::EVICTIONS => 2,
                        seat::JOINED => 3,
                        byte => panic!("byte {byte} of a seat is no word of a ring"),
                    }]
                }
                _ if (at as u64) < words.geometry.slots_offset => {
                    &words.entries[(at - words.geometry.entries_offset as usize) / ENTRY as usize]
                }
                _ if !words.keys.is_empty() => &words.keys[(at - words.geometry.slots_offset as usize) / 8],
                _ => {
                    let geometry = &words.geometry;
                    let (slot, byte) = words.split(at);
                    let each = words.slots.len() / geometry.slots_in_all() as usize;
                    let behind = |offset: u64| byte.checked_sub(offset as usize);
                    let word = match (behind(geometry.state_offset), behind(geometry.payload_offset)) {
                        (Some(byte), _) => SLOT_WORDS + byte / STATE as usize,
                        (None, Some(byte)) => SLOT_WORDS + STATES + byte / 8,
                        (None, None) => byte / 8,
                    };
                    assert!(word < each, "byte {byte} of a slot is no word of it");
                    &words.slots[slot * each + word]
                }
            }
        }

        pub(crate) fn words<const N: usize>(&self, at: usize) -> Words<N> {
            Words { region: *self, at }
        }

        pub(crate) fn prefetch_for_write(&self, _at: usize) {}

        pub(crate) fn line(&self, at: usize) -> Line {
            self.words(at)
        }

        /// Returns the 8 bytes of payload at byte `at`, for the owner of the slot.
        pub(crate) fn cell(&self, at: usize) -> &UnsafeCell<u64> {
            let words = self.memory();
            let geometry = &words.geometry;
            let (slot, byte) = words.split(at);
            let each = words.cells.len() / geometry.slots_in_all() as usize;
            &words.cells[slot * each + (byte - geometry.payload_offset as usize) / 8]
        }
    }

    /// The counterpart of the real words.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Words<const N: usize> {
        region: Region,
        at: usize,
    }

    pub(crate) type Line = Words<{ crate::layout::LINE_PAIR }>;

    impl<const N: usize> Words<N> {
        pub(crate) fn u64(&self, at: usize) -> &AtomicU64 {
            self.region.u64(self.at + at)
        }

        pub(crate) fn prefetch(&self, _by: usize) {}

        pub(crate) fn prefetch_for_write(&self, _by: usize) {}
    }
}

#[cfg(loom)]
pub(crate) use model::{Line, Region, Words};
#[cfg(not(loom))]
pub(crate) use real::{Line, Region, Words};

/// Zeroed memory in the shape of a segment, for tests and models. The maker keeps it alive as long as any
/// region of it is used.
#[cfg(any(test, loom))]
#[derive(Debug)]
pub(crate) struct Heap {
    #[cfg(loom)]
    words: core::ptr::NonNull<model::Memory>,
    #[cfg(not(loom))]
    bytes: core::ptr::NonNull<u8>,
    #[cfg(not(loom))]
    layout: core::alloc::Layout,
}

// SAFETY: it owns plain memory, which methods access only through `Region`.
#[cfg(any(test, loom))]
unsafe impl Send for Heap {}
// SAFETY: as for `Send`.
#[cfg(any(test, loom))]
unsafe impl Sync for Heap {}

#[cfg(all(test, not(loom)))]
impl Heap {
    pub(crate) fn new(geometry: &super::Geometry) -> Self {
        let layout = core::alloc::Layout::from_size_align(geometry.segment_size as usize, super::PAGE)
            .expect("a geometry is at most an address space");
        // SAFETY: the layout is not empty: it has the control words.
        let bytes = unsafe { std::alloc::alloc_zeroed(layout) };
        let bytes = core::ptr::NonNull::new(bytes).expect("memory for a test");
        Heap { bytes, layout }
    }

    pub(crate) fn region(&self) -> Region {
        // SAFETY: `layout.size()` zeroed bytes, aligned to a page, until the heap is dropped.
        unsafe { Region::new(self.bytes, self.layout.size()) }
    }
}

#[cfg(all(test, not(loom)))]
impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { std::alloc::dealloc(self.bytes.as_ptr(), self.layout) }
    }
}

#[cfg(loom)]
impl Heap {
    pub(crate) fn new(geometry: &super::Geometry) -> Self {
        Self::with(geometry, false)
    }

    /// Makes the memory of a ring whose payload an observer may load.
    pub(crate) fn observed(geometry: &super::Geometry) -> Self {
        Self::with(geometry, true)
    }

    fn with(geometry: &super::Geometry, observed: bool) -> Self {
        let words = Box::leak(Box::new(model::Memory::new(geometry, observed)));
        Heap { words: core::ptr::NonNull::from(words) }
    }

    pub(crate) fn region(&self) -> Region {
        // SAFETY: alive until the heap is dropped.
        unsafe { Region::new(self.words) }
    }
}

#[cfg(loom)]
impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: leaked from a box by `new`.
        drop(unsafe { Box::from_raw(self.words.as_ptr()) });
    }
}
