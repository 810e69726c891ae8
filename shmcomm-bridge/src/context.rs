//! [`Context`]: the parts of the bridge that its exports and imports share.
//!
//! Owns the set of the publishers of this process. Calls nothing.

use crate::counts::Registry;
use crate::keys::Keys;
use crate::routes::{Route, Routes};
use shmcomm::PublisherId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zenoh::Session;

/// Parts of the bridge that exports and imports use.
pub struct Context<'a> {
    pub session: &'a Session,
    pub keys: &'a Keys,
    pub registry: &'a Arc<Registry>,
    pub own: &'a OwnPublishers,
    pub routes: &'a Routes,
    pub relay: bool,
}

impl Context<'_> {
    /// Returns the bridges that a channel of this host has passed, if this bridge exports what others import.
    pub fn route(&self, channel: &str) -> Route {
        if self.relay { self.routes.of(channel) } else { Route::new() }
    }
}

/// The publishers of this process, whose messages it does not export.
#[derive(Clone, Debug, Default)]
pub struct OwnPublishers(Arc<Mutex<HashSet<PublisherId>>>);

impl OwnPublishers {
    pub fn insert(&self, publisher: PublisherId) {
        self.set().insert(publisher);
    }

    pub fn remove(&self, publisher: PublisherId) {
        self.set().remove(&publisher);
    }

    fn set(&self) -> MutexGuard<'_, HashSet<PublisherId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn contains(&self, publisher: PublisherId) -> bool {
        self.set().contains(&publisher)
    }
}
