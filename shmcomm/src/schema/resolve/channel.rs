//! Resolution for the ends of channels: which role reads which of the layouts in a segment.
//!
//! Owns [`ChannelTypes`], the types of a channel's messages, and [`Resolved`], the conversion of the messages of a
//! segment of another layout. Calls the plans of `resolve`; `segment` calls this when an end attaches. Never touches a
//! slot.
//!
//! | role | reads | writes, so the layout must be equal |
//! |---|---|---|
//! | subscriber, puller | message, or header and items | |
//! | publisher, pusher | | message, or header and items |
//! | replier | request | reply |
//! | requester | reply | request |

use super::{Plan, Resolution, Rules};
use crate::layout::{Format, MAX_SLOT_SIZE, Pattern};
use crate::message::schema::first_difference;
use crate::message::{Invalid, Schema};
use crate::plural::count;
use crate::schema::Layout;
use crate::segment::{Accepted, Resolve, Role};
use std::fmt;
use std::sync::Arc;

/// Types of the messages of a channel.
#[derive(Clone)]
pub(crate) struct ChannelTypes {
    pub(crate) pattern: Pattern,
    pub(crate) format: Format,
    /// The message, the request, or the header.
    pub(crate) first: &'static Schema,
    /// The reply, or an item of the tail.
    pub(crate) second: Option<&'static Schema>,
    /// Their layouts as text.
    pub(crate) texts: String,
}

impl fmt::Debug for ChannelTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelTypes").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

/// Conversion of the messages that an end reads from a segment whose layout is not its own.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// Plan for the message, the request, the header, or the reply.
    pub(crate) first: Plan,
    /// Plan for the items of a tail.
    pub(crate) items: Option<Plan>,
    pub(crate) resolution: Resolution,
}

impl Resolved {
    /// Returns `true` if the end may read messages in their slots.
    pub(crate) fn is_in_place(&self) -> bool {
        self.items.is_none() && self.first.is_in_place()
    }

    /// Returns the size of the message that `bytes` convert to. An error says that the bytes are no message.
    pub(crate) fn size(&self, bytes: &[u8]) -> Result<usize, Invalid> {
        let Some(items) = &self.items else { return Ok(self.first.reader().size()) };
        Ok(self.first.reader().size() + self.count(items, bytes)? * items.reader().size())
    }

    /// Converts a message to `out`, which has the size that [`size`](Self::size) returns. The caller checks the
    /// result, as it checks bytes from a segment.
    pub(crate) fn convert(&self, bytes: &[u8], out: &mut [u8]) -> Result<(), Invalid> {
        let Some(items) = &self.items else { return self.first.convert_into(bytes, out) };
        let count = self.count(items, bytes)?;
        let (head, tail) = bytes.split_at(self.first.writer().size().min(bytes.len()));
        let (to, rest) = out.split_at_mut(self.first.reader().size().min(out.len()));
        self.first.convert_into(head, to)?;
        let (theirs, ours) = (items.writer().size(), items.reader().size());
        (0..count).try_for_each(|i| {
            let item = tail.get(i * theirs..(i + 1) * theirs).unwrap_or_default();
            items.convert_into(item, rest.get_mut(i * ours..(i + 1) * ours).unwrap_or_default())
        })
    }

    /// Converts a message.
    pub(crate) fn converted(&self, bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
        let mut out = vec![0; self.size(bytes)?];
        self.convert(bytes, &mut out)?;
        Ok(out)
    }

    /// Returns the number of items behind the header.
    fn count(&self, items: &Plan, bytes: &[u8]) -> Result<usize, Invalid> {
        let (header, item) = (self.first.writer().size(), items.writer().size());
        match bytes.len().checked_sub(header) {
            Some(0) => Ok(0),
            Some(tail) if item > 0 && tail % item == 0 => Ok(tail / item),
            _ => {
                let header = count(header, "byte");
                let problem = format!("a header has {header} and an item {item}, there are {}", bytes.len());
                Err(Invalid::new(self.first.writer().to_string(), problem))
            }
        }
    }

    /// Returns the error of an end that cannot read messages in their slots. `instead` is the call that can.
    #[cold]
    pub(crate) fn not_in_place(&self, instead: &str) -> Invalid {
        Invalid::new(
            self.first.reader().to_string(),
            format!(
                "the segment has another layout than this program ({}), so a message cannot be read in its slot; \
                 use `{instead}`, which converts it",
                self.resolution
            ),
        )
    }

    /// Writes the record of an end that attached to the channel.
    pub(crate) fn log(&self, channel: &str) {
        log::info!(
            target: "shmcomm",
            "channel `{channel}`: its segment has another layout than this program: {}",
            self.resolution
        );
    }
}

impl ChannelTypes {
    fn differ(&self, theirs: &str, cure: &str) -> (String, String) {
        (first_difference(theirs, &self.texts), cure.to_owned())
    }

    /// Resolves the layouts that a role reads.
    fn plans(&self, theirs: &[Layout], role: Role) -> Result<Option<Resolved>, super::ResolveError> {
        let plan = |theirs: &Layout, ours: &Schema| Plan::with(theirs, Layout::from(ours), &Rules::of(ours));
        let same = |theirs: &Layout, ours: &Schema| theirs.is_same(&Layout::from(ours));
        let (first, items) = match (role, theirs, self.second) {
            (Role::Subscriber | Role::Puller, [message], None) => (plan(message, self.first)?, None),
            (Role::Subscriber | Role::Puller, [header, item], Some(ours)) if self.format == Format::Tail => {
                (plan(header, self.first)?, Some(plan(item, ours)?))
            }
            (Role::Replier, [request, reply], Some(ours)) if same(reply, ours) => {
                (plan(request, self.first)?, None)
            }
            (Role::Requester, [request, reply], Some(ours)) if same(request, self.first) => {
                (plan(reply, ours)?, None)
            }
            _ => return Ok(None),
        };
        let mut resolution = first.resolution().clone();
        if let Some(items) = &items {
            resolution.append(items.resolution());
        }
        Ok(Some(Resolved { first, items, resolution }))
    }
}

impl Resolve for ChannelTypes {
    fn resolve(
        &self,
        theirs: &str,
        fingerprints: (u64, u64),
        role: Role,
    ) -> Result<Accepted, (String, String)> {
        let layouts = Layout::parse(theirs).map_err(|error| {
            (error.to_string(), "build both programs from the same definition of the message".into())
        })?;
        let read =
            (layouts.first().map_or(0, Layout::fingerprint), layouts.get(1).map_or(0, Layout::fingerprint));
        if read != fingerprints {
            return Err(
                self.differ(theirs, "its fingerprint is not that of its text: remove the damaged segment")
            );
        }
        let resolved = match self.plans(&layouts, role) {
            Ok(Some(resolved)) => resolved,
            Ok(None) => return Err(self.differ(theirs, cure(role))),
            Err(error) => {
                let (difference, cure) = (error.difference(), error.cure().to_owned());
                return Err((difference, cure));
            }
        };
        if let Some(items) = &resolved.items {
            // A slot of the largest size holds this number of items.
            let most = MAX_SLOT_SIZE / (items.writer().size() as u64).max(1);
            if most.saturating_mul(items.reader().size() as u64) > MAX_SLOT_SIZE.saturating_mul(64) {
                return Err(self.differ(
                    theirs,
                    "the items of this program are too large: give the channel another name",
                ));
            }
        }
        let (align, request_size) = match role {
            Role::Replier => (self.second.map_or(1, |reply| reply.align), 0),
            Role::Requester => (self.first.align, self.first.size),
            _ => (1, 0),
        };
        Ok(Accepted { align: align as u64, request_size: request_size as u64, resolved: Arc::new(resolved) })
    }
}

/// Returns what to do about an end that writes messages, and whose layout is not that of the segment.
fn cure(role: Role) -> &'static str {
    match role {
        Role::Pusher | Role::Requester | Role::Replier => {
            "an end writes the layout of the segment exactly: let receivers take what waits in the queue, end all \
             processes of the channel, and start this program again; or give the channel of the new layout another name"
        }
        _ => "build both programs from the same definition of the message",
    }
}
