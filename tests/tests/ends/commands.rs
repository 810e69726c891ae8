//! Enums with data and types of std: through every pattern, and without old memory in the segment.

use shmcomm::{ErrorKind, ShmMessage, ShmOption, ShmVec, channel, message};
use shmcomm_tests::namespace;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU16, NonZeroU32, Wrapping};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(u8)]
pub enum Command {
    Stop,
    Turn(u8),
    Drive { left: f64, right: f64 },
    Follow(Target) = 9,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C, u32)]
pub enum Target {
    Nothing,
    Robot(u16),
    Point { x: f32, y: f32 },
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
pub struct Plan {
    now: Command,
    next: ShmOption<Command>,
    later: ShmVec<Command, 3>,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
pub struct Standard {
    big: u128,
    took: Duration,
    v6: Ipv6Addr,
    v4: Ipv4Addr,
    count: Wrapping<u32>,
    id: NonZeroU32,
    port: Option<NonZeroU16>,
    _pad: shmcomm::Pad<2>,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
pub struct Tick;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(transparent)]
pub struct Metres(f32);

/// The name of another channel, which the macro would refuse as a literal.
const PLAIN: &str = "metres";

channel! {
    Commands: PubSub<Command> { name: "commands", slots: 4 }
    Plans: PubSub<Plan> { name: "plans", slots: 4 }
    Jobs: PushPull<Command> { name: "jobs", slots: 4 }
    Calls: ReqRep<Command, Target> { name: "calls", slots: 4 }
    Batches: PubSub<Command, [Command]> { name: "batches", slots: 4, max_len: 4 }
    Standards: PubSub<Standard> { name: "standards" }
    Ticks: PubSub<Tick> { name: "ticks" }
    TickJobs: PushPull<Tick> { name: "tick-jobs" }
    TickCalls: ReqRep<Tick, Tick> { name: "tick-calls" }
    Wrapped: PubSub<Metres> { name: "metres" }
    Plain: PubSub<f32> { name: PLAIN, seats: 16 }
    Robots: PubSub<u32> { name: "robot/{id}/arm/{side: &str}", slots: 8, overflow: Wait }
    Numbered: ReqRep<u32, u32> { name: "unit{n: u8}" }
}

/// Fills the stack below with a pattern that a padding byte would show.
#[inline(never)]
fn dirty() -> u8 {
    let memory = std::hint::black_box([0xa5_u8; 4096]);
    memory[std::hint::black_box(77)]
}

/// Returns a command on a stack that was dirty before.
#[inline(never)]
fn command(i: usize) -> Command {
    std::hint::black_box(dirty());
    match i % 4 {
        0 => Command::Stop,
        1 => Command::Turn(3),
        2 => Command::Drive { left: 1.5, right: -0.5 },
        _ => Command::Follow(Target::Robot(7)),
    }
}

fn segment(ns: &str, name: &str) -> Vec<u8> {
    let all = shmcomm::list_segments().expect("segments");
    let info = all.into_iter().find(|info| info.channel == format!("{ns}/{name}"));
    std::fs::read(info.expect("the segment of the channel").path).expect("a segment is a file")
}

/// Asserts that the segment has no byte of the pattern.
#[track_caller]
fn assert_clean(ns: &str, name: &str) {
    let found = segment(ns, name).windows(2).position(|pair| pair == [0xa5; 2]);
    assert_eq!(found, None, "old memory of the sender is in the segment of `{name}`");
}

#[test]
fn published_command_leaves_no_old_memory() {
    let ns = namespace("command");
    let mut publisher = Commands::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Commands::open().namespace(&*ns).subscriber().unwrap();
    for i in 0..8 {
        publisher.send(&command(i)).unwrap();
        assert_clean(&ns, "commands");
        assert_eq!(subscriber.recv().unwrap(), command(i));
    }
    for i in 0..8 {
        let mut loan = publisher.loan().unwrap();
        *loan = command(i);
        loan.send().unwrap();
        assert_clean(&ns, "commands");
        assert_eq!(*subscriber.recv_ref().unwrap(), command(i));
    }
}

#[test]
fn nested_commands_leave_no_old_memory() {
    let ns = namespace("plan");
    let mut publisher = Plans::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Plans::open().namespace(&*ns).subscriber().unwrap();
    for i in 0..6 {
        let mut later = ShmVec::new();
        for k in 0..i % 3 {
            later.push(command(i + k)).unwrap();
        }
        let next = if i % 2 == 0 { ShmOption::some(command(i + 1)) } else { ShmOption::none() };
        let plan = Plan { now: command(i), next, later };
        publisher.send(&plan).unwrap();
        assert_clean(&ns, "plans");
        assert_eq!(subscriber.recv().unwrap(), plan);
        publisher.loan_with(plan).unwrap().send().unwrap();
        assert_clean(&ns, "plans");
        assert_eq!(subscriber.recv().unwrap(), plan);
    }
}

#[test]
fn queued_command_leaves_no_old_memory() {
    let ns = namespace("job");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    for i in 0..8 {
        pusher.send(&command(i)).unwrap();
        assert_clean(&ns, "jobs");
        assert_eq!(puller.recv().unwrap(), command(i));
        let mut loan = pusher.loan().unwrap();
        *loan = command(i + 1);
        loan.send().unwrap();
        assert_clean(&ns, "jobs");
        assert_eq!(puller.recv().unwrap(), command(i + 1));
    }
}

#[test]
fn request_and_reply_leave_no_old_memory() {
    let ns = namespace("call");
    let mut replier = Calls::open().namespace(&*ns).replier().unwrap();
    let requester = Calls::open().namespace(&*ns).requester().unwrap();
    for i in 0..4 {
        let call = requester.call(&command(i)).unwrap();
        let request = replier.recv().unwrap();
        assert_eq!(*request, command(i));
        let target = [Target::Nothing, Target::Robot(3), Target::Point { x: 1.0, y: 2.0 }][i % 3];
        request.reply(&target).unwrap();
        assert_clean(&ns, "calls");
        assert_eq!(call.wait().unwrap(), target);
    }
}

#[test]
fn items_of_a_tail_leave_no_old_memory() {
    let ns = namespace("batch");
    let mut publisher = Batches::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Batches::open().namespace(&*ns).subscriber().unwrap();
    let items = [command(0), command(1), command(2), command(3)];
    publisher.send(&command(1), &items).unwrap();
    assert_clean(&ns, "batches");
    let batch = subscriber.recv_ref().unwrap();
    assert_eq!((batch.header(), batch.items()), (&command(1), &items[..]));
}

#[test]
fn types_of_std_are_sent() {
    let ns = namespace("std");
    let mut publisher = Standards::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Standards::open().namespace(&*ns).subscriber().unwrap();
    let message = Standard {
        big: u128::MAX - 5,
        took: Duration::new(7, 999_999_999),
        v6: Ipv6Addr::LOCALHOST,
        v4: Ipv4Addr::BROADCAST,
        count: Wrapping(9),
        id: NonZeroU32::MIN,
        port: NonZeroU16::new(8080),
        _pad: shmcomm::Pad::new(),
    };
    publisher.send(&message).unwrap();
    assert_clean(&ns, "standards");
    assert_eq!(subscriber.recv().unwrap(), message);
}

#[test]
fn message_without_data_is_counted() {
    let ns = namespace("tick");
    let mut publisher = Ticks::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Ticks::open().namespace(&*ns).subscriber().unwrap();
    for _ in 0..5 {
        publisher.send(&Tick).unwrap();
    }
    for _ in 0..5 {
        assert_eq!(subscriber.recv().unwrap(), Tick);
    }
    let mut pusher = TickJobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = TickJobs::open().namespace(&*ns).puller().unwrap();
    pusher.send(&Tick).unwrap();
    assert_eq!(puller.recv().unwrap(), Tick);
    let mut replier = TickCalls::open().namespace(&*ns).replier().unwrap();
    let requester = TickCalls::open().namespace(&*ns).requester().unwrap();
    let call = requester.call(&Tick).unwrap();
    replier.recv().unwrap().reply(&Tick).unwrap();
    assert_eq!(call.wait().unwrap(), Tick);
}

#[test]
fn newtype_meets_the_type_that_it_wraps() {
    assert_eq!(Metres::SCHEMA.fingerprint, f32::SCHEMA.fingerprint);
    assert_eq!(Metres::SCHEMA_JSON, f32::SCHEMA_JSON);
    let ns = namespace("newtype");
    let mut publisher = Wrapped::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Plain::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&Metres(2.5)).unwrap();
    assert_eq!(subscriber.recv().unwrap(), 2.5);
}

#[test]
fn instance_has_its_name_and_all_settings() {
    let ns = namespace("instance");
    let opener = Robots::instance(7, "left").namespace(&*ns);
    assert_eq!(opener.full_name(), format!("{ns}/robot/7/arm/left"));
    let mut publisher = opener.clone().publisher().unwrap();
    let mut subscriber = opener.subscriber().unwrap();
    let other = Robots::instance("b", "left").namespace(&*ns).connect_timeout(Duration::ZERO).subscriber();
    assert_eq!(other.err().unwrap().kind(), ErrorKind::NotFound);
    for i in 0..8 {
        publisher.send(&i).unwrap();
    }
    // `overflow: Wait` and eight slots.
    assert!(publisher.try_send(&9).is_err());
    assert_eq!(subscriber.recv().unwrap(), 0);
    let error = Robots::instance(7, "the left").namespace(&*ns).publisher().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    assert_eq!(Numbered::instance(3).namespace("").full_name(), "unit3");
    assert_eq!((Robots::NAME, Robots::SLOTS), ("robot/{id}/arm/{side: &str}", 8));
}

#[test]
fn invalid_command_is_refused_by_name() {
    let mut bytes = message::to_bytes(&Command::Follow(Target::Point { x: 1.0, y: 2.0 }));
    bytes[0] = 4;
    let error = message::read::<Command>(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "`Command`: 4 is no variant of `Command`");
    bytes[0] = 9;
    let tag = bytes.iter().skip(1).position(|b| *b == 2).unwrap() + 1;
    bytes[tag] = 7;
    let error = message::read::<Command>(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "`Command::Follow.f0`: 7 is no variant of `Target`");
}

#[test]
fn zeroed_message_is_the_zero_value() {
    assert_eq!(Command::zeroed(), Command::Stop);
    assert_eq!(Target::zeroed(), Target::Nothing);
    let plan = Plan::zeroed();
    assert!(plan.next.is_none() && plan.later.is_empty());
}
