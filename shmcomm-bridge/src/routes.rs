//! [`Routes`]: the bridges that the channels of this host have passed on their way to it.
//!
//! Owns one small channel in which each bridge of the host tells the others its own id and the routes of what it imports.
//! A bridge refuses an offer whose route has a bridge of this host: so relays in a circle of realms carry nothing round.
//! Calls the library. Never reads the network.
//!
//! The rule is the path vector of the Border Gateway Protocol (RFC 4271, section 9.1.2), with bridges in the place of
//! autonomous systems. A bridge tells the route of a channel before it imports it, so a bridge that sees the channel
//! knows the route. If it learns of a change later, it exports the channel anew.

use crate::BridgeError;
use crate::config::Config;
use crate::keys::is_id;
use crate::local::Local;
use serde::{Deserialize, Serialize};
use shmcomm::{Content, Declaration, DynPublisher, DynSubscriber, Role};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// Channels of this name are for the bridges of a host: `shmcomm-bridge/0` and so on.
const PREFIX: &str = "shmcomm-bridge/";
/// Largest number of bridges in one namespace of a host.
const BRIDGES: u32 = 64;
/// Longest route. A longer one is refused.
pub const LONGEST: usize = 64;
/// Largest size in bytes of what a bridge tells. Pages of the segment that nothing is written to take no memory.
const SIZE: u64 = 1 << 20;

/// Ids of bridges.
pub type Route = BTreeSet<String>;

/// A bridge's id and the routes of its imports, as it tells them to the other bridges of its host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Told {
    bridge: String,
    /// Routes of the channels that it imports.
    imports: BTreeMap<String, Route>,
}

/// The routes of this host.
pub struct Routes {
    publisher: DynPublisher,
    own: Told,
    others: HashMap<String, Other>,
}

struct Other {
    subscriber: DynSubscriber,
    told: Told,
}

/// Returns `true` if the channel is one of those by which bridges of a host tell their routes.
pub fn is_between_bridges(channel: &str) -> bool {
    channel.starts_with(PREFIX)
}

/// Returns `true` if a route from the network has a valid form.
pub fn is_valid(route: &Route) -> bool {
    route.len() <= LONGEST && route.iter().all(|id| is_id(id))
}

impl Routes {
    /// Takes the first free channel for what this bridge tells.
    pub fn open(config: &Config, bridge: String) -> Result<Routes, BridgeError> {
        let declaration = Declaration::pub_sub(Content::Bytes).slot_size(SIZE).slots(4);
        let mut problem = String::new();
        for n in 0..BRIDGES {
            match DynPublisher::create(&config.full(&format!("{PREFIX}{n}")), &declaration) {
                Ok(publisher) => {
                    let own = Told { bridge, imports: BTreeMap::new() };
                    let mut routes = Routes { publisher, own, others: HashMap::new() };
                    routes.tell().map_err(BridgeError)?;
                    return Ok(routes);
                }
                Err(error) => problem = error.to_string(),
            }
        }
        Err(BridgeError(format!(
            "none of the {BRIDGES} channels {PREFIX}0 to {PREFIX}{} is free for this bridge: {problem}; stop other bridges \
             of this namespace, or remove these channels",
            BRIDGES - 1
        )))
    }

    /// Reads what the other bridges of this host tell.
    pub fn read(&mut self, locals: &[Local]) {
        let told = |local: &&Local| is_between_bridges(&local.channel) && local.has(Role::Publisher, true);
        let alive: BTreeSet<&str> =
            locals.iter().filter(told).map(|local| local.info.channel.as_str()).collect();
        self.others.retain(|name, _| alive.contains(name.as_str()));
        for name in alive {
            if !self.others.contains_key(name) {
                let Ok(subscriber) = DynSubscriber::open_timeout(name, Duration::ZERO, 1) else { continue };
                self.others.insert(name.to_owned(), Other { subscriber, told: Told::default() });
            }
        }
        self.others.values_mut().for_each(Other::read);
    }

    /// Tells the other bridges what this one imports from now on. An error is the reason why it cannot.
    pub fn set(&mut self, imports: BTreeMap<String, Route>) -> Result<(), String> {
        if imports == self.own.imports {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.own.imports, imports);
        self.tell().inspect_err(|_| self.own.imports = before)
    }

    fn tell(&mut self) -> Result<(), String> {
        let bytes = serde_json::to_vec(&self.own).unwrap_or_default();
        self.publisher.send_bytes(&bytes).map_err(|error| {
            format!("the other bridges of this host cannot be told its route: {error}; import fewer channels")
        })
    }

    /// Returns the bridges that a channel of this host has passed, as other bridges of the host tell it.
    pub fn of(&self, channel: &str) -> Route {
        self.others.values().filter_map(|other| other.told.imports.get(channel)).flatten().cloned().collect()
    }

    /// Returns the bridge of this host that a route has, if there is one.
    pub fn returns<'r>(&self, mut route: impl Iterator<Item = &'r String>) -> Option<&'r String> {
        route
            .find(|id| **id == self.own.bridge || self.others.values().any(|other| other.told.bridge == **id))
    }
}

impl Other {
    fn read(&mut self) {
        // At most what fits into the channel: a publisher without pauses does not keep the bridge here.
        for _ in 0..8 {
            let Ok(message) = self.subscriber.try_recv() else { return };
            if let Ok(told) = serde_json::from_slice::<Told>(message.bytes()) {
                self.told = told;
            }
        }
    }
}
