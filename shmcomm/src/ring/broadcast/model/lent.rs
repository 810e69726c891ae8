//! A lent pin under the model checker: its holder is another thread, and its reader receives meanwhile.

use super::*;
use crate::ring::lent::LentPin;

/// Reads a lent message twice, and drops it.
fn hold(lent: LentPin) {
    let mut bytes = [MaybeUninit::uninit(); SIZE];
    lent.copy_to(&mut bytes);
    let first = parts(&bytes);
    fault_point!("model.looking");
    lent.copy_to(&mut bytes);
    assert_eq!(first, parts(&bytes), "changed while lent");
}

#[test]
fn lent_message_is_kept_and_its_bit_comes_back() {
    let both = model("lent", 3, || {
        let ring = Ring::new(Discipline::Pinned);
        let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
        send(&mut writer, 1, 0);
        let acquired = reader.acquire().expect("a message was sent");
        let lent = reader.lend(&acquired);
        let publisher = thread::spawn(move || send(&mut writer, 2, 0));
        let subscriber = thread::spawn(move || {
            // The newest message may be the lent message.
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
        reader.release_pin();
        ring.assert_at_rest();
        early
    });
    assert!(both);
}

#[test]
fn reader_receives_copies_while_its_pin_is_lent() {
    let received = model("lent, copies", 2, || {
        let ring = Ring::with(Discipline::Pinned, Heap::observed);
        let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
        send(&mut writer, 1, 0);
        let acquired = reader.reader.acquire().expect("a message was sent");
        reader.next = 1;
        let lent = reader.reader.lend(&acquired);
        let publisher = thread::spawn(move || send(&mut writer, 2, 0));
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        let outcome = reader.reader.read_into(&mut bytes);
        let received = reader.account(outcome.map(|_| parts(&bytes)));
        hold(lent);
        let sent = publisher.join().unwrap();
        assert!(reader.reader.take_back());
        reader.finish(sent);
        ring.assert_at_rest();
        received
    });
    assert!(received);
}
