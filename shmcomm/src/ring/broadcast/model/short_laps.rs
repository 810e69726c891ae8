//! Short laps under the model checker: a writer passes a slot whose message is held, and claims it one lap later.

use super::*;

#[test]
fn held_message_outlives_short_laps() {
    let held = model("short laps", 2, || {
        let ring = Ring::new(Discipline::Pinned);
        let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
        send(&mut writer, 1, 0);
        let publisher = thread::spawn(move || {
            // Position 2 becomes a hole in the slot of message 0, and position 4 is in that slot again.
            writer.pass(3);
            send(&mut writer, 2, 0)
        });
        let held = reader.look();
        let sent = publisher.join().unwrap();
        reader.finish(sent);
        ring.assert_at_rest();
        held
    });
    assert!(held);
}
