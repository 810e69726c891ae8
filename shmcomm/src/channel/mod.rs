//! Channels: everything that two programs must agree on, in one constant.
//!
//! Owns the descriptor [`Channel`] that [`channel!`](crate::channel!) expands to, the [`Opener`] that opens
//! an end from it, and the checks that run at compile time. Calls the patterns; never touches a segment.
//!
//! # With the macro
//!
//! ```
//! use shmcomm::{Pad, ShmMessage, Timestamp, channel};
//!
//! #[derive(Clone, Copy, Debug, ShmMessage)]
//! #[repr(C)]
//! pub struct Imu {
//!     stamp: Timestamp,
//!     acc: [f32; 3],
//!     gyro: [f32; 3],
//! }
//!
//! channel! {
//!     /// Inertial measurements, 1 kHz.
//!     pub ImuFeed: PubSub<Imu> { name: "robot/imu", slots: 256 }
//! }
//!
//! assert_eq!(ImuFeed::NAME, "robot/imu");
//! assert_eq!((ImuFeed::SLOTS, ImuFeed::SLOT_SIZE), (256, 32));
//! ```
//!
//! # Without the macro
//!
//! ```
//! use shmcomm::{Channel, PubSub};
//!
//! const IMU: Channel<PubSub<[f32; 6]>> = Channel::new("robot/imu").slots(256);
//!
//! assert_eq!(IMU.open().namespace("sim1").full_name(), "sim1/robot/imu");
//! ```

pub(crate) mod check;
#[doc(hidden)]
pub mod declare;
mod ends;
mod grow;
mod in_place;
#[doc(hidden)]
pub mod message_words;
mod opener;
mod pattern;
mod stream;
#[cfg(feature = "python")]
#[doc(hidden)]
pub mod wire;

pub use opener::Opener;
pub use pattern::{Carry, FixedMessage, Pattern, PubSub, PushPull, ReqRep, ReqStream, Table, TailItem};

use crate::layout::DEFAULT_SLOTS;
use crate::segment::Requested;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use pattern::MessageInfo;

/// Descriptor of a channel: everything that two programs must agree on, in one `const`.
///
/// Put it into a library crate that both programs depend on. [`channel!`](crate::channel!) makes a descriptor
/// together with its constructors; [`Channel::new`] makes one without the macro. A wrong value is a compile
/// error.
///
/// ```compile_fail
/// use shmcomm::{Channel, PubSub};
/// const IMU: Channel<PubSub<[f32; 6]>> = Channel::new("robot/imu").slots(300); // take 256 or 512
/// ```
pub struct Channel<P: ?Sized> {
    name: &'static str,
    settings: Settings,
    carries: MessageInfo,
    pattern: PhantomData<fn(&P)>,
}

/// Settings that the creator of a segment decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    slots: usize,
    /// Bytes per slot; 0 if neither the message nor the declaration determines the size.
    slot_size: usize,
    /// Largest bytes per slot, if the slots grow; otherwise 0.
    grow: usize,
    /// `true` if messages are in place at every size, `false` if they are copied, `None` if their size decides.
    in_place: Option<bool>,
    seats: usize,
    publishers: usize,
    /// Number of unread replies of a request, if its replies are a stream.
    window: usize,
    redeliver: bool,
    /// Several writers of a table may store one key.
    many_writers: bool,
    overflow: Overflow,
    patience: Duration,
    /// Expected period between two messages; zero if there is none.
    expect_every: Duration,
    /// Group of users that share the channel.
    group: Option<&'static str>,
    /// Settings that the program gave itself.
    asked: Requested,
}

/// Behaviour of a publisher that needs a slot which subscribers have not read yet: key `overflow` of a
/// publish/subscribe channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The publisher overwrites the oldest message. A subscriber that missed messages is told how many it
    /// lost.
    #[default]
    Overwrite,
    /// The publisher waits until all subscribers have received the message.
    Wait,
}

impl Settings {
    pub(crate) const SLOTS: usize = DEFAULT_SLOTS as usize;
    /// Slots of a request/reply channel: enough for the outstanding requests, and few enough to stay in the
    /// L1 cache.
    pub(crate) const REQUESTS: usize = 16;
    pub(crate) const SEATS: usize = 128;
    pub(crate) const PUBLISHERS: usize = 1;
    /// Unread replies of a stream: enough to keep both ends busy, and few enough to stay in the L1 cache.
    pub(crate) const WINDOW: usize = 16;
    pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

    const fn of(carries: &MessageInfo) -> Self {
        let slot_size = match carries.size() {
            Some(0) => 1,
            Some(size) => size,
            None => 0,
        };
        Settings {
            slots: if carries.is_exchange() { Self::REQUESTS } else { Self::SLOTS },
            slot_size,
            grow: 0,
            in_place: None,
            seats: Self::SEATS,
            publishers: Self::PUBLISHERS,
            window: Self::WINDOW,
            redeliver: false,
            many_writers: false,
            overflow: Overflow::Overwrite,
            patience: Self::PATIENCE,
            expect_every: Duration::ZERO,
            group: None,
            asked: Requested::NOTHING,
        }
    }
}

impl<P: Pattern + ?Sized> Channel<P> {
    /// Makes a channel of 64 slots, or 16 for request/reply, each as large as its message, with 128 seats. A
    /// publish/subscribe channel of messages above 128 KiB has fewer: as many as 8 MiB hold, at least 8, or 4 above 4 MiB.
    ///
    /// # Panics
    /// Panics if `name` is not a valid name, or if a generic message has padding. In a `const`, which is the
    /// usual place, this is a compile error. A name has 1 to 200 bytes, in parts of letters, digits, `_`, `-`
    /// and `.`, joined by `/`. For names known only at run time there is [`try_new`](Channel::try_new), which
    /// never panics.
    #[track_caller]
    pub const fn new(name: &'static str) -> Self {
        check::name("", name);
        check_messages(name, P::CARRIES);
        Self::with(name, Settings::of(&P::CARRIES), P::CARRIES)
    }

    /// Makes a channel whose name is known only at run time.
    ///
    /// ```
    /// # use shmcomm::{Channel, PubSub};
    /// let robot = 7;
    /// let pose = Channel::<PubSub<[f64; 7]>>::try_new(format!("robot{robot}/pose"))?.slots(16);
    /// assert!(Channel::<PubSub<[f64; 7]>>::try_new("robot 7/pose").is_err());
    /// # Ok::<(), shmcomm::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`InvalidName`](crate::ErrorKind::InvalidName) if the name is not valid.
    pub fn try_new(
        name: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Result<Opener<P>, crate::error::Error> {
        const { check_messages("", P::CARRIES) };
        let name = name.into();
        crate::segment::ChannelPath::new(&name)?;
        Ok(Opener::new(name, Settings::of(&P::CARRIES), P::CARRIES))
    }
}

/// Checks everything about the messages that is known only once their type parameters are.
#[track_caller]
const fn check_messages(who: &str, carries: MessageInfo) {
    let MessageInfo { first, second, .. } = carries;
    check::message(who, first.name(), carries);
    if let Some(second) = second {
        check::message(who, second.name(), MessageInfo { first: second, ..carries });
        check::tail(first.name(), second.name(), carries);
    }
}

impl<P: ?Sized> Channel<P> {
    const fn with(name: &'static str, settings: Settings, carries: MessageInfo) -> Self {
        Channel { name, settings, carries, pattern: PhantomData }
    }

    /// Sets the number of messages that the channel holds: a power of two from 2 to 1,048,576.
    ///
    /// # Panics
    /// Panics on any other number; in a `const` this is a compile error.
    #[track_caller]
    pub const fn slots(mut self, slots: usize) -> Self {
        check::slots(self.name, slots);
        self.settings.slots = slots;
        self.settings.asked = self.settings.asked.and(Requested::SLOTS);
        self
    }

    /// Sets the maximum size of a message in bytes: at least the size of the message type, at most 2 GiB.
    ///
    /// # Panics
    /// Panics on any other number; in a `const` this is a compile error.
    #[track_caller]
    pub const fn slot_size(mut self, bytes: usize) -> Self {
        let MessageInfo { first, second, .. } = self.carries;
        check::fits(self.name, first.name(), self.carries, bytes);
        if let (Some(second), None) = (second, self.carries.tail()) {
            check::fits(self.name, second.name(), MessageInfo { first: second, ..self.carries }, bytes);
        }
        self.settings.slot_size = bytes;
        self.settings.asked = self.settings.asked.and(Requested::SLOT_SIZE);
        self
    }

    /// Sets the number of ends that may be open at one time, 2 to 4096.
    ///
    /// # Panics
    /// Panics on any other number; in a `const` this is a compile error.
    #[track_caller]
    pub const fn seats(mut self, seats: usize) -> Self {
        check::seats(self.name, seats);
        self.settings.seats = seats;
        self.settings.asked = self.settings.asked.and(Requested::SEATS);
        self
    }

    /// Shares the channel with the users of this group of the system: see [`Opener::group`].
    ///
    /// # Panics
    /// Panics if the name of the group is empty; in a `const` this is a compile error.
    #[track_caller]
    pub const fn group(mut self, group: &'static str) -> Self {
        check::group(self.name, group);
        self.settings.group = Some(group);
        self
    }

    /// Returns the name, without namespace.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns an opener, which can change settings for this run of the program and opens the ends.
    pub fn open(&self) -> Opener<P> {
        Opener::new(std::borrow::Cow::Borrowed(self.name), self.settings, self.carries)
    }
}

impl<M: ?Sized, F: ?Sized> Channel<PubSub<M, F>> {
    /// Sets the number of publishers that may be open at one time, 1 to 32. The default is 1.
    ///
    /// With more than one publisher, all subscribers see all messages in one order. This order keeps the
    /// order of each publisher. A message carries its sender: see
    /// [`Subscriber::publisher`](crate::Subscriber::publisher). Each publisher has its own slots, so the
    /// memory of the segment grows by the number of publishers.
    ///
    /// # Panics
    /// Panics on any other number; in a `const` this is a compile error.
    #[track_caller]
    pub const fn publishers(mut self, publishers: usize) -> Self {
        check::publishers(self.name, publishers);
        self.settings.publishers = publishers;
        self.settings.asked = self.settings.asked.and(Requested::PUBLISHERS);
        self
    }
}

impl<H, T> Channel<PubSub<H, [T]>> {
    /// Sets the number of items that a tail may have; the size of the slots follows.
    ///
    /// # Panics
    ///
    /// Panics if that is more than 2 GiB; in a `const` this is a compile error.
    #[track_caller]
    pub const fn max_len(mut self, items: usize) -> Self {
        check::tail_fits(self.name, self.carries, items, usize::MAX);
        self.settings.slot_size = self.carries.size_with(items);
        self.settings.asked = self.settings.asked.and(Requested::SLOT_SIZE);
        self
    }
}

impl<M: ?Sized, F: ?Sized> Channel<PubSub<M, F>> {
    /// Sets whether the publisher waits for its subscribers or overwrites messages that they have not read.
    /// It overwrites by default.
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self.settings.asked = self.settings.asked.and(Requested::OVERFLOW);
        self
    }

    /// Sets the time for which a subscriber that receives nothing may hold up a publisher that waits (the
    /// stall timeout): see [`Opener::patience`]. The default is 5 seconds.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self.settings.asked = self.settings.asked.and(Requested::PATIENCE);
        self
    }

    /// Sets the period within which subscribers expect a message: see [`Opener::expect_every`].
    ///
    /// # Panics
    ///
    /// Panics if the period is zero; in a `const` this is a compile error.
    #[track_caller]
    pub const fn expect_every(mut self, period: Duration) -> Self {
        check::expect_every(self.name, period);
        self.settings.expect_every = period;
        self
    }
}

impl<P: ?Sized> Copy for Channel<P> {}

impl<P: ?Sized> Clone for Channel<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: ?Sized> fmt::Debug for Channel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).field("settings", &self.settings).finish()
    }
}

/// Declares typed channels.
///
/// Each declaration has the form `name: Pattern<Message> { key: value, … }`. Documentation, attributes and
/// visibility stand in front of it. It becomes a unit struct with constants `NAME`, `SLOTS`, `SLOT_SIZE` and
/// `CHANNEL` (the [`Channel`]). The struct has constructors for both ends, and `open()` for settings that
/// differ at run time. The patterns need no import here. A value is any constant expression, or one of the
/// words of its key. A wrong value is a compile error that points at its tokens. Attributes such as `#[cfg]`,
/// `#[allow]` and `#[deprecated]` apply to all items of the channel.
///
/// | pattern | constructors |
/// |---|---|
/// | `PubSub<Message>`, `PubSub<Header, [Item]>` | `publisher()`, `subscriber()` |
/// | `PushPull<Message>` | `pusher()`, `puller()` |
/// | `ReqRep<Request, Reply>` | `requester()`, `replier()`; with `replies: Stream` those of [`ReqStream`] |
/// | `Table`, see [below](#tables-of-latest-values) | `writer(key)`, `reader()` |
///
/// | key | of | meaning |
/// |---|---|---|
/// | `name` | all | 1 to 200 bytes: parts of letters, digits, `_`, `-`, `.`, joined by `/`; `{id}` in a literal is a parameter |
/// | `slots` | all | number of messages that the channel holds: a power of two from 2 to 1,048,576; default 64, or 16 for `ReqRep`; `PubSub` above 128 KiB: what 8 MiB hold, at least 8, above 4 MiB 4 |
/// | `slot_size` | all | maximum size of a message in bytes; default the size of the message |
/// | `grow` | `PubSub` with a tail or a codec, `PushPull` with a codec | largest size to which the slots grow when a message needs it: `1 MiB`, or a number of bytes; see [`Opener::grow`] |
/// | `in_place` | `PubSub` | `true` if messages of every size are in place, `false` if they are copied, up to 4096 bytes; by default the size decides: see [`Opener::in_place`] |
/// | `max_len` | `PubSub<Header, [Item]>` | maximum number of items in a tail; `slot_size` follows |
/// | `seats` | all | number of ends that may be open at one time, 2 to 4096; default 128 |
/// | `publishers` | `PubSub` | number of publishers that may be open at one time, 1 to 32; default 1 |
/// | `wire` | all | `Python` if the other end is, or may be, a process of the Python library shm-comm 1.0.0 |
/// | `overflow` | `PubSub` | `Wait` if the publisher waits for its subscribers, or any `Overflow`; default `Overwrite` |
/// | `patience` | `PubSub` | stall timeout, after which a publisher that waits evicts a subscriber that receives nothing: `2s`, `500ms` or any `Duration`; default `5s` |
/// | `expect_every` | `PubSub` | period within which subscribers expect a message: `10ms` or any `Duration`; they are told when none came |
/// | `redeliver` | `ReqRep` | `true` if a request whose replier died goes to another replier; default `false`; not with `replies: Stream` |
/// | `replies` | `ReqRep` | `Stream` if a request has any number of replies: see [`StreamRequester`](crate::StreamRequester); default `One` |
/// | `window` | `ReqRep` with `replies: Stream` | number of replies of one request that may be unread, 1 to 65,536; default 16 |
///
/// ```
/// use shmcomm::{ShmMessage, Timestamp, channel};
///
/// #[derive(Clone, Copy, ShmMessage)]
/// #[repr(C)]
/// pub struct FrameHeader {
///     stamp: Timestamp,
///     width: u32,
///     height: u32,
/// }
///
/// channel! {
///     /// What the camera sees.
///     pub Camera: PubSub<FrameHeader, [u8]> { name: "robot/camera", slots: 8, max_len: 1920 * 1080 * 3 }
///     pub Odometry: PubSub<[f64; 6]> { name: "robot/odometry" }
/// }
///
/// assert_eq!(Camera::SLOT_SIZE, 16 + 1920 * 1080 * 3);
/// let sim = Odometry::open().namespace("sim1").slots(16);
/// assert_eq!(sim.full_name(), "sim1/robot/odometry");
/// ```
///
/// # Tables of latest values
///
/// A table has a `name`, and 1 to 1024 keys with the types of their values. Each key becomes a constant. A key has one
/// [`TableWriter`](crate::TableWriter) at a time, or several with `writers: Many`. Any number of
/// [`TableReader`](crate::TableReader)s load the latest values. The struct has no `SLOTS` and no `SLOT_SIZE`.
///
/// ```
/// use shmcomm::channel;
///
/// channel! {
///     /// State of the robot.
///     pub Robot: Table {
///         name: "robot/state",
///         /// Charge, from 0 to 1.
///         battery: f32,
///         pose: [f64; 3],
///     }
/// }
///
/// assert_eq!((Robot::NAME, Robot::BATTERY.name()), ("robot/state", "battery"));
/// ```
///
/// # Names with parameters
///
/// A declaration can stand for several channels with the same settings. The parameters are arguments of
/// `instance`, which returns an [`Opener`] with all settings. `{id}` takes any `Display`, `{id: u8}` that type. The
/// struct has no `CHANNEL`, no `open()` and no constructors. A value that makes the name invalid is an
/// [`InvalidName`](crate::ErrorKind::InvalidName) when an end is opened.
///
/// ```
/// use shmcomm::channel;
///
/// channel! {
///     pub Imu: PubSub<[f32; 6]> { name: "robot/{id: u8}/imu", slots: 256 }
/// }
///
/// let imu = Imu::instance(7).namespace("sim1");
/// assert_eq!(imu.full_name(), "sim1/robot/7/imu");
/// ```
///
/// # Common mistakes
///
/// A number that is no power of two:
///
/// ```compile_fail
/// shmcomm::channel! { Feed: PubSub<u64> { name: "feed", slots: 100 } }
/// ```
///
/// A message that holds a type of the heap; use [`ShmString`](crate::ShmString), or a codec:
///
/// ```compile_fail
/// shmcomm::channel! { Names: PubSub<String> { name: "names" } }
/// ```
///
/// A name that is made at run time; use parameters, or [`Channel::try_new`]:
///
/// ```compile_fail
/// shmcomm::channel! { Feed: PubSub<u64> { name: format!("feed{}", 7) } }
/// ```
///
/// # Messages that serde encodes
///
/// A codec in the place of the format admits any message that serde can encode, in up to `slot_size` bytes:
/// `Jobs: PushPull<Job, Msgpack> { name: "jobs", slot_size: 4096 }`. The codecs `Msgpack`, `Pickle` (features
/// of this crate) and `Bytes` need no import here.
///
/// # With Python
///
/// `Pose: PubSub<PoseDict, Pickle> { name: "pose", wire: Python }` has the ends of `shmcomm::python`. In
/// place of `open()` it has a function `options()`, which returns the options that open the ends. By default
/// the number and the size of the slots are those of the Python library. Names are plain, without `/`.
#[cfg(feature = "derive")]
#[macro_export]
macro_rules! channel {
    ($($input:tt)*) => { $crate::__private::channel::channel! { [$crate] $($input)* } };
}

/// Expands to its input: the items that [`channel!`](crate::channel!) generates for a channel with Python.
#[cfg(feature = "python")]
#[doc(hidden)]
#[macro_export]
macro_rules! __shmcomm_with_python {
    ($($input:tt)*) => { $($input)* };
}

#[cfg(not(feature = "python"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __shmcomm_with_python {
    ($($input:tt)*) => {
        ::core::compile_error! { "`wire: Python` needs the feature `python` of `shmcomm`" }
    };
}
