//! The three ways into a channel: publish, subscribe, join.
//!
//! Owns the decisions: wait, make, adopt, replace, refuse. Calls `inspect` for what is there, `create`
//! to change it. Blocks for at most the connect timeout, and where others keep a lock, seconds.

use super::attachment::{Arrival, Attachment, Held};
use super::inspect::{self, Found, Intact, Mismatch};
use super::seats::{self, Registration};
use super::{Keeper, Place, Role, Spec, create, system};
use crate::fault::fault_point;
use crate::layout::{Discipline, FLAG_WAIT, Geometry, PINNED_READERS, Pattern, Region, control};
use crate::os::{self, Stat};
use crate::sync::Ordering;
use crate::{Error, ErrorKind};
use std::fs::File;
use std::time::{Duration, Instant};

/// How long to try where others keep changing what the name stands for. Each turn means that one of
/// them has got on.
const TURMOIL: Duration = Duration::from_secs(10);

/// Makes or adopts the segment of a publish/subscribe channel, as a publisher of it.
pub(crate) fn publish(spec: &Spec, keeper: Keeper) -> Result<Attachment, Error> {
    publish_at(&Place::new(&spec.name)?, spec, keeper)
}

pub(super) fn publish_at(place: &Place, spec: &Spec, keeper: Keeper) -> Result<Attachment, Error> {
    let visitor = Visitor { place, spec, role: Role::Publisher, keeper };
    let wanted = create::geometry(place, spec)?;
    visitor.make_or_enter(wanted, |found| {
        let mismatch = match inspect::same_messages(found, spec) {
            // A queue of the same name; its messages are not the publisher's to throw away.
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
            Ok(()) => return Ok(Verdict::Enter),
        };
        // Where one publisher more could be, what keeps it out is the difference, not that others are there.
        let theirs = found.geometry.publishers;
        if theirs.max(wanted.publishers) > 1 && publisher_lives(&found.file, theirs) {
            return Err(mismatch.refuse(place, false));
        }
        Ok(Verdict::Replace(mismatch.what))
    })
}

/// Waits for the segment of a publish/subscribe channel and attaches to it as a subscriber.
pub(crate) fn subscribe(spec: &Spec, keeper: Keeper) -> Result<Attachment, Error> {
    subscribe_at(&Place::new(&spec.name)?, spec, keeper)
}

pub(super) fn subscribe_at(place: &Place, spec: &Spec, keeper: Keeper) -> Result<Attachment, Error> {
    let visitor = Visitor { place, spec, role: Role::Subscriber, keeper };
    let mut patience = Patience::new(spec.connect_timeout);
    loop {
        // What is wrong, and whether that is final. Where nobody publishes, a publisher that starts
        // may put it right.
        let (error, last) = match inspect::look(place)? {
            Found::Nothing => (not_found(place, &patience), false),
            Found::HalfMade { len } => (half_made(place, len, &patience), false),
            Found::Damaged { file, why, .. } => {
                (inspect::damaged(place, &why), publisher_lives(&file, spec.publishers))
            }
            Found::Intact(found) => {
                match inspect::same_messages(&found, spec).and_then(|()| inspect::fits(&found, spec)) {
                    Ok(()) => {
                        if let Some(attachment) = visitor.sit_down(found)? {
                            return Ok(welcome(attachment));
                        }
                        patience.turn(place)?;
                        continue;
                    }
                    Err(mismatch) => {
                        let abandoned = !in_use(place, &found.file)?;
                        (
                            mismatch.refuse(place, abandoned),
                            publisher_lives(&found.file, found.geometry.publishers),
                        )
                    }
                }
            }
        };
        if last || patience.pause().is_none() {
            return Err(error);
        }
    }
}

/// Makes or attaches to the segment of a push/pull or request/reply channel.
pub(crate) fn join(spec: &Spec, role: Role, keeper: Keeper) -> Result<Attachment, Error> {
    join_at(&Place::new(&spec.name)?, spec, role, keeper)
}

pub(super) fn join_at(place: &Place, spec: &Spec, role: Role, keeper: Keeper) -> Result<Attachment, Error> {
    let visitor = Visitor { place, spec, role, keeper };
    let wanted = create::geometry(place, spec)?;
    visitor.make_or_enter(wanted, |found| {
        let usable = inspect::same_messages(found, spec).and_then(|()| inspect::fits(found, spec));
        if usable.is_ok() && inspect::as_made_by(found, &wanted) {
            return Ok(Verdict::Enter);
        }
        let abandoned = !in_use(place, &found.file)?;
        let replaceable = abandoned && found.pattern == spec.pattern && {
            let map = create::map(place, &found.file, &found.geometry)?;
            (keeper.spent)(&create::region(&map), &found.geometry)
        };
        match usable {
            Err(mismatch) if replaceable => Ok(Verdict::Replace(mismatch.what)),
            Err(mismatch) => Err(mismatch.refuse(place, abandoned)),
            Ok(()) if replaceable => Ok(Verdict::Replace(other_sizes(&found.geometry, &wanted))),
            Ok(()) => Ok(Verdict::Enter),
        }
    })
}

/// What to do with an intact segment that is there already.
enum Verdict {
    Enter,
    /// For this reason.
    Replace(String),
}

/// A segment that is to be replaced.
struct Old<'a> {
    file: &'a File,
    stat: &'a Stat,
    intact: Option<&'a Intact>,
}

/// A process that wants to take part.
struct Visitor<'a> {
    place: &'a Place,
    spec: &'a Spec,
    role: Role,
    keeper: Keeper,
}

impl Visitor<'_> {
    fn make_or_enter(
        &self,
        wanted: Geometry,
        judge: impl Fn(&Intact) -> Result<Verdict, Error>,
    ) -> Result<Attachment, Error> {
        let place = self.place;
        let mut patience = Patience::new(self.spec.connect_timeout);
        loop {
            // Nothing: what was looked at is not what the name stands for any more.
            let done = match inspect::look(place)? {
                Found::Nothing => {
                    let made = create::publish_name(self.unnamed(wanted)?)?;
                    create::clean_temporaries(place.dir());
                    made
                }
                Found::HalfMade { len } => {
                    patience.pause().ok_or_else(|| half_made(place, len, &patience))?;
                    continue;
                }
                Found::Damaged { file, stat, why } => {
                    if self.role != Role::Publisher && in_use(place, &file)? {
                        return Err(inspect::damaged(place, &why));
                    }
                    self.replace(wanted, Old { file: &file, stat: &stat, intact: None }, &why)?
                }
                Found::Intact(found) => match judge(&found)? {
                    Verdict::Enter => self.sit_down(found)?,
                    Verdict::Replace(why) => {
                        let old = Old { file: &found.file, stat: &found.stat, intact: Some(&found) };
                        self.replace(wanted, old, &why)?
                    }
                },
            };
            if let Some(attachment) = done {
                return Ok(welcome(attachment));
            }
            patience.turn(place)?;
        }
    }

    fn unnamed(&self, wanted: Geometry) -> Result<Attachment, Error> {
        create::unnamed(self.place, self.spec, wanted, self.role, self.keeper)
    }

    /// Takes the first free seat that the role may have; nothing if the segment has lost its name
    /// meanwhile.
    fn sit_down(&self, found: Box<Intact>) -> Result<Option<Attachment>, Error> {
        let Visitor { place, role, keeper, .. } = *self;
        let Intact { file, stat, geometry, identity, .. } = *found;
        let seats = match role {
            Role::Publisher => 0..geometry.publishers,
            Role::Subscriber => geometry.publishers..geometry.seats,
            _ => 0..geometry.seats,
        };
        let probe = os::reopen(&file).map_err(|error| system(place, "open", error))?;
        let map = create::map(place, &file, &geometry)?;
        let region = create::region(&map);
        let mut taken = None;
        {
            let _registration = Registration::wait(place, &probe)?;
            fault_point!("segment.registered");
            // Relaxed: set under the lock that is held, or by a `force_unlink` that did not wait for it.
            let superseded = region.u64(control::STATE).load(Ordering::Relaxed) != control::LIVE;
            if !inspect::names(place.path(), &stat) {
                return Ok(None);
            }
            if superseded {
                // Who marked it died before it could take its name.
                create::take_name(place, &file, &stat)?;
                return Ok(None);
            }
            for index in seats.clone() {
                if seats::take(&file, index).map_err(|error| system(place, "lock", error))? {
                    fault_point!("segment.seated");
                    (keeper.sweep)(&region, &geometry, index);
                    fault_point!("segment.cleaned");
                    seats::write(&region, &geometry, index, role);
                    fault_point!("segment.entered");
                    seats::update_modes(&region, &geometry, &probe, (index, true));
                    fault_point!("segment.joined");
                    taken = Some(index);
                    break;
                }
            }
        }
        match taken {
            // `file` is closed at the end; the mapping keeps its lock.
            Some(index) => {
                let flags = identity.flags;
                let held = Held { place: place.clone(), probe, map, id: stat.id, geometry, flags };
                Attachment::new(held, index, role, keeper).map(Some)
            }
            None if role == Role::Publisher => match publishers(&region, &geometry) {
                None => {
                    outlast_ghost();
                    Ok(None)
                }
                Some(publishers) => Err(already_published(place, &publishers)),
            },
            None => Err(place.error(
                ErrorKind::NoSeat,
                match geometry.discipline {
                    Discipline::SharedPinned => format!(
                        "all {} seats for subscribers are taken by live ones. Messages this large are looked \
                         at in their slots, so a channel seats two subscribers fewer than it has slots, \
                         {PINNED_READERS} at most. Close some of them, or raise `slots` (and `seats`) where the \
                         segment is made",
                        seats.len()
                    ),
                    Discipline::Pinned => format!(
                        "all {} seats for subscribers are taken by live ones. Messages this large are looked \
                         at in their slots, and two of the {} slots must stay free: a channel seats two \
                         subscribers fewer than it has slots, {PINNED_READERS} at most. Close some of \
                         them, or raise `slots` (and `seats`) where the segment is made",
                        seats.len(),
                        geometry.slots
                    ),
                    _ => format!(
                        "live participants have all {} seats of the segment; \
                         close some of them, or declare more `seats` where the segment is made",
                        geometry.seats
                    ),
                },
            )),
        }
    }

    /// Puts a new segment in the place of an old one that nobody publishes to (or, of a queue, nobody
    /// uses); nothing if that has changed meanwhile.
    fn replace(&self, wanted: Geometry, old: Old<'_>, why: &str) -> Result<Option<Attachment>, Error> {
        let place = self.place;
        if self.occupied(&old)? {
            return Ok(None);
        }
        // Made before the lock is taken: reserving much memory takes its time.
        let fresh = match self.unnamed(wanted) {
            // The old one may be what the room is missing for.
            Err(error) if error.kind() == ErrorKind::NoSpace && !in_use(place, old.file)? => None,
            fresh => Some(fresh?),
        };
        let _registration = Registration::wait(place, old.file)?;
        if !inspect::names(place.path(), old.stat) || self.occupied(&old)? {
            return Ok(None);
        }
        if let Some(fresh) = fresh {
            let made = create::take_over_name(fresh, old.file, old.stat, why)?;
            create::clean_temporaries(place.dir());
            return Ok(Some(made));
        }
        create::take_name(place, old.file, old.stat)?;
        log::warn!(
            target: "shmcomm",
            "channel `{}`: removed its stale segment of {} bytes to make room, as {why}",
            place.name(),
            old.stat.len
        );
        Ok(None)
    }

    /// Whether those are there that forbid to replace the segment; a live publisher is an error.
    fn occupied(&self, old: &Old<'_>) -> Result<bool, Error> {
        if self.role != Role::Publisher {
            return in_use(self.place, old.file);
        }
        // Of one whose header is damaged it is not known how many publishers it has.
        let seats = old.intact.map_or(self.spec.publishers, |found| found.geometry.publishers);
        if !publisher_lives(old.file, seats) {
            return Ok(false);
        }
        let publishers = match old.intact {
            Some(found) => match publishers_of(self.place, found) {
                Some(publishers) => publishers,
                None => {
                    outlast_ghost();
                    return Ok(true);
                }
            },
            None => Vec::new(),
        };
        Err(already_published(self.place, &publishers))
    }
}

/// Whether somebody lives on a seat for publishers, of which there are so many.
fn publisher_lives(file: &File, seats: u32) -> bool {
    (0..seats).any(|seat| seats::alive(file, seat))
}

/// A publisher's seat is locked and has no entry. Its publisher has left, and while it was there some thread of it
/// started a process, which has a copy of the open file until it execs: any moment now.
fn outlast_ghost() {
    std::thread::sleep(Duration::from_millis(1));
}

/// The participants that the entries of the publishers' seats speak of; `None` if not one does.
fn publishers(region: &Region, geometry: &Geometry) -> Option<Vec<seats::Entry>> {
    let entries = (0..geometry.publishers).filter_map(|seat| seats::read(region, geometry, seat));
    Some(entries.collect::<Vec<_>>()).filter(|entries| !entries.is_empty())
}

fn publishers_of(place: &Place, found: &Intact) -> Option<Vec<seats::Entry>> {
    let map = create::map(place, &found.file, &found.geometry).ok()?;
    publishers(&create::region(&map), &found.geometry)
}

fn in_use(place: &Place, file: &File) -> Result<bool, Error> {
    seats::any_alive(file).map_err(|error| system(place, "examine", error))
}

fn welcome(attachment: Attachment) -> Attachment {
    let what = match attachment.arrival() {
        Arrival::Created => "created",
        Arrival::Replaced => "created anew",
        Arrival::Joined if attachment.role() == Role::Publisher => "adopted",
        Arrival::Joined => "opened",
    };
    log::info!(
        target: "shmcomm",
        "channel `{}`: {what} as {} on seat {} ({} slots of {} bytes)",
        attachment.channel(),
        attachment.role().name(),
        attachment.seat(),
        attachment.geometry().slots,
        attachment.geometry().slot_size
    );
    attachment
}

fn already_published(place: &Place, publishers: &[seats::Entry]) -> Error {
    let one = |entry: &seats::Entry| {
        let age = Duration::from_nanos(os::wall_clock().saturating_sub(entry.joined).max(0) as u64);
        let (pid, name) = (entry.pid, &entry.name);
        format!("process {pid} (`{name}`) has published it for {:.1} s", age.as_secs_f64())
    };
    let who = match publishers {
        [] => "another process publishes it".to_owned(),
        [entry] => one(entry),
        several => {
            let who = several.iter().map(one).collect::<Vec<_>>().join(", ");
            let all = format!(
                "{who}, and the channel has {} publishers at a time; \
                 end one of them, or raise `publishers` where the segment is made",
                several.len()
            );
            return place.error(ErrorKind::AlreadyPublished, all);
        }
    };
    place.error(
        ErrorKind::AlreadyPublished,
        format!("{who}, and a channel has one publisher at a time; end that one first, or use another name"),
    )
}

fn not_found(place: &Place, patience: &Patience) -> Error {
    place.error(
        ErrorKind::NotFound,
        format!(
            "no segment at {} {}; start its publisher, check the name and the namespace, \
             or allow more time with `connect_timeout`",
            place.path().display(),
            patience.words()
        ),
    )
}

fn half_made(place: &Place, len: u64, patience: &Patience) -> Error {
    place.error(
        ErrorKind::NotASegment,
        format!(
            "{} has {len} bytes, fewer than the header of a segment, {}; shmcomm leaves no such file: delete it",
            place.path().display(),
            patience.words()
        ),
    )
}

fn other_sizes(theirs: &Geometry, ours: &Geometry) -> String {
    let sizes = format!(
        "it has {} slots of {} bytes for {} participants, and this program declares {} of {} for {}",
        theirs.slots, theirs.slot_size, theirs.seats, ours.slots, ours.slot_size, ours.seats
    );
    if theirs.publishers == ours.publishers {
        return sizes;
    }
    format!(
        "{sizes}; it admits {} publishers, and this program declares {}",
        theirs.publishers, ours.publishers
    )
}

/// How long to go on trying.
struct Patience {
    start: Instant,
    timeout: Duration,
    pause: Duration,
}

impl Patience {
    fn new(timeout: Duration) -> Self {
        Patience { start: Instant::now(), timeout, pause: Duration::from_millis(1) }
    }

    /// Sleeps for a moment, more each time; nothing if the time was over before.
    fn pause(&mut self) -> Option<()> {
        let left = self.timeout.checked_sub(self.start.elapsed()).filter(|left| !left.is_zero())?;
        std::thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(Duration::from_millis(20));
        Some(())
    }

    /// After a turn that others have made void.
    fn turn(&self, place: &Place) -> Result<(), Error> {
        if self.start.elapsed() < TURMOIL.max(self.timeout) {
            return Ok(());
        }
        Err(place.error(
            ErrorKind::Os,
            format!(
                "gave up on {} after {:.0} s: other processes keep replacing it, \
                 or the forked child of a participant that has left keeps its lock; end these processes",
                place.path().display(),
                self.start.elapsed().as_secs_f64()
            ),
        ))
    }

    fn words(&self) -> String {
        if self.timeout.is_zero() {
            "(looked once)".to_owned()
        } else {
            format!("after {:.1} s", self.start.elapsed().as_secs_f64())
        }
    }
}
