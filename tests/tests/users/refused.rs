//! The library refuses users outside of the group, and directories and files that are not the group's.

use crate::member::{ALICE, BOB, GROUP, MALLORY, World, gid};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

#[test]
fn outsiders_get_nothing_and_break_nothing() {
    let Some(world) = World::new("group-outsider") else { return };
    let (mut alice, mut bob) = (world.member(ALICE), world.member(BOB));
    alice.all(&["publish"]);
    bob.all(&["subscribe"]);
    let mut mallory = world.outsider(MALLORY);
    for command in ["publish", "subscribe", "puller", "reader", "requester"] {
        let error = mallory.tell(command);
        assert!(error.starts_with("Permission"), "{command}: {error}");
        assert!(error.contains(&format!("user {MALLORY} is not a member of group `{GROUP}`")), "{error}");
        assert!(error.contains("usermod -aG"), "{error}");
    }
    assert_eq!(mallory.tell("list"), "");
    assert_eq!(mallory.tell("find small"), "nothing");
    assert_eq!(mallory.tell("unlink small"), "false");
    assert_eq!(mallory.tell("clean"), "0");
    let error = mallory.tell(&format!("remove {}", world.shared("small").display()));
    assert!(error.contains("denied"), "{error}");
    alice.all(&["send 1"]);
    assert_eq!(bob.tell("recv"), "1");
}

#[test]
fn directory_that_another_user_took_is_refused() {
    let Some(world) = World::new("group-squatted") else { return };
    let mut mallory = world.outsider(MALLORY);
    let dir = world.shared("");
    mallory.all(&[&format!("mkdir {}", dir.display()), &format!("chmod 777 {}", dir.display())]);
    let mut alice = world.member(ALICE);
    for command in ["publish", "puller", "writer"] {
        let error = alice.tell(command);
        assert!(error.starts_with("Permission"), "{error}");
        assert!(error.contains(&format!("belongs to user {MALLORY} and group {MALLORY}")), "{error}");
        assert!(error.contains("chmod 2770"), "{error}");
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing was made in it");
    // A private channel does not depend on it.
    alice.all(&["private", "publish", "subscribe", "send 1"]);
    assert_eq!(alice.tell("recv"), "1");
    fs::remove_dir(&dir).unwrap();
    symlink("/", &dir).unwrap();
    let mut bob = world.member(BOB);
    let error = bob.tell("publish");
    assert!(error.contains("symbolic link"), "{error}");
    fs::remove_file(&dir).unwrap();
    bob.all(&["publish"]);
}

#[test]
fn shared_file_of_wrong_access_is_refused() {
    let Some(world) = World::new("group-files") else { return };
    let (mut alice, mut bob) = (world.member(ALICE), world.member(BOB));
    alice.all(&["publish"]);
    let file = world.shared("small");
    for (mode, group, texts) in [
        (0o666, gid(), ["has mode 0666", "chmod 660"]),
        (0o640, gid(), ["has mode 0640", "chmod 660"]),
        (0o600, gid(), ["has mode 0600", "chmod 660"]),
        (0o660, MALLORY, ["belongs to group 41666", "chgrp"]),
    ] {
        chown(&file, None, Some(group)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        for command in ["subscribe", "publish"] {
            let error = bob.tell(command);
            assert!(error.starts_with("Permission"), "{error}");
            assert!(texts.iter().all(|text| error.contains(text)), "{error}");
        }
        assert_eq!(bob.tell("list"), format!("small@{GROUP}:problem"));
    }
    // A member may remove it.
    assert_eq!(bob.tell("unlink small"), "true");
    bob.all(&["publish"]);
}

#[test]
fn links_and_pipes_in_the_directory_are_refused() {
    let Some(world) = World::new("group-links") else { return };
    let mut alice = world.member(ALICE);
    alice.all(&["pusher", "private", "publish"]);
    let file = world.shared("small");
    symlink(world.private("small"), &file).unwrap();
    let mut bob = world.member(BOB);
    let error = bob.tell("subscribe");
    assert!(error.starts_with("NotASegment") && error.contains("symbolic link"), "{error}");
    fs::remove_file(&file).unwrap();
    // A private segment does not become shared by a second name.
    fs::hard_link(world.private("small"), &file).unwrap();
    let mut same = world.member(ALICE);
    let error = same.tell("subscribe");
    assert!(error.starts_with("Permission") && error.contains("belongs to group"), "{error}");
    fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").args(["-m", "660"]).arg(&file).status();
    assert!(made.unwrap().success());
    chown(&file, None, Some(gid())).unwrap();
    let error = bob.tell("subscribe");
    assert!(error.starts_with("NotASegment") && error.contains("FIFO"), "{error}");
    alice.all(&["send 1"]);
}

#[test]
fn unknown_group_is_refused_with_the_cure() {
    let Some(world) = World::new("group-unknown") else { return };
    let error = world.member(ALICE).tell("group no-such-group");
    assert!(error.starts_with("Permission") && error.contains("knows no group \"no-such-group\""), "{error}");
    assert!(error.contains("groupadd"), "{error}");
}
