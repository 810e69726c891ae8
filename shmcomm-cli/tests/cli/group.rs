//! Channels that the user shares with a group: here with the own group of the user, which needs no other user.

use crate::support::World;
use crate::world::{ImuFeed, Jobs, Task, imu};
use serde_json::Value;
use shmcomm_tests::{say, stage};
use std::fs::{self, Permissions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

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

#[test]
fn commands_create_and_find_the_channel_of_a_group() {
    let world = World::new();
    let _peer = world.start("shared");
    let group = groups(&world, "jobs")[0].clone().unwrap();
    let job = r#"{"number": 2}"#;
    // The own group of the user, by its name and by the mode.
    for (channel, option) in [("copy/one", ["--group", group.as_str()]), ("copy/two", ["--mode", "660"])] {
        let run = world.run(&[&["push", channel, job, "--like", "jobs"], &option[..]].concat());
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(groups(&world, channel), [Some(group.clone())]);
        // It exists now, and the option finds it.
        let run = world.run(&[&["push", channel, job], &option[..]].concat());
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let run = world.run(&["push", "copy/private", job, "--like", "jobs", "--mode", "600"]);
    assert!(run.code == Some(0) && groups(&world, "copy/private") == [None], "{run:?}");
    let run = world.run(&["push", "copy/private", job, "--group", &group]);
    assert!(run.code != Some(0) && run.err.contains("the group has no channel `copy/private`"), "{run:?}");
    let run = world.run(&["req", "planner", "{}", "--group", &group]);
    assert!(run.code != Some(0) && run.err.contains("the group has no channel `planner`"), "{run:?}");
    let run = world.run(&["push", "jobs", job, "--group", &group, "--mode", "600"]);
    assert!(run.code == Some(1) && run.err.contains("--mode 600 is private"), "{run:?}");
    let run = world.run(&["push", "jobs", job, "--mode", "666"]);
    assert!(run.code == Some(2) && run.err.contains("expected 660"), "{run:?}");
    let run = world.run(&["push", "jobs", job, "--group", "no-such-group"]);
    assert!(run.code != Some(0) && run.err.contains("the system knows no group"), "{run:?}");
}

#[test]
fn doctor_checks_the_directory_of_a_group() {
    let world = World::new();
    let _peer = world.start("shared");
    let group = groups(&world, "jobs")[0].clone().unwrap();
    let found = |world: &World| {
        let all = world.run(&["doctor", "--json"]).objects();
        all.into_iter().find(|finding| finding["check"] == "group-directory")
    };
    assert_eq!(found(&world), None);
    let directory = world.dir().join(format!("shmcomm.{group}"));
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o770)).unwrap();
    let finding = found(&world).expect("a finding");
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o2770)).unwrap();
    assert_eq!(finding["level"], "error");
    let what = finding["what"].as_str().unwrap();
    assert!(what.contains("with mode 0770"), "{what}");
    assert!(finding["cure"].as_str().unwrap().contains("chmod 2770"), "{finding}");
    assert_eq!(found(&world), None);
}

/// Returns the findings of a check, as a user sees them that is in no group of the system.
fn seen_by_outsider(world: &World, check: &str) -> Vec<Value> {
    // A user and a group that no account has.
    const OUTSIDER: u32 = 41_667;
    // The user may have no access to the folder of the program, so the open file is started.
    let program = fs::File::open(env!("CARGO_BIN_EXE_shmcomm")).unwrap();
    rustix::io::fcntl_setfd(&program, rustix::io::FdFlags::empty()).unwrap();
    let output = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .args(["doctor", "--json"])
        .env("SHMCOMM_DIR", world.dir())
        .env_remove("SHMCOMM_NAMESPACE")
        .current_dir("/")
        .uid(OUTSIDER)
        .gid(OUTSIDER)
        .output()
        .unwrap();
    assert!(output.status.code().is_some(), "{output:?}");
    let out = String::from_utf8(output.stdout).unwrap();
    let all = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|finding| finding["check"] == check).collect()
}

#[test]
fn doctor_notes_groups_of_other_users() {
    if !stage::is_root() {
        return stage::skip("only the superuser can start a process of another user");
    }
    let world = World::new();
    // Open to all users, like `/dev/shm`.
    fs::set_permissions(world.dir(), Permissions::from_mode(0o1777)).unwrap();
    let _peer = world.start("shared");
    let first = groups(&world, "jobs")[0].clone().unwrap();
    let found = || seen_by_outsider(&world, "group-member");
    let expect = |what: &str, first: &str| {
        let [finding] = &found()[..] else { panic!("{:?}", found()) };
        assert_eq!(finding["level"], "note");
        let text = finding["what"].as_str().unwrap();
        assert_eq!(
            text,
            format!("this user is not a member of group `{first}`, which shares channels{what}")
        );
        let cure = finding["cure"].as_str().unwrap();
        assert!(cure.contains(&format!("usermod -aG {first} USER")), "{cure}");
    };
    expect("", &first);
    // A group of all distributions, with another number than that of the superuser.
    let all = fs::read_to_string("/etc/group").expect("a system has groups");
    let id = all.lines().find_map(|line| line.strip_prefix("daemon:x:")?.split(':').next()?.parse().ok());
    let directory = world.dir().join("shmcomm.daemon");
    fs::create_dir(&directory).unwrap();
    chown(&directory, None, Some(id.expect("the group `daemon`"))).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o2770)).unwrap();
    expect(" and 1 more", first.as_str().min("daemon"));
    // A directory of a wrong mode is another finding.
    fs::set_permissions(&directory, Permissions::from_mode(0o770)).unwrap();
    expect("", &first);
    // Nothing is noted for a member.
    let own = world.run(&["doctor", "--json"]).objects();
    assert!(own.iter().all(|finding| finding["check"] != "group-member"), "{own:?}");
}
