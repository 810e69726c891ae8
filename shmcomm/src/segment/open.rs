//! The three ways into a channel: publish, subscribe, join.
//!
//! Owns the decisions: wait, make, adopt, replace, refuse. Calls `inspect` for what is there, `create`
//! to change it. Blocks for at most the connect timeout, and where others keep a lock, seconds.

use super::attachment::{Attachment, Held};
use super::inspect::{self, Found, Intact};
use super::seats::{self, Registration};
use super::{Keeper, Place, Role, Spec, create, system};
use crate::layout::{Geometry, Pattern, control};
use crate::os::{self, Stat};
use crate::sync::Ordering;
use crate::{Error, ErrorKind};
use std::fs::File;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long to try where others keep changing what the name stands for. Each turn means that one of
/// them has got on.
const TURMOIL: Duration = Duration::from_secs(10);

/// Makes or adopts the segment of a publish/subscribe channel, as its one publisher.
pub(crate) fn publish(spec: &Spec, keeper: Keeper) -> Result<Attachment, Error> {
    let place = Place::new(&spec.name)?;
    let role = Role::Publisher;
    let wanted = create::geometry(&place, spec)?;
    let mut patience = Patience::new(spec.connect_timeout);
    loop {
        match inspect::look(&place)? {
            Found::Nothing => {
                let fresh = create::unnamed(&place, spec, wanted, role, keeper)?;
                if let Some(made) = create::publish_name(fresh)? {
                    return Ok(welcome(made));
                }
            }
            Found::HalfMade { len } => {
                patience.pause().ok_or_else(|| half_made(&place, len, &patience))?;
                continue;
            }
            Found::Damaged { file, stat, why } => {
                if let Some(made) = replace(
                    &place,
                    spec,
                    wanted,
                    role,
                    keeper,
                    Old { file: &file, stat: &stat, intact: None },
                    &why,
                )? {
                    return Ok(welcome(made));
                }
            }
            Found::Intact(found) => {
                if found.pattern != Pattern::PubSub {
                    inspect::same_messages(&place, &found, spec)?;
                }
                let why = match inspect::same_messages(&place, &found, spec) {
                    Err(error) => Some(error.to_string()),
                    Ok(()) if !inspect::as_made_by(&found, &wanted) => {
                        Some(other_sizes(&found.geometry, &wanted))
                    }
                    Ok(()) => None,
                };
                let done = match why {
                    Some(why) => {
                        let old = Old { file: &found.file, stat: &found.stat, intact: Some(&found) };
                        replace(&place, spec, wanted, role, keeper, old, &why)?
                    }
                    None => sit_down(&place, found, role, 0..1, keeper)?,
                };
                if let Some(made) = done {
                    return Ok(welcome(made));
                }
            }
        }
        patience.turn(&place)?;
    }
}

/// Waits for the segment of a publish/subscribe channel and attaches to it as a subscriber.
pub(crate) fn subscribe(spec: &Spec, keeper: Keeper) -> Result<Attachment, Error> {
    let place = Place::new(&spec.name)?;
    let mut patience = Patience::new(spec.connect_timeout);
    loop {
        // What it would be if the time were over.
        let error = match inspect::look(&place)? {
            Found::Nothing => not_found(&place, &patience),
            Found::HalfMade { len } => half_made(&place, len, &patience),
            Found::Damaged { file, why, .. } => unless_abandoned(&file, inspect::damaged(&place, &why))?,
            Found::Intact(found) => {
                let usable = inspect::same_messages(&place, &found, spec)
                    .and_then(|()| inspect::fits(&place, &found, spec));
                match usable {
                    Ok(()) => {
                        let seats = 1..found.geometry.seats;
                        if let Some(made) = sit_down(&place, found, Role::Subscriber, seats, keeper)? {
                            return Ok(welcome(made));
                        }
                        patience.turn(&place)?;
                        continue;
                    }
                    Err(error) => unless_abandoned(&found.file, error)?,
                }
            }
        };
        if patience.pause().is_none() {
            return Err(error);
        }
    }
}

/// Makes or attaches to the segment of a push/pull or request/reply channel.
pub(crate) fn join(spec: &Spec, role: Role, keeper: Keeper) -> Result<Attachment, Error> {
    let place = Place::new(&spec.name)?;
    let wanted = create::geometry(&place, spec)?;
    let mut patience = Patience::new(spec.connect_timeout);
    loop {
        match inspect::look(&place)? {
            Found::Nothing => {
                let fresh = create::unnamed(&place, spec, wanted, role, keeper)?;
                if let Some(made) = create::publish_name(fresh)? {
                    return Ok(welcome(made));
                }
            }
            Found::HalfMade { len } => {
                patience.pause().ok_or_else(|| half_made(&place, len, &patience))?;
                continue;
            }
            Found::Damaged { file, stat, why } => {
                if in_use(&place, &file)? {
                    return Err(inspect::damaged(&place, &why));
                }
                let old = Old { file: &file, stat: &stat, intact: None };
                if let Some(made) = replace(&place, spec, wanted, role, keeper, old, &why)? {
                    return Ok(welcome(made));
                }
            }
            Found::Intact(found) => {
                let usable = inspect::same_messages(&place, &found, spec)
                    .and_then(|()| inspect::fits(&place, &found, spec));
                let replaceable = || -> Result<bool, Error> {
                    if found.pattern != spec.pattern || in_use(&place, &found.file)? {
                        return Ok(false);
                    }
                    let map = create::map(&place, &found.file, &found.geometry)?;
                    Ok((keeper.spent)(&create::region(&map), &found.geometry))
                };
                let why = match usable {
                    Err(error) if replaceable()? => Some(error.to_string()),
                    Err(error) => return Err(error),
                    Ok(()) if !inspect::as_made_by(&found, &wanted) && replaceable()? => {
                        Some(other_sizes(&found.geometry, &wanted))
                    }
                    Ok(()) => None,
                };
                let done = match why {
                    Some(why) => {
                        let old = Old { file: &found.file, stat: &found.stat, intact: Some(&found) };
                        replace(&place, spec, wanted, role, keeper, old, &why)?
                    }
                    None => {
                        let seats = 0..found.geometry.seats;
                        sit_down(&place, found, role, seats, keeper)?
                    }
                };
                if let Some(made) = done {
                    return Ok(welcome(made));
                }
            }
        }
        patience.turn(&place)?;
    }
}

/// Takes the first free one of `seats`; nothing if the segment has lost its name meanwhile.
fn sit_down(
    place: &Place,
    found: Intact,
    role: Role,
    seats: Range<u32>,
    keeper: Keeper,
) -> Result<Option<Attachment>, Error> {
    let Intact { file, stat, geometry, .. } = found;
    let probe = os::reopen(&file).map_err(|error| system(place, "open", error))?;
    let map = create::map(place, &file, &geometry)?;
    let region = create::region(&map);
    let taken = {
        let _registration = Registration::wait(place, &probe)?;
        // Relaxed: set under the lock that is held, or by a `force_unlink` that did not wait for it.
        let superseded = region.u64(control::STATE).load(Ordering::Relaxed) != control::LIVE;
        if superseded || !inspect::names(place.path(), &stat) {
            return Ok(None);
        }
        let mut taken = None;
        for index in seats.clone() {
            if seats::take(&file, index).map_err(|error| system(place, "lock", error))? {
                (keeper.sweep)(&region, &geometry, index);
                seats::write(&region, &geometry, index, role);
                seats::update_modes(&region, &geometry, &probe, (index, true));
                taken = Some(index);
                break;
            }
        }
        taken
    };
    let Some(index) = taken else {
        return Err(match role {
            Role::Publisher => already_published(place, seats::read(&region, &geometry, 0)),
            _ => place.error(
                ErrorKind::NoSeat,
                format!(
                    "all {} seats of the segment are taken by live participants; \
                     close some of them, or declare more `seats` where the segment is made",
                    seats.len()
                ),
            ),
        });
    };
    // `file` is closed at the end; the mapping keeps its lock.
    Attachment::new(Held { place: place.clone(), probe, map, id: stat.id, geometry }, index, role, keeper)
        .map(Some)
}

/// A segment that is to be replaced.
struct Old<'a> {
    file: &'a File,
    stat: &'a Stat,
    intact: Option<&'a Intact>,
}

/// Puts a new segment in the place of an old one that nobody publishes to (or, of a queue, nobody
/// uses); nothing if the old one has lost its name meanwhile.
fn replace(
    place: &Place,
    spec: &Spec,
    wanted: Geometry,
    role: Role,
    keeper: Keeper,
    old: Old<'_>,
    why: &str,
) -> Result<Option<Attachment>, Error> {
    let busy = || -> Result<bool, Error> {
        match role {
            Role::Publisher => Ok(seats::alive(old.file, 0)),
            _ => in_use(place, old.file),
        }
    };
    let occupied = || -> Result<Option<Attachment>, Error> {
        match role {
            Role::Publisher => {
                Err(already_published(place, old.intact.and_then(|found| publisher_of(place, found))))
            }
            _ => Ok(None),
        }
    };
    if busy()? {
        return occupied();
    }
    // Made before the lock is taken: reserving much memory takes its time.
    let fresh = match create::unnamed(place, spec, wanted, role, keeper) {
        // The old one may be what the room is missing for.
        Err(error) if error.kind() == ErrorKind::NoSpace && !in_use(place, old.file)? => None,
        fresh => Some(fresh?),
    };
    let _registration = Registration::wait(place, old.file)?;
    if !inspect::names(place.path(), old.stat) {
        return Ok(None);
    }
    if busy()? {
        return occupied();
    }
    match fresh {
        Some(fresh) => {
            let made = create::take_over_name(fresh, old.file, old.stat, why)?;
            create::clean_temporaries(place.dir());
            Ok(Some(made))
        }
        None => {
            create::supersede(old.file, old.stat);
            os::unlink(place.path()).map_err(|error| system(place, "remove", error))?;
            log::warn!(
                target: "shmcomm",
                "channel `{}`: removed its stale segment of {} bytes to make room, as {why}",
                place.name(),
                old.stat.len
            );
            Ok(None)
        }
    }
}

/// The participant that the entry of seat 0 speaks of.
fn publisher_of(place: &Place, found: &Intact) -> Option<seats::Entry> {
    let map = create::map(place, &found.file, &found.geometry).ok()?;
    seats::read(&create::region(&map), &found.geometry, 0)
}

fn in_use(place: &Place, file: &File) -> Result<bool, Error> {
    seats::any_alive(file).map_err(|error| system(place, "examine", error))
}

/// A subscriber's reason to give up at once; but where nobody publishes, a publisher that starts may
/// put things right, so the reason is kept for the end of the wait.
fn unless_abandoned(file: &File, error: Error) -> Result<Error, Error> {
    if seats::alive(file, 0) { Err(error) } else { Ok(error) }
}

fn welcome(made: Attachment) -> Attachment {
    log::info!(
        target: "shmcomm",
        "channel `{}`: {} as {} on seat {} ({} slots of {} bytes)",
        made.channel(),
        made.arrival().name(),
        made.role().name(),
        made.seat(),
        made.geometry().slots,
        made.geometry().slot_size
    );
    made
}

fn already_published(place: &Place, publisher: Option<seats::Entry>) -> Error {
    let who = match publisher {
        Some(entry) => {
            let age = Duration::from_nanos(os::wall_clock().saturating_sub(entry.joined).max(0) as u64);
            format!(
                "process {} (`{}`) has published it for {:.1} s",
                entry.pid,
                entry.name,
                age.as_secs_f64()
            )
        }
        None => "another process publishes it".to_owned(),
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
    format!(
        "it has {} slots of {} bytes for {} participants, and this program declares {} of {} for {}",
        theirs.slots, theirs.slot_size, theirs.seats, ours.slots, ours.slot_size, ours.seats
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
            format!("other processes keep replacing {}; end the ones that do", place.path().display()),
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
