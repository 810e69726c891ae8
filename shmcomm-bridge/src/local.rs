//! The channels of this host that the configuration may name, and their participants.
//!
//! Owns the rule which participants count: those of other processes, and not those of other bridges. Owns the patterns that
//! do not cross. Calls the library's list of segments. Takes no seat.

use crate::config::Config;
use shmcomm::{Pattern, Role, SegmentInfo, SegmentState, list_segments_in};
use std::time::UNIX_EPOCH;

/// Name of the processes that are bridges.
const PROCESS: &str = "shmcomm-bridge";

/// Reason why a request/reply channel whose replies are streams does not cross.
const STREAMS: &str = "its replies are streams, and the bridge carries one reply to a request; declare the channel with one \
                       reply, or send the replies on a publish/subscribe channel";
/// Reason why a table does not cross.
const TABLES: &str =
    "it is a table, and the bridge carries messages; publish the values that other hosts need";

/// A usable channel of this host.
pub struct Local {
    /// Name without the namespace.
    pub channel: String,
    pub info: SegmentInfo,
}

/// Returns the channels of the namespace. An error is the reason why the list cannot be read.
pub fn list(config: &Config) -> Result<Vec<Local>, String> {
    let segments = list_segments_in(&config.namespace).map_err(|error| error.to_string())?;
    // A queue whose participants have all left may still have jobs.
    let live = |info: &SegmentInfo| info.state() == SegmentState::Live || info.queued_work() > 0;
    // Version 1 are the channels of the Python library.
    let usable =
        segments.into_iter().filter(|info| info.problem.is_none() && info.version != 1 && live(info));
    let named =
        usable.filter_map(|info| Some(Local { channel: config.short(&info.channel)?.to_owned(), info }));
    Ok(named.collect())
}

impl Local {
    /// Returns the number of the segment, as the head of a message carries it.
    pub fn segment(&self) -> u64 {
        self.info.created.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
    }

    /// Returns the communication pattern.
    pub fn pattern(&self) -> Option<Pattern> {
        let all = [Pattern::PubSub, Pattern::PushPull, Pattern::ReqRep];
        all.into_iter().find(|pattern| pattern.name() == self.info.pattern)
    }

    /// Returns the reason why a channel of this pattern does not cross.
    pub fn stays(&self) -> Option<&'static str> {
        match self.info.pattern {
            "request/stream" => Some(STREAMS),
            "table" => Some(TABLES),
            _ => None,
        }
    }

    /// Returns `true` if the channel has something for other hosts: a publisher, a replier, a writer, or jobs and ends that
    /// may push some.
    pub fn offers(&self, relay: bool) -> bool {
        match self.pattern() {
            Some(Pattern::PubSub) => self.has(Role::Publisher, relay),
            Some(Pattern::ReqRep) => self.has(Role::Replier, relay),
            None => self.has(Role::Replier, relay) || self.has(Role::Writer, relay),
            _ => {
                self.info.queued_work() > 0 || self.has(Role::Pusher, relay) || self.has(Role::Puller, relay)
            }
        }
    }

    /// Returns `true` if a live participant has the role and is no bridge. A bridge that is not this process counts if
    /// `relay` is set.
    pub fn has(&self, role: Role, relay: bool) -> bool {
        let counts = |pid: u32, process: &str| pid != std::process::id() && (relay || process != PROCESS);
        self.info
            .participants
            .iter()
            .any(|end| end.alive && end.role == role && counts(end.pid, &end.process))
    }
}

/// Returns `true` if a live publisher with this pid is a bridge.
pub fn is_bridge(info: &[shmcomm::Participant], pid: u32) -> bool {
    info.iter().any(|end| end.role == Role::Publisher && end.pid == pid && end.process == PROCESS)
}
