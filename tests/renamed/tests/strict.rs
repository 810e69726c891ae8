//! Code that makes it hard for macros: nothing from the prelude, no unsafe code, everything documented, raw
//! identifiers, names that shadow what an expansion might use, `shmcomm` known by another name.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]
#![no_implicit_prelude]

/// A message.
#[derive(::renamed::ShmMessage)]
#[shm(crate = "::renamed")]
#[repr(C)]
pub struct Imu {
    /// When.
    pub stamp: u64,
    /// What.
    pub r#type: Mode,
    /// Where.
    pub r#in: ::renamed::ShmVec<Mode, 3>,
}

/// A mode.
#[derive(::renamed::ShmMessage, ::std::fmt::Debug, ::std::cmp::PartialEq)]
#[shm(crate = "::renamed")]
#[repr(i16)]
pub enum r#Mode {
    /// Off.
    Off = -3,
    /// On.
    r#On,
}

/// Any message.
#[derive(::renamed::ShmMessage)]
#[shm(crate = "::shmcomm_tests_renamed::shm")]
#[repr(transparent)]
pub struct Wrapped<T, const N: ::std::primitive::usize>(
    /// The items.
    pub [T; N],
);

/// Not a number, a text, a result.
#[allow(non_camel_case_types)]
pub struct usize;
/// Not a text.
#[allow(non_camel_case_types)]
pub struct str;
/// Not a result.
pub struct Result;
/// Not a choice.
pub struct Option;

::renamed::channel! {
    #[cfg(any())]
    pub Absent: PubSub<Missing> { name: "absent" }
    /// Documented.
    pub Telemetry: PubSub<Imu> { name: "robot/imu" }
    pub r#Modes: PubSub<Mode> { name: "robot/mode", slots: 1 << 3, slot_size: 2 }
}

::shmcomm_tests_renamed::shm::channel! {
    pub Facade: PubSub<Wrapped<u8, 4>> { name: "facade" }
    pub Tail: PubSub<u32, [Wrapped<u8, 4>]> { name: "tail", max_len: 3 }
}

/// Everything is where it should be.
#[test]
fn expansions_need_nothing_from_their_surroundings() {
    use ::renamed::ShmMessage;
    use ::std::assert_eq;
    assert_eq!((Telemetry::NAME, Telemetry::SLOTS, Telemetry::SLOT_SIZE), ("robot/imu", 64, 24));
    assert_eq!((Modes::SLOTS, Modes::SLOT_SIZE), (8, 2));
    assert_eq!((Facade::SLOT_SIZE, Tail::SLOT_SIZE), (4, 16));
    assert_eq!(::renamed::message::read::<Mode>(&i16::to_ne_bytes(-2)), ::std::result::Result::Ok(Mode::On));
    assert_eq!(Imu::SCHEMA.size, 24);
    let namespace = ::std::format!("strict-{}", ::std::process::id());
    let end =
        Telemetry::open().namespace(namespace).connect_timeout(::std::time::Duration::ZERO).subscriber();
    assert_eq!(
        end.err().map(|error| error.kind()),
        ::std::option::Option::Some(::renamed::ErrorKind::NotFound)
    );
}
