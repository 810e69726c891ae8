//! `shmcomm top` with keys, on a terminal of its own.

use crate::support::World;

/// Codes that give the terminal back: the normal screen, and a cursor.
const GIVEN_BACK: [&str; 2] = ["\x1b[?1049l", "\x1b[?25h"];

#[test]
fn top_follows_keys_and_gives_the_terminal_back() {
    let world = World::new();
    let _peer = world.start("world");
    // Next order, next channel, which is drawn in reverse, and the end.
    let keys = [("order: rate", "s"), ("sent", "\x1b[B"), ("\x1b[7m", "q")];
    let run = world.with_keys(&["top"], &keys);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.is_empty(), "{run:?}");
    assert!(run.out.contains("CHANNEL") && run.out.contains("robot/imu"), "{run:?}");
    assert!(GIVEN_BACK.iter().all(|code| run.out.contains(code)), "{run:?}");
}

#[test]
fn top_on_a_screen_ends_by_number_time_and_ctrl_c() {
    let world = World::new();
    let _peer = world.start("world");
    for arguments in [&["top", "-n", "1"][..], &["top", "--duration", "300ms"]] {
        let run = world.with_keys(arguments, &[]);
        assert!(run.code == Some(0) && GIVEN_BACK.iter().all(|code| run.out.contains(code)), "{run:?}");
    }
    let run = world.with_keys(&["top"], &[("CHANNEL", "\x03")]);
    assert!(run.code == Some(0) && GIVEN_BACK.iter().all(|code| run.out.contains(code)), "{run:?}");
    // A wrong name is an error before the screen is taken.
    let run = world.with_keys(&["top", "robot/imo"], &[]);
    assert!(run.code == Some(3) && run.out.is_empty() && run.err.contains("did you mean"), "{run:?}");
}
