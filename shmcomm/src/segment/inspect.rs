//! Checks the file under a name, and trusts none of its contents.
//!
//! Owns the checks of a file before it is mapped, their error texts, and the comparison of a segment with a
//! [`Spec`]. Reads with `pread` only, writes nothing, takes no lock.

use super::forward::{self, Forward};
use super::spec::Accepted;
use super::{ChannelPath, Requested, Role, Spec, system};
use crate::error::{Error, ErrorKind};
use crate::layout::{
    FLAG_MANY, FLAG_REDELIVER, FLAG_WAIT, Format, Geometry, GeometryError, Identity, MAGIC, MAX_SCHEMA,
    Pattern, VERSION, VERSION_EXTENDED, VERSION_PYTHON,
};
use crate::os::{self, CURES, File, FileKind, Stat};
use crate::plural::count;
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// State of the file under a name. Every other state is an error.
pub(super) enum Found {
    Nothing,
    /// A file of this user that is shorter than a header, and may still become a segment.
    HalfMade {
        len: u64,
    },
    /// A segment of this version with inconsistent contents. It can be replaced but not used.
    Damaged {
        file: File,
        stat: Stat,
        why: String,
    },
    /// A forwarding file of a segment to which no process leads any more.
    LeadsNowhere {
        file: File,
        stat: Stat,
        why: String,
    },
    Intact(Box<Intact>),
}

/// A segment that has passed every check.
pub(super) struct Intact {
    pub(super) file: File,
    pub(super) stat: Stat,
    /// Copied once; the file is not read again.
    pub(super) identity: Identity,
    pub(super) geometry: Geometry,
    pub(super) pattern: Pattern,
    pub(super) format: Format,
    pub(super) schema: String,
}

/// Opens and checks the file under the name.
pub(super) fn find(place: &ChannelPath) -> Result<Found, Error> {
    if let Some(sharing) = place.sharing()
        && !sharing.has_dir(place.name(), place.dir())?
    {
        return Ok(Found::Nothing);
    }
    let file = match os::open(place.path()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The directory itself may be missing.
            return match os::stat_path(place.dir()) {
                Ok(_) => Ok(Found::Nothing),
                Err(error) => Err(place
                    .error(
                        ErrorKind::Os,
                        format!(
                            "cannot look into {}, the directory of all segments: {error}; \
                             {}",
                            place.dir().display(),
                            CURES.no_directory
                        ),
                    )
                    .with_source(error)),
            };
        }
        // Symbolic links, directories and sockets fail to open with different errors.
        Err(error) => {
            return Err(match os::stat_path(place.path()) {
                Ok(stat) => check_owner(place, &stat).err().unwrap_or_else(|| system(place, "open", error)),
                Err(_) => system(place, "open", error),
            });
        }
    };
    let stat = os::stat(&file).map_err(|error| system(place, "examine", error))?;
    check_owner(place, &stat)?;
    let Some(forward) = Forward::at(place, &file, &stat) else { return read(place, file, stat) };
    if let Some((segment, stat)) = forward.open() {
        check_owner(place, &stat)?;
        return read(place, segment, stat);
    }
    let (pid, path) = (forward.pid(), place.path().display());
    if forward.is_foreign() {
        return Err(place.error(
            ErrorKind::Unsupported,
            format!(
                "the file of this segment was removed while it was in use, and {path} leads to it through process \
                 {pid} of another PID namespace (another container); restart the processes of the channel, or, if they \
                 have ended, remove it with `shmcomm::force_unlink({:?})`",
                place.name()
            ),
        ));
    }
    let why = format!(
        "its file was removed while it was in use, and process {pid}, through which {path} leads to it, has closed it"
    );
    Ok(Found::LeadsNowhere { file, stat, why })
}

/// Checks that the file is a regular file of this user that other users cannot write to; in a channel of a group, of the
/// group.
pub(super) fn check_owner(place: &ChannelPath, stat: &Stat) -> Result<(), Error> {
    check_own(place, stat)?;
    match place.sharing() {
        None => os::is_mine(stat),
        Some(sharing) => sharing.check(stat),
    }
    .map_err(|why| foreign(place, &why))
}

fn foreign(place: &ChannelPath, why: &str) -> Error {
    place.error(ErrorKind::Permission, format!("{} {why}", place.path().display()))
}

/// Checks that the file is a regular file of this user. A member of a group may remove each file in its directory.
pub(super) fn check_own(place: &ChannelPath, stat: &Stat) -> Result<(), Error> {
    let path = place.path().display();
    if stat.kind != FileKind::Regular {
        return Err(place.error(
            ErrorKind::NotASegment,
            format!("{path} is a {}, not a segment; move it out of the way", stat.kind.name()),
        ));
    }
    if place.sharing().is_some() {
        return Ok(());
    }
    os::is_own(stat).map_err(|why| foreign(place, &why))
}

fn read(place: &ChannelPath, file: File, stat: Stat) -> Result<Found, Error> {
    let path = place.path().display();
    if stat.len < Identity::SIZE as u64 {
        return Ok(Found::HalfMade { len: stat.len });
    }
    let mut bytes = [0; Identity::SIZE];
    os::read_at(&file, &mut bytes, 0).map_err(|error| system(place, "read", error))?;
    let identity = Identity::from_bytes(&bytes);
    if identity.magic != MAGIC {
        return Err(place.error(
            ErrorKind::NotASegment,
            format!(
                "{path} starts with {:#018x} instead of {MAGIC:#018x}: it is no segment; \
                 move it out of the way, or use another name",
                identity.magic
            ),
        ));
    }
    match identity.version {
        VERSION => {}
        VERSION_EXTENDED if identity.extension().is_some() => {}
        VERSION_PYTHON => {
            return Err(place.error(
                ErrorKind::Version,
                format!(
                    "{path} has version 1 of the format: this is a channel of the Python library shm-comm; \
                     declare it with `wire: Python` to talk to that, or delete the file"
                ),
            ));
        }
        version => {
            return Err(place.error(
                ErrorKind::Version,
                format!(
                    "{path} has version {version} of the format, and this program knows version {VERSION}; \
                     build both ends with the same release of shmcomm"
                ),
            ));
        }
    }
    let damaged = |file, why| Ok(Found::Damaged { file, stat, why });
    if identity.version == VERSION
        && let Some((field, found)) = identity.extension()
    {
        let error = GeometryError::Unknown { field, found };
        return damaged(file, format!("its header is damaged: {error}"));
    }
    let geometry = match Geometry::check(&identity) {
        Ok(geometry) => geometry,
        Err(error) => return damaged(file, format!("its header is damaged: {error}")),
    };
    let (Some(pattern), Some(format)) =
        (Pattern::from_u32(identity.pattern), Format::from_u32(identity.codec))
    else {
        let error = GeometryError::Unknown { field: "codec", found: identity.codec.into() };
        return damaged(file, format!("its header is damaged: {error}"));
    };
    if stat.len != geometry.segment_size {
        let why =
            format!("it has {}, and its header describes {}", count(stat.len, "byte"), geometry.segment_size);
        return damaged(file, why);
    }
    // Bounded by the check of the geometry.
    debug_assert!(geometry.schema_len <= MAX_SCHEMA);
    let mut schema = vec![0; geometry.schema_len as usize];
    os::read_at(&file, &mut schema, geometry.schema_offset).map_err(|error| system(place, "read", error))?;
    let schema = match String::from_utf8(schema) {
        Ok(schema) => schema,
        Err(error) => return damaged(file, format!("its schema is damaged: {}", error.utf8_error())),
    };
    Ok(Found::Intact(Box::new(Intact { file, stat, identity, geometry, pattern, format, schema })))
}

/// Returns the error for an end that cannot repair the damage.
pub(super) fn damaged(place: &ChannelPath, why: &str) -> Error {
    place.error(
        ErrorKind::NotASegment,
        format!(
            "{} is a segment, but {why}; its publisher replaces it when it starts, \
             or remove it with `shmcomm::force_unlink({:?})`",
            place.path().display(),
            place.name()
        ),
    )
}

/// Reason why an end cannot use a segment.
pub(super) struct Mismatch {
    kind: ErrorKind,
    /// The difference, with the values of both sides.
    pub(super) what: String,
    cure: Cow<'static, str>,
}

impl Mismatch {
    /// Makes the mismatch of a segment whose numbers differ from the declaration of this program.
    pub(super) fn of_declarations(what: String) -> Self {
        Mismatch { kind: ErrorKind::ChannelMismatch, what, cure: ONE_DECLARATION.into() }
    }

    /// Converts it to the error of an end that cannot resolve it. `abandoned`: no process uses the segment.
    pub(super) fn refuse(self, place: &ChannelPath, abandoned: bool) -> Error {
        let Mismatch { kind, what, cure } = self;
        let or_else = if abandoned {
            format!(
                "; no process uses this segment: `shmcomm::force_unlink({:?})` removes it, with the messages in it",
                place.name()
            )
        } else {
            String::new()
        };
        place.error(kind, format!("{what}; {cure}{or_else}"))
    }
}

const ONE_DECLARATION: &str = "use one declaration of the channel in both programs, or another name";
const ONE_DEFINITION: &str = "build both programs from the same definition of the message";

/// Checks that the messages in the segment are of the type that `spec` describes.
pub(super) fn same_messages(found: &Intact, spec: &Spec) -> Result<(), Mismatch> {
    same_declaration(found, spec)?;
    if same_layout(found, spec) {
        return same_codecs(found, spec);
    }
    let difference = (spec.difference)(&found.schema, &spec.schema);
    Err(other_layout(&difference, ONE_DEFINITION))
}

/// Checks that an end of `role`, declared by `spec`, can use the segment. Returns how it reads the messages, if the
/// segment has another layout.
pub(super) fn usable(found: &Intact, spec: &Spec, role: Role) -> Result<Option<Accepted>, Mismatch> {
    same_declaration(found, spec)?;
    if same_layout(found, spec) {
        same_codecs(found, spec)?;
        return fits(found, spec).map(|()| None);
    }
    let Some(resolve) = &spec.resolve else { return same_messages(found, spec).map(|()| None) };
    let fingerprints = (found.identity.fingerprint, found.identity.fingerprint2);
    let accepted = resolve.resolve(&found.schema, fingerprints, role);
    let accepted = accepted.map_err(|(difference, cure)| other_layout(&difference, cure))?;
    fits_request(found, accepted.request_size)?;
    fits_align(found, accepted.align)?;
    Ok(Some(accepted))
}

fn same_layout(found: &Intact, spec: &Spec) -> bool {
    (found.identity.fingerprint, found.identity.fingerprint2) == (spec.fingerprint, spec.fingerprint2)
}

/// Checks that no encoded value has one codec in the segment and another one in this program. Fingerprints do not tell.
fn same_codecs(found: &Intact, spec: &Spec) -> Result<(), Mismatch> {
    match (spec.codecs)(&found.schema, &spec.schema) {
        None => Ok(()),
        Some((difference, cure)) => Err(Mismatch {
            kind: ErrorKind::TypeMismatch,
            what: format!("the segment carries values of another codec than this program's: {difference}"),
            cure: cure.into(),
        }),
    }
}

fn other_layout(difference: &str, cure: impl Into<Cow<'static, str>>) -> Mismatch {
    Mismatch {
        kind: ErrorKind::TypeMismatch,
        what: format!("the segment carries messages of another layout than this program's: {difference}"),
        cure: cure.into(),
    }
}

fn same_declaration(found: &Intact, spec: &Spec) -> Result<(), Mismatch> {
    let channel = |what| Err(Mismatch::of_declarations(what));
    if found.pattern != spec.pattern {
        let (theirs, ours) = (found.pattern.name(), spec.pattern.name());
        return channel(format!("the segment is for {theirs}, and this program declares {ours}"));
    }
    if found.format != spec.format {
        let (theirs, ours) = (found.format.name(), spec.format.name());
        return channel(format!("the segment carries {theirs}, and this program declares {ours}"));
    }
    if (found.identity.window != 0) != (spec.window != 0) {
        let replies = |window| if window != 0 { "a stream of replies" } else { "one reply" };
        let (theirs, ours) = (replies(found.identity.window), replies(spec.window));
        return channel(format!(
            "a request has {theirs} in the segment, and {ours} as this program declares it"
        ));
    }
    if (found.identity.flags ^ spec.flags) & FLAG_MANY != 0 {
        let writers = |flags| if flags & FLAG_MANY != 0 { "several writers" } else { "one writer" };
        let (theirs, ours) = (writers(found.identity.flags), writers(spec.flags));
        return channel(format!(
            "a key has {theirs} at a time in the segment, and {ours} as this program declares it (`writers: Many`)"
        ));
    }
    let pins = found.geometry.discipline.pins();
    if spec.asked.has(Requested::IN_PLACE) && spec.in_place.is_some_and(|wanted| wanted != pins) {
        let messages = |pins| {
            if pins { "in place (`in_place: true`)" } else { "copied (`in_place: false`)" }
        };
        let (theirs, ours) = (messages(pins), messages(!pins));
        return channel(format!(
            "messages are {theirs} in the segment, and {ours} as this program declares it"
        ));
    }
    // Each publisher chooses whether it waits: subscribers follow the segment.
    if (found.identity.flags ^ spec.flags) & !FLAG_WAIT != 0 {
        let redelivers =
            |flags| if flags & FLAG_REDELIVER != 0 { "redelivered" } else { "answered with an error" };
        return channel(format!(
            "requests of a replier that dies are {} in the segment, and {} as this program declares it \
             (flags {:#x}, {:#x})",
            redelivers(found.identity.flags),
            redelivers(spec.flags),
            found.identity.flags,
            spec.flags
        ));
    }
    Ok(())
}

/// Checks that an end declared by `spec` can use the slots of the segment.
fn fits(found: &Intact, spec: &Spec) -> Result<(), Mismatch> {
    // An encoded message takes the room it needs and is refused if that is too much. A fixed message always
    // takes the same room.
    if spec.window != 0 {
        let (theirs, ours) = (found.geometry.stream.reply_size() as u64, spec.reply_size);
        if theirs < ours {
            return too_small(
                format!(
                    "the replies of the segment hold {theirs}, and this program needs {ours}",
                    theirs = count(theirs, "byte")
                ),
                "set the same `slot_size` in both programs",
            );
        }
    } else if spec.format == Format::Fixed && found.geometry.slot_size < spec.slot_size {
        let (theirs, ours) = (found.geometry.slot_size, spec.slot_size);
        return too_small(
            format!(
                "the slots of the segment hold {theirs}, and this program needs {ours}",
                theirs = count(theirs, "byte")
            ),
            "set the same `slot_size` in both programs",
        );
    }
    if spec.format == Format::Fixed {
        fits_request(found, spec.request_size)?;
    }
    fits_align(found, spec.align)
}

fn fits_request(found: &Intact, ours: u64) -> Result<(), Mismatch> {
    let theirs = found.geometry.request_size;
    if theirs >= ours {
        return Ok(());
    }
    let theirs = count(theirs, "byte");
    too_small(
        format!("the segment is for requests of {theirs}, and those of this program take {ours}"),
        ONE_DEFINITION,
    )
}

fn fits_align(found: &Intact, ours: u64) -> Result<(), Mismatch> {
    let theirs = found.geometry.align;
    if theirs >= ours {
        return Ok(());
    }
    let theirs = count(theirs, "byte");
    too_small(
        format!("the slots of the segment are aligned to {theirs}, and this program needs {ours}"),
        ONE_DEFINITION,
    )
}

fn too_small(what: String, cure: &'static str) -> Result<(), Mismatch> {
    Err(Mismatch { kind: ErrorKind::ChannelMismatch, what, cure: cure.into() })
}

/// Returns `true` if the segment is as this program would create it.
pub(super) fn as_made_by(found: &Intact, wanted: &Geometry) -> bool {
    let theirs = &found.geometry;
    // The slots may have grown. Those of a queue keep the declared size in the header.
    let grown = wanted.growth.is_some() && !wanted.grows_each_slot() && theirs.slot_size > wanted.slot_size;
    (theirs.discipline, theirs.slots, theirs.align, theirs.publishers)
        == (wanted.discipline, wanted.slots, wanted.align, wanted.publishers)
        && (theirs.slot_size == wanted.slot_size || grown)
        && theirs.growth.limit == wanted.growth.limit
        && theirs.request_size == wanted.request_size
        && theirs.stream == wanted.stream
        && theirs.seats >= wanted.seats
}

/// Returns `true` if the name still refers to the file with this identity.
pub(super) fn names(path: &Path, stat: &Stat) -> bool {
    forward::stands_for(path, stat.id)
}
