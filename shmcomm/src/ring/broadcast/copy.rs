//! Copies a ring into a new one with larger slots, so that the new one continues it.
//!
//! Owns the copy. Calls `slot` for the words. Never changes the old ring, in which readers may pin slots meanwhile.
//!
//! Each position keeps its number, its slot and its stamp. A reader at position `p` of the old ring is therefore at
//! position `p` of the new one, and counts what it missed in the same way.

use super::{DONE, Meta};
use crate::layout::{Geometry, Region};
use crate::ring::slot::{Control, Slots};
use crate::sync::Ordering::Relaxed;
use crate::sync::load_own;

/// Copies a ring, without the pins, into a new ring of as many slots. The caller is the writer of both, and no
/// other process knows the new ring. `buffer` takes a message of the old ring.
///
/// A position that the writer had begun stays begun: the next writer makes it a hole.
pub(crate) fn copy_ring(from: (Region, &Geometry), to: (Region, &Geometry), buffer: &mut [u8]) {
    let (old, new) = (Slots::new(from.0, from.1), Slots::new(to.0, to.1));
    debug_assert_eq!(old.count(), new.count());
    let most = old.size().min(new.size()).min(buffer.len());
    for index in 0..old.count() {
        let (source, target) = (old.at(index), new.at(index));
        // Relaxed, all: this participant alone writes the words of the old ring. A system call gives the new ring to others.
        let (stamp, meta) = (load_own(source.stamp()), load_own(source.meta()));
        if stamp & 3 == DONE {
            let bytes = &mut buffer[..most.min(Meta::from_word(meta).len as usize)];
            source.load_initialized(bytes);
            target.store(bytes);
        }
        target.meta().store(meta, Relaxed);
        target.stamp().store(stamp, Relaxed);
    }
    let (old, new) = (Control::new(from.0), Control::new(to.0));
    new.head().store(load_own(old.head()), Relaxed);
    new.bytes().store(load_own(old.bytes()), Relaxed);
    new.holes().store(load_own(old.holes()), Relaxed);
}
