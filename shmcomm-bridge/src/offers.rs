//! [`Offers`]: the exports of all bridges of the realm that are alive.
//!
//! Owns the set, which zenoh's threads change and the bridge reads. Refuses hostile keys and bounds the set. Never
//! blocks a thread of zenoh.

use crate::BridgeError;
use crate::context::Context;
use crate::counts::{Registry, add};
use crate::keys::{Keys, Kind, Offer};
use crate::wire::Facts;
use std::collections::BTreeSet;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Subscriber;
use zenoh::query::Queryable;
use zenoh::sample::SampleKind;
use zenoh::{Session, Wait};

/// Largest number of offers that are known at a time.
const MOST: usize = 16 << 10;

/// The offers of other bridges.
pub struct Offers {
    known: Arc<Mutex<BTreeSet<Offer>>>,
    _subscriber: Subscriber<()>,
}

impl Offers {
    /// Watches the offers of a realm. `wake` gets a word after each change.
    pub fn watch(
        session: &Session,
        keys: &Keys,
        registry: &Arc<Registry>,
        wake: SyncSender<()>,
    ) -> Result<Offers, BridgeError> {
        let known = Arc::new(Mutex::new(BTreeSet::new()));
        let (set, all, own) = (known.clone(), keys.clone(), session.zid().to_string());
        let registry = registry.clone();
        let subscriber = session
            .liveliness()
            .declare_subscriber(keys.all_alive())
            .history(true)
            .callback(move |sample| {
                let Some(offer) = all.offer(sample.key_expr().as_str()) else {
                    add(&registry.hostile, 1);
                    return;
                };
                // A bridge does not import what it exports.
                if offer.origin == own {
                    return;
                }
                let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
                match sample.kind() {
                    SampleKind::Put if set.len() < MOST => drop(set.insert(offer)),
                    SampleKind::Put => add(&registry.hostile, 1),
                    SampleKind::Delete => drop(set.remove(&offer)),
                }
                let _ = wake.try_send(());
            })
            .wait()
            .map_err(|error| {
                BridgeError(format!("zenoh does not watch the exports of other bridges: {error}"))
            })?;
        Ok(Offers { known, _subscriber: subscriber })
    }

    /// Returns the offers in the order of their channels.
    pub fn all(&self) -> BTreeSet<Offer> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The description and the token of an export, which other bridges see.
pub struct Announcement {
    token: LivelinessToken,
    description: Queryable<()>,
}

impl Announcement {
    /// Announces an offer. An error is the reason why zenoh refuses it.
    pub fn make(context: &Context<'_>, offer: &Offer, facts: &Facts) -> Result<Announcement, String> {
        let key = context.keys.of(Kind::Description, offer);
        let (answer, answer_key) = (facts.to_bytes(), key.clone());
        let description = context
            .session
            .declare_queryable(key)
            .callback(move |query| {
                let _ = query.reply(answer_key.as_str(), answer.clone()).wait();
            })
            .wait()
            .map_err(|error| format!("zenoh refuses it: {error}"))?;
        let token = announce(context.session, context.keys.of(Kind::Alive, offer))?;
        Ok(Announcement { token, description })
    }

    /// Ends the offer.
    pub fn end(self) {
        let _ = self.token.undeclare().wait();
        let _ = self.description.undeclare().wait();
    }
}

/// Declares the token of an offer, which ends with it.
pub fn announce(session: &Session, key: String) -> Result<LivelinessToken, String> {
    session
        .liveliness()
        .declare_token(key)
        .wait()
        .map_err(|error| format!("zenoh does not announce it: {error}"))
}
