//! [`Catalog`]: the channels of this machine, read again while there are clients.
//!
//! Owns the numbers of the channels in the protocol, and the thread that reads. Calls the library's list of
//! segments. Takes no seat. Never sends to a client: each client compares versions.

use crate::figures::{Figures, Reading};
use crate::options::Options;
use shmcomm::{SegmentInfo, list_segments};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two readings of the list.
const PERIOD: Duration = Duration::from_millis(500);
/// The first number of a channel; smaller ones belong to the server's own channels.
const FIRST: u32 = 16;
/// Readings that a rate spans: 2 s, so that it is steady for slow channels.
const SPAN: usize = 4;
/// Largest number of channels that clients see.
const MOST: usize = 4096;

/// A state of the list.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Increases with each reading.
    pub version: u64,
    pub channels: Arc<Vec<Figures>>,
    /// Reason why the list could not be read.
    pub problem: Option<String>,
}

/// The channels of this machine.
pub struct Catalog {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    listing: Listing,
    clients: usize,
    stopped: bool,
    read: Option<Instant>,
    /// Version of the last list that was read before a time without clients.
    outdated: u64,
    ids: Ids,
}

/// Numbers of the channels, and their counters at the last readings.
#[derive(Default)]
struct Ids {
    next: u32,
    known: HashMap<Key, u32>,
    readings: HashMap<PathBuf, VecDeque<(Instant, Reading)>>,
}

/// A channel with one form of messages. If the form changes, clients get a new number.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    channel: String,
    path: PathBuf,
    codec: &'static str,
    schema: String,
}

/// A client: while it exists, the list is read.
pub struct Membership(Arc<Catalog>);

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.state().clients -= 1;
    }
}

impl Catalog {
    pub fn new() -> Arc<Catalog> {
        let listing = Listing { version: 0, channels: Arc::default(), problem: None };
        let ids = Ids { next: FIRST, ..Ids::default() };
        let state = State { listing, clients: 0, stopped: false, read: None, outdated: 0, ids };
        Arc::new(Catalog { state: Mutex::new(state), changed: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the list every 0.5 s while there are clients, until [`Catalog::stop`].
    pub fn run(&self, options: &Options) {
        let mut state = self.state();
        while !state.stopped {
            if state.clients == 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let due = state.read.map_or(Duration::ZERO, |read| PERIOD.saturating_sub(read.elapsed()));
            if due.is_zero() {
                drop(state);
                // Without the lock: clients need not wait for the file system.
                let found = list_segments();
                state = self.state();
                if state.clients > 0 {
                    state.update(found, options);
                }
            } else {
                state = self.changed.wait_timeout(state, due).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Replaces the list, as [`Catalog::run`] does.
    #[cfg(test)]
    pub fn set(&self, found: Result<Vec<SegmentInfo>, shmcomm::Error>, options: &Options) {
        self.state().update(found, options);
    }

    /// Ends [`Catalog::run`].
    pub fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Counts a client, until the membership is dropped. Also returns the newest version of the list that is too old
    /// for the client: it was read before a time without clients.
    pub fn join(self: &Arc<Self>) -> (Membership, u64) {
        let mut state = self.state();
        if state.clients == 0 {
            state.forget();
        }
        state.clients += 1;
        let version = state.outdated;
        drop(state);
        self.changed.notify_all();
        (Membership(self.clone()), version)
    }

    /// Returns the state of the list if it is newer than `version`.
    pub fn newer(&self, version: u64) -> Option<Listing> {
        let state = self.state();
        (state.listing.version > version).then(|| state.listing.clone())
    }
}

impl State {
    /// Forgets what was read before a time without clients: it is outdated, and a rate would span that time.
    fn forget(&mut self) {
        self.outdated = self.listing.version;
        self.listing.channels = Arc::default();
        self.listing.problem = None;
        self.ids.readings.clear();
        self.read = None;
    }

    fn update(&mut self, found: Result<Vec<SegmentInfo>, shmcomm::Error>, options: &Options) {
        let now = Instant::now();
        self.read = Some(now);
        self.listing.version += 1;
        match found {
            Ok(mut segments) => {
                segments.retain(|segment| options.shows(&segment.channel));
                let all = segments.len();
                segments.truncate(MOST);
                self.listing.problem = (all > MOST).then(|| {
                    format!(
                        "{all} channels exist, and the first {MOST} are shown; name channels to see others"
                    )
                });
                self.listing.channels = Arc::new(self.ids.figures(&segments, now));
            }
            Err(error) => self.listing.problem = Some(error.to_string()),
        }
    }
}

impl Ids {
    fn figures(&mut self, segments: &[SegmentInfo], now: Instant) -> Vec<Figures> {
        let (mut known, mut readings) = (HashMap::new(), HashMap::new());
        let mut all = Vec::with_capacity(segments.len());
        // A native channel hides a channel of Python with the same name: the observer finds the native one.
        let native: HashSet<&str> =
            segments.iter().filter(|one| one.version != 1).map(|one| one.channel.as_str()).collect();
        for segment in segments {
            let hidden = segment.version == 1 && native.contains(segment.channel.as_str());
            let seen = segment.problem.is_none() && segment.pattern == shmcomm::Pattern::PubSub.name();
            let id = (seen && !hidden).then(|| {
                let key = Key {
                    channel: segment.channel.clone(),
                    path: segment.path.clone(),
                    codec: segment.codec,
                    schema: segment.schema.clone(),
                };
                let id = self.known.get(&key).copied().unwrap_or_else(|| {
                    let id = self.next;
                    self.next = self.next.checked_add(1).unwrap_or(FIRST);
                    id
                });
                known.insert(key, id);
                id
            });
            let mut earlier = self.readings.remove(&segment.path).unwrap_or_default();
            // A new segment under the name counts from 0 again.
            if earlier.back().is_some_and(|(_, reading)| reading.messages > segment.messages) {
                earlier.clear();
            }
            let before =
                earlier.front().map(|(time, reading)| (*reading, now.saturating_duration_since(*time)));
            all.push(Figures::of(segment, id, before));
            if earlier.len() == SPAN {
                earlier.pop_front();
            }
            earlier.push_back((now, Reading { messages: segment.messages, bytes: segment.bytes }));
            readings.insert(segment.path.clone(), earlier);
        }
        (self.known, self.readings) = (known, readings);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shmcomm::{Channel, PubSub};

    #[test]
    fn channels_keep_their_numbers_while_they_exist() {
        let namespace = format!("view-catalog-{}", std::process::id());
        const POSE: Channel<PubSub<[f64; 3]>> = Channel::new("pose");
        const TURN: Channel<PubSub<[f32; 3]>> = Channel::new("pose");
        let mut ids = Ids { next: FIRST, ..Ids::default() };
        let mut read = || {
            let segments = shmcomm::list_segments_in(&namespace).unwrap();
            ids.figures(&segments, Instant::now())
        };
        let mut publisher = POSE.open().namespace(&namespace).publisher().unwrap();
        let first = read();
        assert_eq!((first[0].id, first[0].rate), (Some(FIRST), None));
        publisher.send(&[1.0; 3]).unwrap();
        let second = read();
        assert_eq!((second[0].id, second[0].sent, second[0].senders), (Some(FIRST), 1, Some(1)));
        assert!(second[0].rate.is_some_and(|rate| rate > 0.0));
        drop(publisher);
        assert!(read().is_empty());
        let _publisher = TURN.open().namespace(&namespace).publisher().unwrap();
        assert_eq!(read()[0].id, Some(FIRST + 1), "a number is not used for two channels");
    }

    #[test]
    fn list_and_rates_start_again_after_a_pause() {
        let namespace = format!("view-pause-{}", std::process::id());
        const POSE: Channel<PubSub<[f64; 3]>> = Channel::new("pose");
        let mut publisher = POSE.open().namespace(&namespace).publisher().unwrap();
        let (catalog, options) = (Catalog::new(), Options::default());
        let read = || catalog.set(shmcomm::list_segments_in(&namespace), &options);
        let rate = |listing: &Listing| listing.channels[0].rate;
        let (first, version) = catalog.join();
        assert!(catalog.newer(version).is_none());
        read();
        read();
        let listing = catalog.newer(version).unwrap();
        assert!(rate(&listing).is_some());
        // A second client gets the present list at once.
        let (second, version) = catalog.join();
        assert_eq!(catalog.newer(version).unwrap().version, listing.version);
        drop((first, second));
        publisher.send(&[0.0; 3]).unwrap();
        let (_third, version) = catalog.join();
        let (_fourth, same) = catalog.join();
        assert!(catalog.newer(version).is_none() && catalog.newer(same).is_none(), "the list is outdated");
        read();
        assert_eq!(catalog.newer(version).map(|listing| rate(&listing)), Some(None));
    }

    #[test]
    fn native_channel_hides_a_python_channel_of_its_name() {
        let namespace = format!("view-twins-{}", std::process::id());
        const POSE: Channel<PubSub<[f64; 3]>> = Channel::new("pose");
        let _publisher = POSE.open().namespace(&namespace).publisher().unwrap();
        let native = shmcomm::list_segments_in(&namespace).unwrap().remove(0);
        let mut python = native.clone();
        (python.version, python.path) = (1, "shmcomm_pub_pose".into());
        let mut ids = Ids { next: FIRST, ..Ids::default() };
        let all = ids.figures(&[python, native], Instant::now());
        assert_eq!((all[0].id, all[1].id), (None, Some(FIRST)));
    }
}
