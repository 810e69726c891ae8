//! Channels that the user shares with a group: here with the own group of the user, which needs no other user.

use crate::support::World;
use crate::world::{ImuFeed, Jobs, Task, imu};
use shmcomm_tests::{say, stage};

/// A feed of the group, a private feed of the same name, and a queue of the group with a job.
pub fn shared() {
    let mut feed = ImuFeed::open().mode(0o660).publisher().unwrap();
    feed.send(&imu(7)).unwrap();
    let mut jobs = Jobs::open().mode(0o660).pusher().unwrap();
    jobs.send(&Task { number: 1 }).unwrap();
    say("ready");
    stage::wait();
    let mut private = ImuFeed::open().publisher().unwrap();
    private.send(&imu(8)).unwrap();
    say("ready");
    stage::wait();
}

fn groups(world: &World, channel: &str) -> Vec<Option<String>> {
    let objects = world.run(&["list", channel, "--json"]).objects();
    objects.iter().map(|object| object["group"].as_str().map(str::to_owned)).collect()
}

#[test]
fn tools_show_the_channels_of_a_group() {
    let world = World::new();
    let mut peer = world.start("shared");
    let all = groups(&world, "robot/imu");
    let [Some(group)] = &all[..] else { panic!("{all:?}") };
    let list = world.run(&["list"]).out;
    assert!(list.starts_with("CHANNEL\tGROUP\tPATTERN"), "{list}");
    assert!(list.contains(&format!("robot/imu\t{group}\tpub/sub")), "{list}");
    let info = world.run(&["info", "robot/imu"]).out;
    assert!(info.contains(&format!("group\t{group}, whose members share the channel")), "{info}");
    assert!(info.contains(&format!("/shmcomm.{group}/shmcomm2_robot%2Fimu")), "{info}");
    let echo = |world: &World| {
        world.run(&["echo", "robot/imu", "--once", "--json"]).objects()[0]["message"]["number"].clone()
    };
    assert_eq!(echo(&world), 7);
    let metrics = world.run(&["export", "--prometheus"]).out;
    let line = format!("shmcomm_messages_total{{channel=\"robot/imu\",group=\"{group}\",");
    assert!(metrics.contains(&line), "{metrics}");
    // The private channel of the name comes first for the tools, and both are listed.
    peer.say("go");
    assert_eq!(peer.said(), "ready");
    assert_eq!(groups(&world, "robot/imu"), [None, Some(group.clone())]);
    assert_eq!(echo(&world), 8);
    assert!(!world.run(&["info", "robot/imu"]).out.contains("group"));
}

#[test]
fn clean_removes_what_a_group_left() {
    let world = World::new();
    let mut peer = world.start("shared");
    peer.say("go");
    assert_eq!(peer.said(), "ready");
    peer.kill();
    assert_eq!(groups(&world, "*").len(), 3);
    assert_eq!(world.run(&["clean", "--yes"]).code, Some(0));
    assert_eq!(world.run(&["list", "--json"]).objects()[0]["channel"], "jobs");
    assert_eq!(world.run(&["clean", "--yes", "--with-work", "jobs"]).code, Some(0));
    assert!(groups(&world, "*").is_empty());
}
