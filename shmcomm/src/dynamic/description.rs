//! [`describe`]: the facts that the segment of a channel states.
//!
//! Owns [`Description`]. Calls `segment` for the header, in a mapping without a seat. Never waits.

use crate::error::{Error, ErrorKind};
use crate::layout::{Discipline, FLAG_MANY, FLAG_REDELIVER, FLAG_WAIT, Format, Pattern, control};
use crate::schema::{Layout, SchemaError};
use crate::segment::{Participant, View};
use crate::sync::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The format of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wire {
    /// A channel of this library.
    Native,
    /// A channel of the Python library shm-comm 1.0.0, whose ends may be in Rust or Python.
    Python,
}

/// The facts that the segment of a channel states: see [`describe`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// Full name of the channel, with its namespace.
    pub name: String,
    /// Format of the segment.
    pub wire: Wire,
    /// Name of the group of users that share the channel; `None` if it is private.
    pub group: Option<String>,
    /// Communication pattern.
    pub pattern: Pattern,
    /// Protection of the messages; `None` for the Python wire, which has one.
    pub discipline: Option<Discipline>,
    /// Format of the messages; `None` for the Python wire, whose segments do not say it.
    pub codec: Option<Format>,
    /// Number of slots; for a table, of its keys.
    pub slots: u64,
    /// Largest size of a message in bytes. For request/reply: the bytes of request, reply and the padding
    /// between. For the Python wire: as in `python::Options`, with the 4 bytes of the length.
    pub slot_size: u64,
    /// Largest size in bytes to which the slots may grow; 0 if they do not grow.
    pub grow: u64,
    /// Number of times that the slots have grown.
    pub growths: u64,
    /// Size in bytes of the longest request, for request/reply; otherwise 0.
    pub request_size: u64,
    /// Alignment of a message in bytes.
    pub align: u64,
    /// Largest number of participants at a time.
    pub seats: u32,
    /// Largest number of publishers at a time, for publish/subscribe; otherwise 1.
    pub publishers: u32,
    /// `true` if the publisher waits for its subscribers (`overflow: Wait`).
    pub waits: bool,
    /// `true` if a request whose replier died goes to another replier.
    pub redelivers: bool,
    /// `true` if several writers may store a key of the table (`writers: Many`).
    pub many_writers: bool,
    /// Number of replies of one request that may be unread, if the replies are streams; otherwise 0.
    pub window: u64,
    /// Fingerprint of the message, the request, or the header; 0 if a codec defines the messages.
    pub fingerprint: u64,
    /// Fingerprint of the reply, or of the items of the tail; otherwise 0.
    pub fingerprint2: u64,
    /// JSON array of the layouts, as stored in the segment. Any process of this user can have written any
    /// characters into this text: print it with `{:?}`.
    pub schema: String,
    /// The parsed layouts: the message; header and item of the tail; request and reply. Empty if a codec
    /// defines the messages.
    pub layouts: Result<Vec<Layout>, SchemaError>,
    /// Time of creation.
    pub created: SystemTime,
    /// Messages sent since the creation.
    pub messages: u64,
    /// Payload bytes sent since the creation; 0 for the Python wire, which does not count them.
    pub bytes: u64,
    /// Participants that are attached, or died while they were. Empty for the Python wire.
    pub participants: Vec<Participant>,
}

impl Description {
    /// Returns the layout of the message, if it is one fixed layout.
    pub fn message(&self) -> Option<&Layout> {
        self.part(0).filter(|_| self.codec == Some(Format::Fixed) && self.pattern != Pattern::ReqRep)
    }

    /// Returns the layout of the header, if messages are a header and a tail.
    pub fn header(&self) -> Option<&Layout> {
        self.part(0).filter(|_| self.codec == Some(Format::Tail))
    }

    /// Returns the layout of an item of the tail, if messages are a header and a tail.
    pub fn tail(&self) -> Option<&Layout> {
        self.part(1).filter(|_| self.codec == Some(Format::Tail))
    }

    /// Returns the layout of a request, if it is fixed.
    pub fn request(&self) -> Option<&Layout> {
        self.part(0).filter(|_| self.pattern == Pattern::ReqRep)
    }

    /// Returns the layout of a reply, if it is fixed.
    pub fn reply(&self) -> Option<&Layout> {
        self.part(1).filter(|_| self.pattern == Pattern::ReqRep)
    }

    fn part(&self, index: usize) -> Option<&Layout> {
        self.layouts.as_ref().ok()?.get(index)
    }

    pub(super) fn of(view: &View) -> Description {
        let (geometry, identity, sent) = (view.geometry(), view.identity(), view.sent());
        Description {
            name: view.channel().to_owned(),
            wire: Wire::Native,
            group: view.group().map(str::to_owned),
            pattern: view.pattern(),
            discipline: Some(geometry.discipline),
            codec: Some(view.format()),
            slots: geometry.slots,
            slot_size: geometry.slot_size,
            grow: geometry.growth.limit,
            // Relaxed: a figure to show.
            growths: geometry.grown(view.region().u64(control::GROWN).load(Ordering::Relaxed)).1,
            request_size: geometry.request_size,
            align: geometry.align,
            seats: geometry.seats,
            publishers: geometry.publishers,
            waits: identity.flags & FLAG_WAIT != 0,
            redelivers: identity.flags & FLAG_REDELIVER != 0,
            many_writers: identity.flags & FLAG_MANY != 0,
            window: geometry.stream.window,
            fingerprint: identity.fingerprint,
            fingerprint2: identity.fingerprint2,
            schema: view.schema().to_owned(),
            layouts: Layout::parse(view.schema()),
            created: UNIX_EPOCH + Duration::from_nanos(identity.created.max(0) as u64),
            messages: sent.messages,
            bytes: sent.bytes,
            participants: view.participants(),
        }
    }

    #[cfg(feature = "python")]
    pub(super) fn of_python(found: &crate::python::ObservedSegment) -> Description {
        Description {
            name: found.name().to_owned(),
            wire: Wire::Python,
            group: None,
            pattern: found.pattern(),
            discipline: None,
            codec: None,
            slots: found.slots(),
            slot_size: found.slot_size(),
            grow: 0,
            growths: 0,
            request_size: 0,
            align: 1,
            seats: 0,
            publishers: 1,
            waits: false,
            redelivers: false,
            many_writers: false,
            window: 0,
            fingerprint: 0,
            fingerprint2: 0,
            schema: "[]".into(),
            layouts: Ok(Vec::new()),
            created: UNIX_EPOCH,
            messages: found.sent(),
            bytes: 0,
            participants: Vec::new(),
        }
    }
}

/// Returns what the channel with this full name (with its namespace) is and carries; `None` if there is no
/// such channel. A channel that this user shares with a group is described if there is no private one of the name.
/// Takes no seat, changes nothing and does not wait. With the feature `python` it also finds the channels of the
/// Python library.
///
/// ```
/// use shmcomm::{Channel, PubSub, describe};
///
/// # let ns = format!("doc-describe-{}", std::process::id());
/// const POSE: Channel<PubSub<[f64; 3]>> = Channel::new("pose");
/// let publisher = POSE.open().namespace(&ns).publisher()?;
///
/// let found = describe(publisher.name())?.expect("the publisher has made it");
/// assert_eq!(found.message().map(|layout| layout.to_string()).as_deref(), Some("[f64; 3]"));
/// assert_eq!((found.slots, found.slot_size, found.participants.len()), (64, 24, 1));
/// assert!(describe("no/such/channel")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidName`]; [`ErrorKind::NotASegment`], [`ErrorKind::Version`] and
/// [`ErrorKind::Permission`] if there is a file that is no segment of this user and version;
/// [`ErrorKind::Unsupported`] or [`ErrorKind::Os`] from the system.
pub fn describe(channel: &str) -> Result<Option<Description>, Error> {
    let native = View::of_header(channel).map(|view| view.map(|view| Description::of(&view)));
    #[cfg(feature = "python")]
    if no_native(&native)
        && let Some(found) = crate::python::ObservedSegment::find(channel)?
    {
        return Ok(Some(Description::of_python(&found)));
    }
    native
}

/// Returns what the channel of a group is and carries: the one with this full name that the users of `group` share. Never
/// takes a private channel. An end of it is opened with a [`Declaration`](crate::Declaration) of the description, or with
/// [`DynSubscriber::described`](crate::DynSubscriber::described).
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is no such channel; [`ErrorKind::Permission`] if the group cannot be used; the errors of
/// [`describe`].
pub fn describe_in_group(channel: &str, group: &str) -> Result<Description, Error> {
    match View::of_header_in(channel, group)? {
        Some(view) => Ok(Description::of(&view)),
        None => {
            let why = format!(
                "group `{group}` has no such channel; `list_segments` returns all, with their groups and namespaces"
            );
            Err(Error::new(ErrorKind::NotFound, channel.to_owned(), why))
        }
    }
}

/// Returns `true` if the name belongs to no native channel, so that it may belong to one of Python.
pub(super) fn no_native<T>(native: &Result<Option<T>, Error>) -> bool {
    match native {
        Ok(found) => found.is_none(),
        Err(error) => error.kind() == ErrorKind::InvalidName,
    }
}
