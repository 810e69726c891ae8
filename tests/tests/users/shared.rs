//! Members of a group use every pattern and the tools together, and clean up. The tests check the modes of new files.

use crate::member::{ALICE, BOB, GROUP, MALLORY, Member, World, gid};
use std::os::unix::fs::MetadataExt as _;

fn pair(world: &World) -> (Member, Member) {
    (world.member(ALICE), world.member(BOB))
}

/// Returns owner, group and mode.
fn access(path: &std::path::Path) -> (u32, u32, u32) {
    let data = std::fs::symlink_metadata(path).unwrap();
    (data.uid(), data.gid(), data.mode() & 0o7777)
}

#[test]
fn users_of_a_group_publish_and_subscribe() {
    let Some(world) = World::new("group-feed") else { return };
    let (mut alice, mut bob) = pair(&world);
    alice.all(&["publish"]);
    bob.all(&["subscribe"]);
    alice.all(&["send 7"]);
    assert_eq!(bob.tell("recv"), "7");
    assert_eq!(bob.tell("alive"), "2", "each sees the lock of the other one");
    assert_eq!(access(&world.shared("")), (ALICE, gid(), 0o2770));
    assert_eq!(access(&world.shared("small")), (ALICE, gid(), 0o660));
    // The second publisher, of another user, learns of the first one.
    let error = bob.tell("publish");
    assert!(error.starts_with("AlreadyPublished"), "{error}");
    alice.all(&["drop"]);
    let said = bob.tell("recv");
    assert!(said.starts_with("Disconnected"), "{said}");
    bob.all(&["publish", "send 8"]);
    assert_eq!(bob.tell("recv"), "8");
    // The last participant removes the file of the other user.
    assert_eq!(access(&world.shared("small")).0, ALICE, "it was taken over");
    bob.all(&["drop"]);
    assert!(!world.shared("small").exists());
}

#[test]
fn users_of_a_group_share_jobs_and_requests() {
    let Some(world) = World::new("group-queues") else { return };
    let (mut alice, mut bob) = pair(&world);
    alice.all(&["pusher", "push 1", "push 2", "requester"]);
    bob.all(&["puller", "replier"]);
    assert_eq!(bob.tell("pull"), "1");
    assert_eq!(bob.tell("pull"), "2");
    alice.0.say("ask 5");
    bob.all(&["reply"]);
    assert_eq!(alice.0.said(), (!5_u64).to_string());
    alice.all(&["drop"]);
    bob.all(&["drop"]);
    assert_eq!(bob.tell("list"), "");
}

#[test]
fn users_of_a_group_share_a_table() {
    let Some(world) = World::new("group-table") else { return };
    let (mut alice, mut bob) = pair(&world);
    alice.all(&["writer", "store 3"]);
    bob.all(&["reader"]);
    assert_eq!(bob.tell("load"), "3");
    alice.all(&["drop"]);
    bob.all(&["writer", "store 4"]);
    assert_eq!(bob.tell("load"), "4");
}

#[test]
fn tools_and_dynamic_ends_find_the_groups_channel() {
    let Some(world) = World::new("group-tools") else { return };
    let (mut alice, mut bob) = pair(&world);
    alice.all(&["publish"]);
    assert_eq!(bob.tell("list"), format!("small@{GROUP}:live"));
    bob.all(&["observe", "dynamic"]);
    alice.all(&["send 9"]);
    assert_eq!(bob.tell("received"), r#"{"number":9,"#);
    assert_eq!(bob.tell("watched"), "0");
    // A private channel of the same name comes first, and is another one.
    bob.all(&["drop", "private", "publish"]);
    assert_eq!(bob.tell("list"), format!("small@-:live small@{GROUP}:live"));
    assert_eq!(bob.tell("find small"), "None");
    // Only an end that names the group meets the group's channel.
    bob.all(&["dynamic", "send 3"]);
    assert_eq!(bob.tell("received"), r#"{"number":3,"#);
    bob.all(&["described"]);
    alice.all(&["send 10"]);
    assert_eq!(bob.tell("received"), r#"{"number":10"#);
    assert_eq!(alice.tell("find small"), format!("{:?}", Some(GROUP)), "the private one is of another user");
}

#[test]
fn private_and_shared_channels_do_not_meet() {
    let Some(world) = World::new("group-private") else { return };
    let (mut alice, mut bob) = pair(&world);
    alice.all(&["publish"]);
    bob.all(&["private"]);
    let error = bob.tell("subscribe");
    assert!(error.starts_with("NotFound"), "{error}");
    bob.all(&["publish", "subscribe", "send 2"]);
    assert_eq!(bob.tell("recv"), "2");
    let mut other = world.member(BOB);
    other.all(&["subscribe"]);
    alice.all(&["send 1"]);
    assert_eq!(other.tell("recv"), "1");
    assert_eq!(access(&world.private("small")).2, 0o600);
}

#[test]
fn umask_has_no_effect_on_shared_segments() {
    let Some(world) = World::new("group-umask") else { return };
    let (mut alice, mut bob) = pair(&world);
    alice.all(&["umask 777", "publish"]);
    assert_eq!(access(&world.shared("")), (ALICE, gid(), 0o2770));
    assert_eq!(access(&world.shared("small")), (ALICE, gid(), 0o660));
    bob.all(&["umask 0", "subscribe", "pusher"]);
    assert_eq!(access(&world.shared("jobs")), (BOB, gid(), 0o660));
    alice.all(&["puller", "send 1"]);
    assert_eq!(bob.tell("recv"), "1");
}

#[test]
fn mode_alone_shares_with_the_own_group() {
    let Some(world) = World::new("group-mode") else { return };
    // The effective group of this process has the id of its user, and no name.
    let mut alice = world.outsider(ALICE);
    alice.all(&["mode"]);
    let file = world.private("small");
    let (dir, name) = (file.parent().unwrap(), file.file_name().unwrap());
    let dir = dir.join(format!("shmcomm.{ALICE}"));
    assert_eq!(access(&dir), (ALICE, ALICE, 0o2770));
    assert_eq!(access(&dir.join(name)), (ALICE, ALICE, 0o660));
    let mut other = world.outsider(MALLORY);
    let error = other.tell(&format!("group {ALICE}"));
    assert!(error.starts_with("Permission") && error.contains("not a member"), "{error}");
    // The number is a name of the group, too.
    let error = world.outsider(ALICE).tell(&format!("group {ALICE}"));
    assert!(error.starts_with("AlreadyPublished"), "{error}");
}

#[test]
fn declarations_have_their_group() {
    let Some(world) = World::new("group-declared") else { return };
    assert_eq!(world.member(ALICE).tell("declared"), "3");
    let error = world.outsider(MALLORY).tell("declared");
    assert!(error.contains("not a member"), "{error}");
}

#[test]
fn any_member_cleans_up_after_another() {
    let Some(world) = World::new("group-clean") else { return };
    let (mut alice, mut bob) = pair(&world);
    alice.all(&["publish", "pusher", "push 1"]);
    assert_eq!(bob.tell("clean"), "0");
    alice.kill();
    assert_eq!(bob.tell("list"), format!("jobs@{GROUP}:stale small@{GROUP}:stale"));
    assert_eq!(bob.tell("clean"), "1", "the queue holds work");
    assert!(world.shared("jobs").exists() && !world.shared("small").exists());
    assert_eq!(bob.tell("unlink jobs"), "true");
    assert_eq!(bob.tell("unlink jobs"), "false");
    assert_eq!(std::fs::read_dir(world.shared("")).unwrap().count(), 0);
}
