//! The four ways to open a channel: publish, subscribe, join, and write a key of a table.
//!
//! Owns the decisions: wait, create, take over, replace, refuse. Calls `inspect` to check the existing file,
//! `create` to change it. Blocks for at most the connect timeout, or for seconds if another process keeps a
//! lock.

use super::attachment::{Arrival, Attachment, MappedFile};
use super::forward::{self, Forward};
use super::inspect::{self, Found, Intact, Mismatch};
use super::open_error::{
    already_published, already_written, half_made, leads_nowhere, no_seat, not_found, other_sizes,
};
use super::registration::Turn;
use super::retry::{Retry, Search};
use super::seats;
use super::spec::Accepted;
use super::{ChannelPath, PatternOps, Role, Spec, create, mapping, settings, system};
use crate::error::{Error, ErrorKind};
use crate::fault::fault_point;
use crate::layout::{FLAG_WAIT, Geometry, Pattern, Region, control};
use crate::os::{File, Stat};
use crate::plural::count;
use crate::records::LogRecords;
use crate::sync::Ordering;
use crate::wait::StopHandle;
use std::time::{Duration, Instant};

/// Creates or takes over the segment of a publish/subscribe channel, as one of its publishers.
pub(crate) fn publish(spec: &Spec, ops: PatternOps) -> Result<Attachment, Error> {
    publish_at(&spec.place()?, spec, ops)
}

pub(super) fn publish_at(place: &ChannelPath, spec: &Spec, ops: PatternOps) -> Result<Attachment, Error> {
    let opening = Opening { place, spec, role: Role::Publisher, key: None, ops };
    let wanted = create::geometry(place, spec)?;
    opening.make_or_enter(wanted, |found| {
        let mismatch = match inspect::same_messages(found, spec) {
            // A queue of the same name; a publisher must not discard its messages.
            Err(mismatch) if found.pattern != Pattern::PubSub => {
                return Err(mismatch.refuse(place, !in_use(place, &found.file)?));
            }
            Err(mismatch) => mismatch,
            Ok(()) if !inspect::as_made_by(found, &wanted) => {
                Mismatch::of_declarations(other_sizes(&found.geometry, &wanted))
            }
            Ok(()) if found.identity.flags != spec.flags => {
                let waits =
                    |flags| if flags & FLAG_WAIT != 0 { "waits for subscribers" } else { "overwrites" };
                let (theirs, ours) = (waits(found.identity.flags), waits(spec.flags));
                Mismatch::of_declarations(format!("its publisher {theirs}, and this one {ours}"))
            }
            Ok(()) => return Ok(Verdict::Enter(None)),
        };
        // If one more publisher is allowed, the difference is the reason for the error, not the live
        // publishers.
        let theirs = found.geometry.publishers;
        if theirs.max(wanted.publishers) > 1 && publisher_lives(&found.file, theirs) {
            return Err(mismatch.refuse(place, false));
        }
        Ok(Verdict::Replace(mismatch.what))
    })
}

/// Waits for the segment of a publish/subscribe channel and attaches to it as a subscriber.
pub(crate) fn subscribe(spec: &Spec, ops: PatternOps) -> Result<Attachment, Error> {
    subscribe_at(&spec.place()?, spec, ops)
}

/// Attaches to the segment that has the name now, as a subscriber, without waiting and without a search.
pub(crate) fn follow(spec: &Spec, ops: PatternOps) -> Result<Attachment, Error> {
    let spec = Spec { connect_timeout: Duration::ZERO, ..spec.clone() };
    attach(&spec.place()?, &spec, ops, &mut Search::never())
}

pub(super) fn subscribe_at(place: &ChannelPath, spec: &Spec, ops: PatternOps) -> Result<Attachment, Error> {
    attach(place, spec, ops, &mut Search::from_start())
}

fn attach(
    place: &ChannelPath,
    spec: &Spec,
    ops: PatternOps,
    search: &mut Search,
) -> Result<Attachment, Error> {
    // A geometry that no segment can have is an error for a subscriber too.
    create::geometry(place, spec)?;
    let opening = Opening { place, spec, role: Role::Subscriber, key: None, ops };
    let mut retry = Retry::new(spec.connect_timeout);
    loop {
        // The error, and `true` if it is final. If no publisher is alive, a starting publisher may repair it.
        let (error, last) = match inspect::find(place)? {
            Found::Nothing => {
                if search.finds(place, retry.waited(), retry.is_over()) {
                    retry.again(place)?;
                    continue;
                }
                (not_found(place, &retry), false)
            }
            Found::LeadsNowhere { why, .. } => (place.error(ErrorKind::NotFound, leads_nowhere(&why)), false),
            Found::HalfMade { len } => (half_made(place, len, &retry), false),
            Found::Damaged { file, why, .. } => {
                (inspect::damaged(place, &why), publisher_lives(&file, spec.publishers))
            }
            Found::Intact(found) => match inspect::usable(&found, spec, Role::Subscriber) {
                Ok(accepted) => {
                    if let Some(attachment) = opening.enter(found, accepted)? {
                        return Ok(report_join(attachment, spec));
                    }
                    retry.again(place)?;
                    continue;
                }
                Err(mismatch) => {
                    let abandoned = !in_use(place, &found.file)?;
                    (
                        mismatch.refuse(place, abandoned),
                        publisher_lives(&found.file, found.geometry.publishers),
                    )
                }
            },
        };
        if last {
            return Err(error);
        }
        stopped(place, spec)?;
        if retry.pause().is_none() {
            return Err(error);
        }
    }
}

/// Creates or attaches to the segment of a push/pull or request/reply channel.
pub(crate) fn join(spec: &Spec, role: Role, ops: PatternOps) -> Result<Attachment, Error> {
    join_at(&spec.place()?, spec, role, ops)
}

pub(super) fn join_at(
    place: &ChannelPath,
    spec: &Spec,
    role: Role,
    ops: PatternOps,
) -> Result<Attachment, Error> {
    make_or_join(Opening { place, spec, role, key: None, ops })
}

/// Creates or attaches to the segment of a table, as the writer of the key with this index and name.
pub(crate) fn write_key(spec: &Spec, key: (u32, &str), ops: PatternOps) -> Result<Attachment, Error> {
    let place = &spec.place()?;
    make_or_join(Opening { place, spec, role: Role::Writer, key: Some(key), ops })
}

/// Creates or attaches to the segment of a table whose keys have several writers, as one of them.
pub(crate) fn write_shared(spec: &Spec, ops: PatternOps) -> Result<Attachment, Error> {
    join(spec, Role::Writer, ops)
}

fn make_or_join(opening: Opening<'_>) -> Result<Attachment, Error> {
    let Opening { place, spec, role, ops, .. } = opening;
    let wanted = create::geometry(place, spec)?;
    opening.make_or_enter(wanted, |found| {
        let usable = inspect::usable(found, spec, role);
        if matches!(usable, Ok(None)) && inspect::as_made_by(found, &wanted) {
            return Ok(Verdict::Enter(None));
        }
        let abandoned = !in_use(place, &found.file)?;
        let replaceable = abandoned && found.pattern == spec.pattern && {
            let map = mapping::map(place, &found.file, &found.geometry)?;
            (ops.drained)(&mapping::region(&map), &found.geometry)
        };
        match usable {
            Err(mismatch) if replaceable => Ok(Verdict::Replace(mismatch.what)),
            Err(mismatch) => Err(mismatch.refuse(place, abandoned)),
            Ok(Some(_)) if replaceable => {
                Ok(Verdict::Replace("no process uses it, and it carries messages of another layout".into()))
            }
            Ok(None) if replaceable => Ok(Verdict::Replace(other_sizes(&found.geometry, &wanted))),
            Ok(accepted) => Ok(Verdict::Enter(accepted)),
        }
    })
}

/// Decision about an existing intact segment.
enum Verdict {
    /// Enter it, reading messages of another layout as accepted.
    Enter(Option<Accepted>),
    /// Replace it for this reason.
    Replace(String),
}

/// A segment that will be replaced.
struct Old {
    file: File,
    stat: Stat,
    /// `None` for a segment whose header is damaged.
    geometry: Option<Geometry>,
}

/// A process that opens the channel.
struct Opening<'a> {
    place: &'a ChannelPath,
    spec: &'a Spec,
    role: Role,
    /// Index and name of the key that a writer of a table stores.
    key: Option<(u32, &'a str)>,
    ops: PatternOps,
}

impl Opening<'_> {
    fn make_or_enter(
        &self,
        wanted: Geometry,
        judge: impl Fn(&Intact) -> Result<Verdict, Error>,
    ) -> Result<Attachment, Error> {
        let place = self.place;
        let mut retry = Retry::new(self.spec.connect_timeout);
        let mut lost: Option<Instant> = None;
        loop {
            // `None`: the name no longer refers to the checked file.
            let done = match inspect::find(place)? {
                Found::Nothing => {
                    let made = create::publish_name(self.unnamed(wanted)?)?;
                    create::clean_temporaries(place);
                    made
                }
                Found::HalfMade { len } => {
                    stopped(place, self.spec)?;
                    retry.pause().ok_or_else(|| half_made(place, len, &retry))?;
                    continue;
                }
                Found::LeadsNowhere { file, stat, why } => {
                    if lost.get_or_insert_with(Instant::now).elapsed() < forward::GRACE {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    }
                    self.replace(wanted, Old { file, stat, geometry: None }, &why)?
                }
                Found::Damaged { file, stat, why } => {
                    if self.role != Role::Publisher && in_use(place, &file)? {
                        return Err(inspect::damaged(place, &why));
                    }
                    self.replace(wanted, Old { file, stat, geometry: None }, &why)?
                }
                Found::Intact(found) => match judge(&found)? {
                    Verdict::Enter(accepted) => self.enter(found, accepted)?,
                    Verdict::Replace(why) => {
                        let Intact { file, stat, geometry, .. } = *found;
                        let old = Old { file, stat, geometry: Some(geometry) };
                        self.replace(wanted, old, &why)?
                    }
                },
            };
            if let Some(attachment) = done {
                return Ok(report_join(attachment, self.spec));
            }
            retry.again(place)?;
        }
    }

    fn unnamed(&self, wanted: Geometry) -> Result<Attachment, Error> {
        let seat = self.key.map_or(0, |(index, _)| index);
        create::unnamed(self.place, self.spec, wanted, (seat, self.role), self.ops)
    }

    /// Takes the first free seat that the role may have. Returns `None` if the segment has lost its name
    /// meanwhile.
    fn enter(&self, found: Box<Intact>, accepted: Option<Accepted>) -> Result<Option<Attachment>, Error> {
        let Opening { place, role, key, ops, .. } = *self;
        let Intact { mut file, stat, geometry, identity, .. } = *found;
        let seats = match (role, key) {
            (_, Some((index, _))) => index..index + 1,
            (Role::Publisher, _) => 0..geometry.publishers,
            (Role::Subscriber, _) => geometry.publishers..geometry.seats,
            _ => 0..geometry.seats,
        };
        let map = mapping::map(place, &file, &geometry)?;
        let region = mapping::region(&map);
        let mut taken = None;
        {
            let registration = Turn::sole(&mut file).register(place)?;
            let file = registration.file();
            fault_point!("segment.registered");
            // Relaxed: stored under the lock that is held, or by a `force_unlink` that did not wait for it.
            let superseded = region.u64(control::STATE).load(Ordering::Relaxed) != control::LIVE;
            if !inspect::names(place.path(), &stat) {
                return Ok(None);
            }
            if superseded {
                // The process that marked it died before it could remove its name.
                create::take_name(place, file, &stat)?;
                return Ok(None);
            }
            for index in seats.clone() {
                let turn = registration.turn();
                if turn.take_seat(index).map_err(|error| system(place, "lock", error))? {
                    fault_point!("segment.seated");
                    if let Err(error) = turn.check_seat_shows(place, index) {
                        let _ = turn.give_seat_back(index);
                        return Err(error);
                    }
                    (ops.recover)(&region, &geometry, index);
                    fault_point!("segment.cleaned");
                    seats::write(&region, &geometry, index, role);
                    fault_point!("segment.entered");
                    seats::update_modes(&region, &geometry, file, (index, true));
                    fault_point!("segment.joined");
                    taken = Some(index);
                    break;
                }
            }
        }
        if let (None, Some((index, key))) = (taken, key) {
            if let Some(writer) = seats::read(&region, &geometry, index) {
                return Err(already_written(place, key, &writer));
            }
            wait_for_stale_lock();
            return Ok(None);
        }
        match taken {
            Some(index) => {
                let flags = identity.flags;
                let held = MappedFile { place: place.clone(), file, map, id: stat.id, geometry, flags };
                let mut attachment = Attachment::new(held, index, role, ops)?;
                attachment.resolved = accepted.map(|accepted| accepted.resolved);
                Ok(Some(attachment))
            }
            None if role == Role::Publisher => match publishers(&region, &geometry) {
                None => {
                    wait_for_stale_lock();
                    Ok(None)
                }
                Some(publishers) => Err(already_published(place, &publishers)),
            },
            None => Err(no_seat(place, &geometry, seats.len())),
        }
    }

    /// Replaces an old segment that has no live publisher, or a queue that has no live participant, by a new
    /// one. Returns `None` if that has changed meanwhile.
    fn replace(&self, wanted: Geometry, old: Old, why: &str) -> Result<Option<Attachment>, Error> {
        let place = self.place;
        let Old { file: mut old, stat, geometry } = old;
        if self.occupied(&old, &stat, geometry.as_ref())? {
            return Ok(None);
        }
        // Created before the lock is taken, because reserving much memory takes long. Dropped after the lock
        // is released, because leaving takes a lock and writes records.
        let mut fresh = match self.unnamed(wanted) {
            // The old segment may take the missing room.
            Err(error) if error.kind() == ErrorKind::NoSpace && !in_use(place, &old)? => None,
            fresh => Some(fresh?),
        };
        let mut records = LogRecords::new();
        let registration = Turn::sole(&mut old).register(place)?;
        let old = registration.file();
        if !inspect::names(place.path(), &stat) || self.occupied(old, &stat, geometry.as_ref())? {
            return Ok(None);
        }
        let name = place.name();
        if let Some(fresh) = &mut fresh {
            if !create::take_over_name(fresh, old, &stat, false)? {
                return Ok(None);
            }
            records.warn(format!(
                "channel `{name}`: replaced its segment, as {why}; the participants of the old segment get a notification"
            ));
            drop(registration);
            create::clean_temporaries(place);
        } else {
            create::take_name(place, old, &stat)?;
            let len = stat.len;
            records.warn(format!(
                "channel `{name}`: removed its stale segment of {len} to make room, as {why}",
                len = count(len, "byte")
            ));
        }
        Ok(fresh)
    }

    /// Returns `true` if live participants prevent the replacement of the segment. A live publisher is an
    /// error.
    fn occupied(&self, old: &File, stat: &Stat, geometry: Option<&Geometry>) -> Result<bool, Error> {
        if let Some(forward) = Forward::read(old, stat) {
            // A participant may have rewritten the forwarding file.
            return Ok(forward.open().is_some());
        }
        if self.role != Role::Publisher {
            return in_use(self.place, old);
        }
        // A damaged header does not give the number of publishers of the segment.
        let seats = geometry.map_or(self.spec.publishers, |geometry| geometry.publishers);
        if !publisher_lives(old, seats) {
            return Ok(false);
        }
        let publishers = match geometry {
            Some(geometry) => match publishers_of(self.place, old, geometry) {
                Some(publishers) => publishers,
                None => {
                    wait_for_stale_lock();
                    return Ok(true);
                }
            },
            None => Vec::new(),
        };
        Err(already_published(self.place, &publishers))
    }
}

/// Returns `true` if a live publisher has one of the first `seats` seats.
fn publisher_lives(file: &File, seats: u32) -> bool {
    (0..seats).any(|seat| seats::alive(file, seat))
}

/// Waits 1 ms while a publisher's seat is locked and has no entry. Its publisher has left. A thread of it
/// started a process meanwhile, and the child has a copy of the open file until it execs.
fn wait_for_stale_lock() {
    std::thread::sleep(Duration::from_millis(1));
}

/// Returns the entries of the publishers' seats, or `None` if there are none.
fn publishers(region: &Region, geometry: &Geometry) -> Option<Vec<seats::Entry>> {
    let entries = (0..geometry.publishers).filter_map(|seat| seats::read(region, geometry, seat));
    Some(entries.collect::<Vec<_>>()).filter(|entries| !entries.is_empty())
}

fn publishers_of(place: &ChannelPath, file: &File, geometry: &Geometry) -> Option<Vec<seats::Entry>> {
    let map = mapping::map(place, file, geometry).ok()?;
    publishers(&mapping::region(&map), geometry)
}

fn in_use(place: &ChannelPath, file: &File) -> Result<bool, Error> {
    seats::any_alive(file).map_err(|error| system(place, "examine", error))
}

fn report_join(attachment: Attachment, spec: &Spec) -> Attachment {
    let what = match attachment.arrival() {
        Arrival::Created => "created",
        Arrival::Replaced => "created anew",
        Arrival::Joined if attachment.role() == Role::Publisher => "took over",
        Arrival::Joined => "opened",
    };
    let unit = if spec.pattern == Pattern::Table { "key" } else { "slot" };
    log::info!(
        target: "shmcomm",
        "channel `{}`: {what} as {} on seat {} ({} of {})",
        attachment.channel(),
        attachment.role().name(),
        attachment.seat(),
        count(attachment.geometry().slots, unit),
        count(attachment.geometry().slot_size, "byte"));
    log::debug!(
        target: "shmcomm",
        "channel `{}`: lock of seat {} acquired",
        attachment.channel(),
        attachment.seat()
    );
    settings::report(&attachment, spec);
    attachment
}

/// Fails if the end is stopped while it would wait for its channel.
pub(super) fn stopped(place: &ChannelPath, spec: &Spec) -> Result<(), Error> {
    if !spec.stop.as_ref().is_some_and(StopHandle::is_stopped) {
        return Ok(());
    }
    let what = "its `StopHandle` was stopped while this end waited for the channel to appear; \
                `reset` the handle, or open the channel with another one";
    Err(place.error(ErrorKind::Stopped, what))
}
