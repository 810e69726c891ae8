//! [`force_unlink`]: removes the segments of a channel.
//!
//! Owns nothing. Calls `os` on names only.

use super::name::Place;
use super::segment::check_owner;
use crate::layout::python::Kind;
use crate::{Error, os};
use std::io;

/// Removes all segments of a channel with Python, whatever its pattern and whoever uses it; `false` if
/// there are none. Attached processes keep what they have mapped; an end in Rust that owns one of them
/// learns of it, and answers [`SendError::Replaced`](super::SendError::Replaced) from then on.
///
/// Python's function of the same name takes the name of a file, such as `shmcomm_pub_pose`; this takes
/// the name of the channel, `pose`.
///
/// # Errors
/// [`ErrorKind::InvalidName`](crate::ErrorKind::InvalidName);
/// [`ErrorKind::Permission`](crate::ErrorKind::Permission) if a file is another user's;
/// [`ErrorKind::NotASegment`](crate::ErrorKind::NotASegment) if there is no regular file under a name.
pub fn force_unlink(name: &str) -> Result<bool, Error> {
    let mut any = false;
    for kind in Kind::ALL {
        let place = match Place::new(kind, name) {
            Ok(place) => place,
            // Too long for a queue: then there is none.
            Err(_) if kind == Kind::Push && Place::new(Kind::Pub, name).is_ok() => continue,
            Err(error) => return Err(error),
        };
        // In this order: with the last name a file is beyond the reach of those who would bring it back.
        for path in [place.hidden(), place.path()] {
            let stat = match os::stat_path(path) {
                Ok(stat) => stat,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(place.system("examine", error)),
            };
            check_owner(&place, &os::Stat { mode: 0, ..stat })?;
            match os::unlink(path) {
                Ok(()) => any = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(place.system("remove", error)),
            }
        }
    }
    Ok(any)
}
