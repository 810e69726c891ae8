//! Serde's `Serialize` for the figures of channels: [`Stats`], [`SegmentInfo`] and their parts.
//!
//! Owns those implementations. Calls nothing. Never changes a figure: fields keep their names, times have the form that
//! serde gives to `SystemTime` and `Duration`, and a path is text.

use crate::segment::{Backlog, Participant, Role, SegmentInfo};
use crate::stats::Stats;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

macro_rules! fields {
    ($type:ident { $($field:ident),* $(,)? } $($name:ident: $value:expr),*) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let len = [$(stringify!($field),)* $(stringify!($name),)*].len();
                let mut out = serializer.serialize_struct(stringify!($type), len)?;
                $(out.serialize_field(stringify!($field), &self.$field)?;)*
                $(out.serialize_field(stringify!($name), &$value(self))?;)*
                out.end()
            }
        }
    };
}

/// The name of the role in lower case, such as `publisher`.
impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

fields!(Participant {
    seat,
    role,
    pid,
    process,
    joined,
    alive,
    messages,
    bytes,
    lag,
    lost,
    skipped,
    invalid,
    evictions,
    redelivered,
});
fields!(Backlog { waiting, claimed, writing, answered, oldest, redelivered, acknowledged });
fields!(Stats {
    messages,
    bytes,
    holes,
    backlog,
    slots,
    slot_size,
    grow,
    growths,
    segment_size,
    position,
    named,
    participants,
});
fields!(SegmentInfo {
    channel, version, group, size, problem, stale, pattern, codec, slots, slot_size, grow, growths, seats, fingerprint,
    schema, created, messages, bytes, holes, publishers, waits, window, backlog, participants,
} path: |info: &SegmentInfo| info.path.to_string_lossy().into_owned());
