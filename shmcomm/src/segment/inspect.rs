//! Looks at what stands under a name, and believes nothing of it.
//!
//! Owns the checks of a file before it is mapped, and their words; and the comparison of a segment
//! with a [`Spec`]. Reads with `pread` only, writes nothing, takes no lock.

use super::{Place, Spec, name, system};
use crate::layout::{
    FLAG_REDELIVER, FLAG_WAIT, Format, Geometry, GeometryError, Identity, MAGIC, MAX_SCHEMA, Pattern,
    VERSION, VERSION_PYTHON,
};
use crate::os::{self, FileKind, Stat};
use crate::{Error, ErrorKind};
use std::fs::File;
use std::io;
use std::path::Path;
use zerocopy::{FromZeros as _, IntoBytes as _};

/// What stands under a name. Anything else is an error.
pub(super) enum Found {
    Nothing,
    /// A file of this user that may become a segment yet: shorter than a header.
    HalfMade {
        len: u64,
    },
    /// A segment of this version that does not add up. It can be replaced, but not used.
    Damaged {
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
    /// Copied once; the file is not asked again.
    pub(super) identity: Identity,
    pub(super) geometry: Geometry,
    pub(super) pattern: Pattern,
    pub(super) format: Format,
    pub(super) schema: String,
}

/// Opens and checks what stands under the name.
pub(super) fn look(place: &Place) -> Result<Found, Error> {
    let file = match os::open(place.path()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The directory itself may be what is missing.
            return match os::stat_path(place.dir()) {
                Ok(_) => Ok(Found::Nothing),
                Err(error) => Err(place
                    .error(
                        ErrorKind::Os,
                        format!(
                            "cannot look into {}, the directory of all segments: {error}; \
                             mount a tmpfs there, or set {} to another directory in all processes",
                            place.dir().display(),
                            name::DIR_VARIABLE
                        ),
                    )
                    .with_source(error)),
            };
        }
        // Symbolic links, directories and sockets refuse to be opened in their own ways.
        Err(error) => {
            return Err(match os::stat_path(place.path()) {
                Ok(stat) => check_owner(place, &stat).err().unwrap_or_else(|| system(place, "open", error)),
                Err(_) => system(place, "open", error),
            });
        }
    };
    let stat = os::stat(&file).map_err(|error| system(place, "examine", error))?;
    check_owner(place, &stat)?;
    read(place, file, stat)
}

/// Regular file, own user, not writable by others.
pub(super) fn check_owner(place: &Place, stat: &Stat) -> Result<(), Error> {
    let path = place.path().display();
    if stat.kind != FileKind::Regular {
        return Err(place.error(
            ErrorKind::NotASegment,
            format!("{path} is a {}, not a segment; move it out of the way", stat.kind.name()),
        ));
    }
    let user = os::user();
    if stat.owner != user {
        return Err(place.error(
            ErrorKind::Permission,
            format!(
                "{path} belongs to user {}, and this process runs as user {user}; \
                 both ends of a channel run as one user: start them so, or use another namespace",
                stat.owner
            ),
        ));
    }
    if stat.mode & 0o022 != 0 {
        return Err(place.error(
            ErrorKind::Permission,
            format!(
                "{path} has mode {:04o}, so other users may write to it; \
                 shmcomm makes segments with 0600: `chmod 600` it if you trust what is in it, or delete it",
                stat.mode
            ),
        ));
    }
    Ok(())
}

fn read(place: &Place, file: File, stat: Stat) -> Result<Found, Error> {
    let path = place.path().display();
    if stat.len < Identity::SIZE as u64 {
        return Ok(Found::HalfMade { len: stat.len });
    }
    let mut identity = Identity::new_zeroed();
    os::read_at(&file, identity.as_mut_bytes(), 0).map_err(|error| system(place, "read", error))?;
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
        let why = format!("it has {} bytes, and its header describes {}", stat.len, geometry.segment_size);
        return damaged(file, why);
    }
    // Bounded by the geometry's check.
    debug_assert!(geometry.schema_len <= MAX_SCHEMA);
    let mut schema = vec![0; geometry.schema_len as usize];
    os::read_at(&file, &mut schema, geometry.schema_offset).map_err(|error| system(place, "read", error))?;
    let schema = match String::from_utf8(schema) {
        Ok(schema) => schema,
        Err(error) => return damaged(file, format!("its schema is damaged: {}", error.utf8_error())),
    };
    Ok(Found::Intact(Box::new(Intact { file, stat, identity, geometry, pattern, format, schema })))
}

/// The error for an end that can do nothing about the damage.
pub(super) fn damaged(place: &Place, why: &str) -> Error {
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

/// Why an end cannot use a segment.
pub(super) struct Mismatch {
    kind: ErrorKind,
    /// What differs, with both sides' values.
    pub(super) what: String,
    cure: &'static str,
}

impl Mismatch {
    /// Of a segment whose numbers are not those that this program declares.
    pub(super) fn of_declarations(what: String) -> Self {
        Mismatch { kind: ErrorKind::ChannelMismatch, what, cure: ONE_DECLARATION }
    }

    /// As the error of an end that can do nothing about it. `abandoned`: nobody uses the segment.
    pub(super) fn refuse(self, place: &Place, abandoned: bool) -> Error {
        let Mismatch { kind, what, cure } = self;
        let or_else = if abandoned {
            format!("; nobody uses this segment: `shmcomm::force_unlink({:?})` removes it", place.name())
        } else {
            String::new()
        };
        place.error(kind, format!("{what}; {cure}{or_else}"))
    }
}

const ONE_DECLARATION: &str = "use one declaration of the channel in both programs, or another name";
const ONE_DEFINITION: &str = "build both programs from the same definition of the message";

/// Whether the messages in the segment are those that `spec` describes.
pub(super) fn same_messages(found: &Intact, spec: &Spec) -> Result<(), Mismatch> {
    let channel = |what| Err(Mismatch { kind: ErrorKind::ChannelMismatch, what, cure: ONE_DECLARATION });
    if found.pattern != spec.pattern {
        let (theirs, ours) = (found.pattern.name(), spec.pattern.name());
        return channel(format!("the segment is for {theirs}, and this program declares {ours}"));
    }
    if found.format != spec.format {
        let (theirs, ours) = (found.format.name(), spec.format.name());
        return channel(format!("the segment carries {theirs}, and this program declares {ours}"));
    }
    let theirs = (found.identity.fingerprint, found.identity.fingerprint2);
    if theirs != (spec.fingerprint, spec.fingerprint2) {
        let difference = (spec.difference)(&found.schema, &spec.schema);
        return Err(Mismatch {
            kind: ErrorKind::TypeMismatch,
            what: format!("the segment carries messages of another layout than this program's: {difference}"),
            cure: ONE_DEFINITION,
        });
    }
    // Whether a publisher waits is its own affair: subscribers do as the segment says.
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

/// Whether an end as declared by `spec` can use the slots as they are.
pub(super) fn fits(found: &Intact, spec: &Spec) -> Result<(), Mismatch> {
    let theirs = &found.geometry;
    let mismatch = |what, cure| Err(Mismatch { kind: ErrorKind::ChannelMismatch, what, cure });
    // A codec's message takes the room it needs and is refused where that is too much; a fixed one
    // takes the same each time.
    if spec.format == Format::Fixed && theirs.slot_size < spec.slot_size {
        let (theirs, ours) = (theirs.slot_size, spec.slot_size);
        return mismatch(
            format!("the slots of the segment hold {theirs} bytes, and this program needs {ours}"),
            "set the same `slot_size` in both programs",
        );
    }
    if spec.format == Format::Fixed && theirs.request_size < spec.request_size {
        let (theirs, ours) = (theirs.request_size, spec.request_size);
        return mismatch(
            format!("the segment is for requests of {theirs} bytes, and those of this program take {ours}"),
            ONE_DEFINITION,
        );
    }
    if theirs.align < spec.align {
        let (theirs, ours) = (theirs.align, spec.align);
        return mismatch(
            format!("the slots of the segment are aligned to {theirs} bytes, and this program needs {ours}"),
            ONE_DEFINITION,
        );
    }
    Ok(())
}

/// Whether the segment is as this program would have made it.
pub(super) fn as_made_by(found: &Intact, wanted: &Geometry) -> bool {
    let theirs = &found.geometry;
    (theirs.discipline, theirs.slots, theirs.slot_size, theirs.align, theirs.publishers)
        == (wanted.discipline, wanted.slots, wanted.slot_size, wanted.align, wanted.publishers)
        && theirs.request_size == wanted.request_size
        && theirs.seats >= wanted.seats
}

/// Which file the name stands for now is `file`'s, and it has that name still.
pub(super) fn names(path: &Path, stat: &Stat) -> bool {
    matches!(os::id_of_path(path), Ok(Some(id)) if id == stat.id)
}
