//! Members that are killed: their peers of other users notice it, recover what they left, and continue.

use crate::member::{ALICE, BOB, World};

const CAROL: u32 = 41_003;

#[test]
fn killed_publisher_is_succeeded_by_another_user() {
    let Some(world) = World::new("group-succeeded") else { return };
    let (mut alice, mut bob) = (world.member(ALICE), world.member(BOB));
    alice.all(&["publish"]);
    bob.all(&["subscribe"]);
    alice.all(&["send 1"]);
    assert_eq!(bob.tell("recv"), "1");
    alice.kill();
    let said = bob.tell("recv");
    assert!(said.starts_with("Disconnected"), "{said}");
    let file = std::fs::metadata(world.shared("small")).unwrap();
    let mut carol = world.member(CAROL);
    carol.all(&["publish", "send 2"]);
    assert_eq!(bob.tell("recv"), "2");
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&file),
        std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(world.shared("small")).unwrap()),
        "the segment is the same"
    );
}

#[test]
fn job_of_a_killed_member_goes_to_another_user() {
    let Some(world) = World::new("group-job") else { return };
    let (mut alice, mut bob) = (world.member(ALICE), world.member(BOB));
    let mut carol = world.member(CAROL);
    carol.all(&["pusher", "push 1", "push 2"]);
    alice.all(&["puller"]);
    assert_eq!(alice.tell("claim"), "1");
    bob.all(&["puller"]);
    assert_eq!(bob.tell("pull"), "2");
    alice.kill();
    assert_eq!(bob.tell("pull"), "1");
    carol.all(&["drop"]);
    bob.all(&["drop"]);
    assert!(!world.shared("jobs").exists(), "all jobs are done");
}

#[test]
fn requester_learns_that_another_users_replier_died() {
    let Some(world) = World::new("group-replier") else { return };
    let (mut alice, mut bob) = (world.member(ALICE), world.member(BOB));
    alice.all(&["requester"]);
    bob.all(&["replier"]);
    alice.0.say("ask 1");
    assert_eq!(bob.tell("take"), "1");
    bob.kill();
    assert_eq!(alice.0.said(), "PeerDied");
}

#[test]
fn key_of_a_killed_writer_goes_to_another_user() {
    let Some(world) = World::new("group-writer") else { return };
    let (mut alice, mut bob) = (world.member(ALICE), world.member(BOB));
    alice.all(&["writer", "store 1"]);
    bob.all(&["reader"]);
    let error = bob.tell("writer");
    assert!(error.starts_with("AlreadyPublished"), "{error}");
    alice.kill();
    assert_eq!(bob.tell("load"), "1", "the last value stays");
    bob.all(&["writer", "store 2"]);
    assert_eq!(bob.tell("load"), "2");
}

#[test]
fn removed_shared_file_is_replaced_and_followed() {
    let Some(world) = World::new("group-removed") else { return };
    let (mut alice, mut bob) = (world.member(ALICE), world.member(BOB));
    alice.all(&["publish"]);
    bob.all(&["subscribe"]);
    alice.all(&["send 1"]);
    assert_eq!(bob.tell("recv"), "1");
    // The directory is the group's, so that any member may remove the file, and its name is not restored.
    bob.all(&[&format!("remove {}", world.shared("small").display())]);
    alice.all(&["send 2"]);
    assert_eq!(bob.tell("recv"), "2", "the participants keep their segment");
    alice.all(&["drop", "publish", "send 3"]);
    let mut last = String::new();
    for _ in 0..3 {
        last = bob.tell("recv");
        if last == "3" || last == "4" {
            break;
        }
        alice.all(&["send 4"]);
    }
    assert!(last == "3" || last == "4", "{last}");
}
