//! [`force_unlink`]: removes the segments of a channel.
//!
//! Owns the interpretation of a name. Calls `segment` for the files.

use crate::error::Error;
use crate::layout::v1::Kind;
use crate::python::v1::name::SegmentPaths;
use crate::segment;

/// Removes all segments of a channel with Python, with their second names and the lock file of a queue,
/// whatever its pattern and whichever processes use it. Returns `false` if there are none. Attached processes
/// keep their mapping. An end in Rust that owns a segment detects it, and returns
/// [`SendError::Replaced`](crate::python::SendError::Replaced) from then on. Never blocks.
///
/// **This destroys accepted work**: the jobs of a queue that no puller has received are lost.
/// [`remove_stale`](crate::remove_stale) with the empty namespace removes the channels that no process uses,
/// and spares queues with jobs.
///
/// `name` is the name of the channel, such as `pose`. It can also be the name of a file, as Python's function
/// of the same name takes it and its `list_segments` returns it: `shmcomm_pub_pose` removes the segments of
/// that one pattern.
///
/// [`shmcomm::force_unlink`](crate::force_unlink) removes these channels too.
///
/// # Errors
/// [`ErrorKind::InvalidName`](crate::ErrorKind::InvalidName);
/// [`ErrorKind::Permission`](crate::ErrorKind::Permission) if a file belongs to another user;
/// [`ErrorKind::NotASegment`](crate::ErrorKind::NotASegment) if there is no regular file under a name.
pub fn force_unlink(name: &str) -> Result<bool, Error> {
    if segment::remove_named(name)? {
        return Ok(true);
    }
    // The second name of a file is not a name of a channel, and not an error either.
    if Kind::of_hidden(name).is_some() {
        return Ok(false);
    }
    SegmentPaths::new(Kind::Pub, name).map(|_| false)
}
