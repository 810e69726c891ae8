//! A container: a process in a user namespace, where users and groups have other numbers, shares a channel with users
//! outside.

use crate::member::{ALICE, GROUP, Member, World, become_user, gid, serve};
use shmcomm_tests::{say, stage};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// First number outside of the users of the container.
const FIRST: u32 = 700_000;
/// A user of the container, by the number there.
const INSIDE: u32 = 7;
/// The group's number in the container.
const GROUP_INSIDE: u32 = 5;

/// Starts a process in a container that maps the group to another number, as its user [`INSIDE`].
fn contained(world: &World, test: &str) -> Option<Member> {
    // Where namespaces are forbidden, it says so and fails with `CI=true`.
    let wrapper = stage::unshare(&["--user", "--mount", "--keep-caps"])?;
    let groups = world.shared("").with_file_name(format!("group-{test}"));
    fs::write(&groups, format!("{GROUP}:x:{GROUP_INSIDE}:\n")).unwrap();
    let mut member = world.start_under(&wrapper, "container", groups.to_str().unwrap());
    assert_eq!(member.0.said(), "unmapped");
    let proc = |file| format!("/proc/{}/{file}", member.0.pid());
    fs::write(proc("uid_map"), format!("0 {FIRST} 65536")).unwrap();
    fs::write(
        proc("gid_map"),
        format!("0 {FIRST} 1\n{GROUP_INSIDE} {} 1\n{INSIDE} {} 1", gid(), FIRST + INSIDE),
    )
    .unwrap();
    assert_eq!(member.tell("mapped"), "ready");
    Some(member)
}

/// The process in the container.
pub fn process() {
    say("unmapped");
    stage::wait();
    let groups = std::ffi::CString::new(std::env::var("TEST_GID").unwrap()).unwrap();
    // SAFETY: the texts outlive the call. Puts the container's list of groups over that of the system, in this process.
    let mounted = unsafe {
        libc::mount(
            groups.as_ptr(),
            c"/etc/group".as_ptr(),
            std::ptr::null(),
            libc::MS_BIND,
            std::ptr::null(),
        )
    };
    assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: makes this process one of the root of the container, so that the next change drops all capabilities.
    assert_eq!(unsafe { libc::setuid(0) }, 0);
    become_user(INSIDE, Some(GROUP_INSIDE));
    say("ready");
    serve();
}

#[test]
fn container_with_mapped_users_shares_a_channel() {
    let Some(world) = World::new("group-container") else { return };
    let Some(mut inside) = contained(&world, "a") else { return };
    let mut alice = world.member(ALICE);
    inside.all(&["publish"]);
    let file = fs::metadata(world.shared("small")).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (FIRST + INSIDE, gid(), 0o660));
    alice.all(&["subscribe"]);
    inside.all(&["send 1"]);
    assert_eq!(alice.tell("recv"), "1");
    alice.all(&["pusher", "push 3"]);
    inside.all(&["puller"]);
    assert_eq!(inside.tell("pull"), "3");
    assert_eq!(inside.tell("list"), format!("jobs@{GROUP}:live small@{GROUP}:live"));
    // Deaths are seen in both directions, and each side continues in the segment of the other one.
    inside.kill();
    let said = alice.tell("recv");
    assert!(said.starts_with("Disconnected"), "{said}");
    alice.all(&["publish"]);
    let Some(mut again) = contained(&world, "b") else { return };
    again.all(&["subscribe"]);
    alice.all(&["send 2"]);
    assert_eq!(again.tell("recv"), "2");
    alice.kill();
    let said = again.tell("recv");
    assert!(said.starts_with("Disconnected"), "{said}");
    again.all(&["drop"]);
    assert!(!world.shared("small").exists(), "the last participant removes the file of a user outside");
    assert_eq!(again.tell("clean"), "1", "the queue that was left");
}
