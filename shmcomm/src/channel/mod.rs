//! Channels: what two programs have to agree on, in one constant.
//!
//! Owns the descriptor [`Channel`] that [`channel!`](crate::channel!) expands to, the [`Opener`] that
//! turns it into an end, and the checks made while it compiles. Calls the patterns; never touches a
//! segment.
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
//! # Without it
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
mod opener;
mod pattern;
#[cfg(feature = "python")]
#[doc(hidden)]
pub mod wire;

pub use opener::Opener;
pub use pattern::{Carry, FixedMessage, Pattern, PubSub, PushPull, ReqRep, TailItem};

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use pattern::Carries;

/// The descriptor of a channel: everything that two programs have to agree on, in one `const`.
///
/// Best put into a library crate that both programs depend on. [`channel!`](crate::channel!) makes one,
/// with constructors to it; [`Channel::new`] is the way without the macro. What is wrong with it is a
/// compile error.
///
/// ```compile_fail
/// use shmcomm::{Channel, PubSub};
/// const IMU: Channel<PubSub<[f32; 6]>> = Channel::new("robot/imu").slots(300); // take 256 or 512
/// ```
pub struct Channel<P: ?Sized> {
    name: &'static str,
    settings: Settings,
    carries: Carries,
    pattern: PhantomData<fn(&P)>,
}

/// What the creator of a segment decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    slots: usize,
    /// 0 if it follows from nothing yet.
    slot_size: usize,
    seats: usize,
    publishers: usize,
    redeliver: bool,
    overflow: Overflow,
    patience: Duration,
    /// Zero: not at all.
    expect_every: Duration,
}

/// What a publisher does when a slot is needed again that subscribers have not read: key `overflow` of a
/// publish/subscribe channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// It overwrites the oldest message; who has not received it is told how many were lost.
    #[default]
    Overwrite,
    /// It waits until all subscribers have received it.
    Wait,
}

impl Settings {
    pub(crate) const SLOTS: usize = 64;
    /// Of request/reply: what is asked at one time, and so few that they stay in the nearest cache.
    pub(crate) const REQUESTS: usize = 16;
    pub(crate) const SEATS: usize = 128;
    pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

    const fn of(carries: &Carries) -> Self {
        let slot_size = match carries.size() {
            Some(0) => 1,
            Some(size) => size,
            None => 0,
        };
        Settings {
            slots: if carries.is_exchange() { Self::REQUESTS } else { Self::SLOTS },
            slot_size,
            seats: Self::SEATS,
            publishers: 1,
            redeliver: false,
            overflow: Overflow::Overwrite,
            patience: Self::PATIENCE,
            expect_every: Duration::ZERO,
        }
    }
}

impl<P: Pattern + ?Sized> Channel<P> {
    /// A channel of 64 slots, or 16 for request/reply, each as large as its message, with 128 seats.
    ///
    /// # Panics
    ///
    /// In a `const`, where this belongs, a compile error: if `name` is not made of 1 to 200 bytes, in
    /// parts of letters, digits, `_`, `-` and `.`, joined by `/`; or if a generic message has padding.
    /// For names known only at run time there is [`try_new`](Channel::try_new), which never panics.
    #[track_caller]
    pub const fn new(name: &'static str) -> Self {
        check::name("", name);
        check_messages(name, P::CARRIES);
        Self::with(name, Settings::of(&P::CARRIES), P::CARRIES)
    }

    /// A channel whose name is known only at run time.
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
    /// [`InvalidName`](crate::ErrorKind::InvalidName).
    pub fn try_new(name: impl Into<std::borrow::Cow<'static, str>>) -> Result<Opener<P>, crate::Error> {
        const { check_messages("", P::CARRIES) };
        let name = name.into();
        crate::segment::Place::new(&name)?;
        Ok(Opener::new(name, Settings::of(&P::CARRIES), P::CARRIES))
    }
}

/// What can be wrong with messages where their parameters are known.
#[track_caller]
const fn check_messages(who: &str, carries: Carries) {
    let Carries { first, second, .. } = carries;
    check::message(who, first.name(), carries);
    if let Some(second) = second {
        check::message(who, second.name(), Carries { first: second, ..carries });
        check::tail(first.name(), second.name(), carries);
    }
}

impl<P: ?Sized> Channel<P> {
    const fn with(name: &'static str, settings: Settings, carries: Carries) -> Self {
        Channel { name, settings, carries, pattern: PhantomData }
    }

    /// How many messages the channel holds: a power of two from 2 to 1,048,576.
    ///
    /// # Panics
    ///
    /// On any other number, which in a `const` is a compile error.
    #[track_caller]
    pub const fn slots(mut self, slots: usize) -> Self {
        check::slots(self.name, slots);
        self.settings.slots = slots;
        self
    }

    /// How many bytes a message may take: as many as the message has, or more; at most 2 GiB.
    ///
    /// # Panics
    ///
    /// On any other number, which in a `const` is a compile error.
    #[track_caller]
    pub const fn slot_size(mut self, bytes: usize) -> Self {
        let Carries { first, second, .. } = self.carries;
        check::fits(self.name, first.name(), self.carries, bytes);
        if let (Some(second), None) = (second, self.carries.tail()) {
            check::fits(self.name, second.name(), Carries { first: second, ..self.carries }, bytes);
        }
        self.settings.slot_size = bytes;
        self
    }

    /// How many ends may be open at one time, 2 to 4096.
    ///
    /// # Panics
    ///
    /// On any other number, which in a `const` is a compile error.
    #[track_caller]
    pub const fn seats(mut self, seats: usize) -> Self {
        check::seats(self.name, seats);
        self.settings.seats = seats;
        self
    }

    /// The name, without namespace.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The channel with other settings than declared, and the way to its ends.
    pub fn open(&self) -> Opener<P> {
        Opener::new(std::borrow::Cow::Borrowed(self.name), self.settings, self.carries)
    }
}

impl<M: ?Sized, F: ?Sized> Channel<PubSub<M, F>> {
    /// How many publishers there may be at a time, 1 to 32; 1 if not said.
    ///
    /// With more than one, all subscribers see the messages of all publishers in one order, which keeps the
    /// order of each, and a message says who sent it:
    /// [`Subscriber::publisher`](crate::Subscriber::publisher). Each publisher has slots of its own, so the
    /// segment takes that many times the memory.
    ///
    /// # Panics
    ///
    /// On any other number, which in a `const` is a compile error.
    #[track_caller]
    pub const fn publishers(mut self, publishers: usize) -> Self {
        check::publishers(self.name, publishers);
        self.settings.publishers = publishers;
        self
    }
}

impl<H, T> Channel<PubSub<H, [T]>> {
    /// How many items a tail may have; the size of the slots follows.
    ///
    /// # Panics
    ///
    /// If that is more than 2 GiB; in a `const`, a compile error.
    #[track_caller]
    pub const fn max_len(mut self, items: usize) -> Self {
        check::tail_fits(self.name, self.carries, items, usize::MAX);
        self.settings.slot_size = self.carries.size_with(items);
        self
    }
}

impl<M: ?Sized, F: ?Sized> Channel<PubSub<M, F>> {
    /// Whether the publisher waits for its subscribers or overwrites what they have not read. It overwrites if
    /// not said.
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self
    }

    /// How long a subscriber may hold up a publisher that waits, without receiving anything: see
    /// [`Opener::patience`]. 5 seconds if not said.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// How often subscribers expect a message: see [`Opener::expect_every`].
    ///
    /// # Panics
    ///
    /// If the period is zero, which in a `const` is a compile error.
    #[track_caller]
    pub const fn expect_every(mut self, period: Duration) -> Self {
        check::expect_every(self.name, period);
        self.settings.expect_every = period;
        self
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Channel<ReqRep<Q, R, F>> {
    /// Whether a request whose replier died goes to another one. If not, and not if not said, its
    /// requester gets an error: the dead replier may have done half of what was asked.
    pub const fn redeliver(mut self, redeliver: bool) -> Self {
        self.settings.redeliver = redeliver;
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
/// Each is `name: Pattern<Message> { key: value, … }`, with documentation, attributes and visibility in
/// front, and becomes a unit struct: constants `NAME`, `SLOTS`, `SLOT_SIZE` and `CHANNEL` (the
/// [`Channel`]), constructors for both ends, and `open()` for settings that differ at run time. The
/// patterns need no import here. Values are any constant expression; what is wrong with one is a
/// compile error under its tokens.
///
/// | pattern | constructors |
/// |---|---|
/// | `PubSub<Message>`, `PubSub<Header, [Item]>` | `publisher()`, `subscriber()` |
/// | `PushPull<Message>` | `pusher()`, `puller()` |
/// | `ReqRep<Request, Reply>` | `requester()`, `replier()` |
///
/// | key | of | meaning |
/// |---|---|---|
/// | `name` | all | 1 to 200 bytes: parts of letters, digits, `_`, `-`, `.`, joined by `/` |
/// | `slots` | all | how many messages the channel holds: a power of two from 2 to 1,048,576; 64 if not said, 16 of `ReqRep` |
/// | `slot_size` | all | bytes a message may take; as many as it has if not said |
/// | `max_len` | `PubSub<Header, [Item]>` | how many items a tail may have; `slot_size` follows |
/// | `seats` | all | how many ends may be open at one time, 2 to 4096; 128 if not said |
/// | `publishers` | `PubSub` | how many publishers there may be at one time, 1 to 32; 1 if not said |
/// | `wire` | all | `Python` if the other end is, or may be, a process of the Python library shm-comm 1.0.0 |
/// | `overflow` | `PubSub` | `Wait` if the publisher waits for its subscribers; `Overwrite` if not said |
/// | `patience` | `PubSub` | how long a subscriber that receives nothing may hold up a publisher that waits: `2s`, `500ms` or any `Duration`; `5s` if not said |
/// | `expect_every` | `PubSub` | how often subscribers expect a message: `10ms` or any `Duration`; they are told when none came |
/// | `redeliver` | `ReqRep` | whether a request whose replier died goes to another one; `false` if not said |
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
/// # Messages that serde encodes
///
/// A codec in the place of the format admits any message that serde can handle, in up to `slot_size` bytes:
/// `Jobs: PushPull<Job, Msgpack> { name: "jobs", slot_size: 4096 }`. The codecs `Msgpack`, `Pickle` (features of this
/// crate) and `Bytes` need no import here.
///
/// # With Python
///
/// `Pose: PubSub<PoseDict, Pickle> { name: "pose", wire: Python }` has the ends of `shmcomm::python`, and in place of
/// `open()` a function `options()`, which returns what they are opened with. Slots, unless said, are as many and as
/// large as Python makes them; names are plain, without `/`.
#[cfg(feature = "derive")]
#[macro_export]
macro_rules! channel {
    ($($input:tt)*) => { $crate::__private::channel::channel! { [$crate] $($input)* } };
}

/// Passes on what an expansion of [`channel!`](crate::channel!) has for a channel with Python.
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
