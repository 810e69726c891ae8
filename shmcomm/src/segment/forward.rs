//! Forwarding files: a name for a live segment whose own name was removed.
//!
//! Owns their content, the resolution of names, and the restoring of a removed name. Calls `os` and
//! `registration`. Never touches a seat, a ring or the words of a segment.
//!
//! Programs remove the files of live segments: `rm /dev/shm/*`, or systemd when the user logs out
//! (`RemoveIPC`). The kernel cannot give a new name to a file that has lost its last one. Another process can
//! still open it, through `/proc/PID/fd/N` of a participant. The participant that finds the name missing
//! therefore creates a small file with that name, which records where the segment is. All participants keep
//! their segment, and no message is lost.
//!
//! 1. A name refers to a segment if it is a name of the segment's file, or of a forwarding file that records
//!    this file's device and inode.
//! 2. A forwarding file is created and removed under the registration lock of its segment. It is rewritten,
//!    replaced or removed under its own registration lock too, because a process that cannot reach the
//!    segment can take only that one.
//! 3. A process follows a forwarding file only to the file that it records.

use super::registration::{Registration, Turn};
use super::{ChannelPath, memory, seats};
use crate::layout::{CHANNEL_LEN, Geometry, control};
use crate::os::{self, File, FileId, FileKind, Stat};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Length of a forwarding file in bytes: less than the header of a segment.
const LEN: usize = 64;
/// `SHMCFWD1`, as a number in native byte order.
const MAGIC: u64 = 0x5348_4D43_4657_4431;

/// Time for which a process that opens the channel leaves a forwarding file that leads nowhere to the
/// participants of the segment.
pub(super) const GRACE: Duration = Duration::from_millis(300);

/// Searches the processes of this user for a live segment whose name is missing, and restores the name.
/// Returns `true` if it found one. Takes some milliseconds.
pub(super) fn rediscover(place: &ChannelPath) -> bool {
    if place.sharing().is_some() {
        return false;
    }
    let path = place.path();
    let found = os::holders_of_removed(path).find(|&(pid, fd, id)| {
        let Ok((mut file, stat)) = os::open_of_process(pid, fd, id) else { return false };
        // `/proc` shows a file that got its name late without it. The segment itself records the channel.
        let mut name = [0; CHANNEL_LEN];
        if os::is_mine(&stat).is_err() || os::read_at(&file, &mut name, control::CHANNEL as u64).is_err() {
            return false;
        }
        let named = name.strip_prefix(place.name().as_bytes());
        if !named.is_some_and(|rest| rest.iter().all(|&byte| byte == 0)) {
            return false;
        }
        if !matches!(seats::any_alive(&file), Ok(true)) {
            return false;
        }
        let registration = Turn::sole(&mut file).try_register();
        let Ok(Ok(registration)) = registration else { return false };
        matches!(restore(place, registration.file(), id, (pid, fd)), Ok(true))
    });
    if let Some((pid, ..)) = found {
        let channel = place.name();
        log::warn!(
            target: "shmcomm",
            "channel `{channel}`: its file was removed while it is in use; found again through process {pid}"
        );
    }
    found.is_some()
}

/// Content of a forwarding file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forward {
    /// Device and inode of the segment.
    id: FileId,
    /// A process that has the segment open, and its descriptor.
    pid: u32,
    fd: u32,
    /// Device and inode of the PID namespace that `pid` belongs to.
    namespace: FileId,
}

/// File under a name, as seen by a participant of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The segment, or a forwarding file that leads to it.
    Here,
    /// A forwarding file that records the segment but no longer leads to it.
    LeadsNowhere,
    Nothing,
    /// Another file.
    Other,
}

impl Forward {
    fn to_bytes(self) -> [u8; LEN] {
        let words = self.words();
        let mut bytes = [0; LEN];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words.into_iter().chain([check(&words)])) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    fn words(&self) -> [u64; 7] {
        let Forward { id, pid, fd, namespace } = *self;
        [MAGIC, id.0, id.1, pid.into(), fd.into(), namespace.0, namespace.1]
    }

    fn from_bytes(bytes: &[u8; LEN]) -> Option<Self> {
        let mut words = [0; LEN / 8];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_ne_bytes(chunk.try_into().ok()?);
        }
        let [magic, device, inode, pid, fd, namespace_device, namespace, sum] = words;
        if magic != MAGIC || sum != check(words.first_chunk()?) {
            return None;
        }
        Some(Forward {
            id: (device, inode),
            pid: pid.try_into().ok()?,
            fd: fd.try_into().ok()?,
            namespace: (namespace_device, namespace),
        })
    }

    /// Reads a file that has the length of a forwarding file. Returns `None` if it is not one. The file may
    /// be rewritten meanwhile.
    pub(super) fn read(file: &File, stat: &Stat) -> Option<Self> {
        let mut bytes = [0; LEN];
        (stat.kind == FileKind::Regular && stat.len == LEN as u64 && os::read_at(file, &mut bytes, 0).is_ok())
            .then(|| Self::from_bytes(&bytes))?
    }

    /// Reads the file of a channel like [`Forward::read`]. The channel of a group has no forwarding files.
    pub(super) fn at(place: &ChannelPath, file: &File, stat: &Stat) -> Option<Self> {
        place.sharing().is_none().then(|| Self::read(file, stat))?
    }

    /// Opens the segment. Returns `None` if it cannot be opened at the recorded place.
    pub(super) fn open(&self) -> Option<(File, Stat)> {
        let (file, stat) = os::open_of_process(self.pid, self.fd, self.id).ok()?;
        Some((file, stat))
    }

    /// Returns `true` if the recorded process belongs to another PID namespace than this process, so that
    /// only processes of that namespace can follow the file.
    pub(super) fn is_foreign(&self) -> bool {
        os::pid_namespace().is_ok_and(|here| here != self.namespace)
    }

    /// Returns the id of the process that has the segment open, in its own PID namespace.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }
}

/// Returns a checksum, which a partly written file does not have.
fn check(words: &[u64; 7]) -> u64 {
    words.iter().fold(0, |sum, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

/// Returns the kind of the file at `path` for the participants of the segment `id`. Takes one system call, or
/// six for a forwarding file.
pub(super) fn standing(path: &Path, id: FileId) -> Standing {
    let stat = match os::stat_path(path) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Standing::Nothing,
        Err(_) => return Standing::Other,
    };
    if stat.id == id {
        return Standing::Here;
    }
    if stat.len != LEN as u64 || stat.kind != FileKind::Regular || os::is_mine(&stat).is_err() {
        return Standing::Other;
    }
    let forward = os::open(path).ok().and_then(|file| Forward::read(&file, &os::stat(&file).ok()?));
    match forward {
        Some(forward) if forward.id != id => Standing::Other,
        Some(forward) if forward.is_foreign() || forward.open().is_some() => Standing::Here,
        // Another process may be rewriting it.
        Some(_) | None => Standing::LeadsNowhere,
    }
}

/// Returns `true` if `path` refers to the file `id`, directly or through a forwarding file.
pub(super) fn stands_for(path: &Path, id: FileId) -> bool {
    matches!(standing(path, id), Standing::Here | Standing::LeadsNowhere)
}

/// Restores the name of a segment, under its registration lock. Returns `false` if the name need not be
/// restored, or if another process restores it.
///
/// `way` is the process and the descriptor through which other processes open the segment.
pub(super) fn restore(place: &ChannelPath, file: &File, id: FileId, way: (u32, u32)) -> io::Result<bool> {
    let path = place.path();
    if !in_use(file)? {
        return Ok(false);
    }
    let (pid, fd) = way;
    let forward = || Ok::<_, io::Error>(Forward { id, pid, fd, namespace: os::pid_namespace()? });
    match standing(path, id) {
        Standing::Here => Ok(false),
        Standing::Other => Err(io::ErrorKind::AlreadyExists.into()),
        Standing::Nothing => {
            // A file that was only moved gets its name back.
            if os::link(file, path).is_ok() {
                return Ok(true);
            }
            if place.sharing().is_some() {
                let why = "a user cannot open the files of another user's processes";
                return Err(io::Error::other(why));
            }
            // Fails where a process cannot open the files of another one. No file is made then.
            let forward = forward()?;
            let made = os::create_unnamed(place.dir())?;
            os::write_at(&made, &forward.to_bytes(), 0)?;
            os::link(&made, path).map(|()| true)
        }
        Standing::LeadsNowhere => {
            let mut old = os::open(path)?;
            let Ok(lock) = Turn::sole(&mut old).try_register()? else { return Ok(false) };
            if os::id_of_path(path)? != Some(os::stat(lock.file())?.id) {
                return Ok(false);
            }
            os::write_at(lock.file(), &forward()?.to_bytes(), 0).map(|()| true)
        }
    }
}

/// Returns `true` if the segment is not marked as superseded, so that its participants may give it a name.
pub(super) fn in_use(file: &File) -> io::Result<bool> {
    let mut state = [0; 8];
    os::read_at(file, &mut state, control::STATE as u64)?;
    Ok(u64::from_ne_bytes(state) == control::LIVE)
}

/// Runs `change`, which removes the name of the segment `id`, while no other process can change the name. The
/// caller holds the registration lock of the segment. This call takes the lock of the forwarding file, if
/// there is one. Returns `None` if the name does not refer to the segment.
pub(super) fn change_name<T>(
    path: &Path,
    id: FileId,
    change: impl FnOnce() -> io::Result<T>,
) -> io::Result<Option<T>> {
    match os::id_of_path(path)? {
        None => return Ok(None),
        Some(there) if there == id => return change().map(Some),
        Some(_) => {}
    }
    let mut forward = os::open(path)?;
    let lock = wait(&mut forward)?;
    let still = os::id_of_path(path)? == Some(os::stat(lock.file())?.id) && stands_for(path, id);
    if still { change().map(Some) } else { Ok(None) }
}

/// Takes the registration lock of a forwarding file. A holder keeps it for a few system calls.
fn wait(file: &mut File) -> io::Result<Registration<'_>> {
    let mut turn = Turn::sole(file);
    for _ in 0..1000 {
        turn = match turn.try_register()? {
            Ok(lock) => return Ok(lock),
            Err(turn) => turn,
        };
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Copies a segment without participants to a new file with the name, so that its queued messages outlive the
/// last participant. The caller holds the registration lock.
pub(super) fn rescue(place: &ChannelPath, file: &File, geometry: &Geometry) -> io::Result<()> {
    let (path, temporary) = (place.path(), &place.temporary());
    // A file that was only moved gets its name back.
    if os::id_of_path(path)?.is_none() && os::link(file, path).is_ok() {
        return Ok(());
    }
    let mut copy = new_file(place)?;
    memory::copy(file, &copy, geometry)?;
    // Held until the copy is closed: a temporary name without a lock is removed by `clean_temporaries`.
    Turn::sole(&mut copy).take_seat(0)?;
    let id = os::stat(file)?.id;
    if os::id_of_path(path)?.is_none() {
        return os::link(&copy, path);
    }
    os::link(&copy, temporary)?;
    let renamed = change_name(path, id, || os::replace_name(&copy, temporary, path, temporary));
    if !matches!(renamed, Ok(Some(()))) {
        let _ = os::unlink(temporary);
    }
    renamed?.ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

/// Returns a new file without a name, with the owner, group and mode of the channel's segments.
pub(super) fn new_file(place: &ChannelPath) -> io::Result<File> {
    let file = os::create_unnamed(place.dir())?;
    match place.sharing() {
        None => Ok(file),
        Some(sharing) => sharing.share(&file).map(|()| file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarding_file_is_what_was_written_or_nothing() {
        let forward = Forward { id: (7, u64::MAX), pid: 4_194_304, fd: 3, namespace: (4, 4_026_531_836) };
        let bytes = forward.to_bytes();
        assert_eq!(Forward::from_bytes(&bytes), Some(forward));
        for at in 0..LEN {
            let mut torn = bytes;
            torn[at] ^= 1;
            assert_eq!(Forward::from_bytes(&torn), None, "byte {at}");
        }
        assert_eq!(Forward::from_bytes(&[0; LEN]), None);
    }
}
