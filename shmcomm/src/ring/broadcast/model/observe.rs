//! Observers under the model checker: a reader without a bit, in a ring whose writer stores payloads plainly.
//!
//! The memory has the payload a second time, as words that the writer stores as relaxed atomics. After each
//! claim it changes a word before the stamp, as a store that bypasses the cache may.

use super::*;

fn observer(ring: &Ring, history: u64) -> Witness {
    let reader = Reader::observe(ring.heap.region(), &ring.geometry, history).expect("a sound region");
    Witness::new(reader)
}

impl Witness {
    /// Receives by value, as an observer. Returns `false` if there was nothing.
    fn observe(&mut self) -> bool {
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        let outcome = self.reader.read_into(&mut bytes);
        self.account(outcome.map(|_| parts(&bytes)))
    }
}

/// An observer polls twice while messages arrive, and then to the end.
fn observes(discipline: Discipline, name: &str, preemptions: usize, messages: u64) {
    let lapped = model(name, preemptions, move || {
        let ring = Ring::with(discipline, Heap::observed);
        let (mut writer, mut observer) = (ring.writer(), observer(&ring, 0));
        let publisher = thread::spawn(move || send(&mut writer, messages, 0));
        (0..2).for_each(|_| _ = observer.observe());
        let sent = publisher.join().unwrap();
        while observer.observe() {}
        assert_eq!(observer.next, sent, "lost in silence");
        ring.assert_at_rest();
        observer.reader.lost() > 0
    });
    assert!(lapped);
}

#[test]
fn observed_message_is_whole_or_counted() {
    observes(Discipline::Copied, "observed, copied", 2, 3);
    observes(Discipline::Pinned, "observed, pinned", 2, 3);
}

/// An observer asks for the newest message while messages arrive beside a reader that pins.
#[test]
fn observed_latest_is_whole() {
    let newer = model("observed, latest", 2, || {
        let ring = Ring::with(Discipline::Pinned, Heap::observed);
        let mut writer = ring.writer();
        send(&mut writer, 1, 0);
        let mut observer = observer(&ring, 1);
        let publisher = thread::spawn(move || send(&mut writer, 2, 0));
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        let found = observer.reader.latest_into(&mut bytes).map(|_| parts(&bytes).0);
        publisher.join().unwrap();
        found.is_some_and(|number| number > 0)
    });
    assert!(newer);
}
