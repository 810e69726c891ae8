//! A lent pin of the multi-producer broadcast under the model checker: its holder is another thread, and its reader
//! receives meanwhile. The writer sends as many messages as it has slots, so that it reaches the lent slot again.

use super::*;
use crate::fault::fault_point;
use crate::layout::geometry::STATE;
use crate::ring::lent::LentPin;
use crate::sync::Ordering::Relaxed;

/// Reads a lent message twice, and drops it.
fn hold(lent: LentPin) {
    let mut bytes = [MaybeUninit::uninit(); SIZE];
    lent.copy_to(&mut bytes);
    let first = parts(&bytes);
    fault_point!("model.looking");
    lent.copy_to(&mut bytes);
    assert_eq!(first, parts(&bytes), "changed while lent");
}

impl Ring {
    /// Checks at the end that no participant has a claim or a pin.
    fn assert_at_rest(&self) {
        for index in 0..self.geometry.own_slots * u64::from(self.geometry.publishers) {
            for word in 0..self.geometry.discipline.states() {
                let slot = self.geometry.slots_offset + index * self.geometry.stride;
                let at = slot + self.geometry.state_offset + word * STATE;
                assert_eq!(self.heap.region().u64(at as usize).load(Relaxed), 0, "slot {index}, word {word}");
            }
        }
    }
}

/// The reader takes its pin back as early as it can, and lends it for the newest message, which may be the lent one.
#[test]
fn lent_message_is_kept_and_its_bit_comes_back() {
    let both = model("shared, lent", 2, || {
        let ring = Ring::new(Discipline::MultiPinned);
        let (mut writer, mut reader) = (ring.writer(0), ring.witness().reader);
        send(&mut writer, 0, 0..1);
        let acquired = reader.acquire().expect("a message was sent");
        let lent = reader.lend(&acquired);
        let round = ring.geometry.own_slots;
        let publisher = thread::spawn(move || send(&mut writer, 0, 1..1 + round));
        let subscriber = thread::spawn(move || {
            let early = reader.take_back();
            if early && let Some(acquired) = reader.acquire_latest() {
                hold(reader.lend(&acquired));
                assert!(reader.take_back(), "it was dropped in this thread");
            }
            (reader, early)
        });
        hold(lent);
        let (mut reader, early) = subscriber.join().unwrap();
        publisher.join().unwrap();
        assert!(reader.take_back());
        ring.assert_at_rest();
        early
    });
    assert!(both);
}

/// The reader copies the newest message, which may be the lent one, and then the next messages.
#[test]
fn reader_receives_copies_while_its_pin_is_lent() {
    let received = model("shared, lent, copies", 2, || {
        let ring = Ring::with(Discipline::MultiPinned, Heap::observed);
        let (mut writer, mut witness) = (ring.writer(0), ring.witness());
        let mut sent = send(&mut writer, 0, 0..1);
        let acquired = witness.reader.acquire().expect("a message was sent");
        witness.seen.insert(0, (0, 0));
        let lent = witness.reader.lend(&acquired);
        let round = ring.geometry.own_slots;
        let publisher = thread::spawn(move || send(&mut writer, 0, 1..1 + round));
        let holder = thread::spawn(move || hold(lent));
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        if witness.reader.latest_into(&mut bytes).is_some() {
            let (from, newest) = (witness.reader.position() - 1, parts(&bytes));
            witness.lost += witness.reader.skipped();
            witness.seen.insert(from, newest);
        }
        let received = witness.receive();
        holder.join().unwrap();
        sent.extend(publisher.join().unwrap());
        assert!(witness.reader.take_back());
        witness.finish(&sent);
        ring.assert_at_rest();
        received
    });
    assert!(received);
}
