//! [`Import`]: a publish/subscribe channel of another host on its way into this host.
//!
//! Owns a publisher, which is an ordinary one, and the count of lost messages. Calls the library, which checks every
//! message against its layout. The bytes come from the network and may be hostile: each that is no message of the
//! channel is counted and dropped.

use crate::context::{Context, OwnPublishers};
use crate::counts::{Counts, Direction, add, note};
use crate::keys::{Kind, Offer};
use crate::losses::{Losses, Track, Verdict};
use crate::wire::{Facts, Head};
use shmcomm::{DynError, DynPublisher, PublisherId, StopHandle};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zenoh::Wait;
use zenoh::pubsub::Subscriber;
use zenoh::sample::Sample;

/// A running import.
pub struct Import {
    facts: Facts,
    state: Arc<Mutex<State>>,
    subscriber: Subscriber<()>,
    stop: StopHandle,
}

impl Import {
    /// Starts the import of an offer with its publisher. An error is the reason why it is refused.
    pub fn open(
        context: &Context<'_>,
        offer: &Offer,
        facts: &Facts,
        publisher: DynPublisher,
        track: Track,
    ) -> Result<Import, String> {
        let Context { session, keys, registry, own, .. } = context;
        let id = publisher.id();
        if let Some(id) = id {
            own.insert(id);
        }
        let stop = publisher.stop_handle();
        let state = Arc::new(Mutex::new(State {
            publisher: Some(publisher),
            id,
            track,
            incarnation: offer.incarnation,
            facts: facts.clone(),
            counts: registry.counts(Direction::Import, &offer.channel),
            failed: false,
        }));
        let shared = state.clone();
        let subscriber = session
            .declare_subscriber(keys.of(Kind::Messages, offer))
            .callback(move |sample| shared.lock().unwrap_or_else(PoisonError::into_inner).receive(&sample))
            .wait()
            .map_err(|error| format!("zenoh refuses it: {error}"))?;
        note(&format!("imports {offer}"));
        Ok(Import { facts: facts.clone(), state, subscriber, stop })
    }

    /// Returns `true` if the channel has one publisher, which is this import.
    pub fn is_alone(&self) -> bool {
        self.facts.publishers <= 1
    }

    /// Ends the import: local subscribers see that their publisher leaves.
    pub fn close(self, channel: &str, losses: &mut Losses, own: &OwnPublishers) {
        self.stop.stop();
        let _ = self.subscriber.undeclare().wait();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.publisher = None;
        if let Some(id) = state.id {
            own.remove(id);
        }
        losses.leave(channel, self.facts.segment, &state.track);
    }
}

/// Publisher of an import, for the threads of zenoh.
struct State {
    publisher: Option<DynPublisher>,
    id: Option<PublisherId>,
    track: Track,
    incarnation: u64,
    facts: Facts,
    counts: Arc<Counts>,
    failed: bool,
}

impl State {
    fn receive(&mut self, sample: &Sample) {
        let Some(publisher) = &mut self.publisher else { return };
        let head = sample.attachment().and_then(|bytes| Head::parse(&bytes.to_bytes()));
        let Some(head) = head.filter(|head| head.is_of(&self.facts, self.incarnation)) else {
            add(&self.counts.invalid, 1);
            return;
        };
        let Verdict::New { lost } = self.track.compare(&head) else {
            add(&self.counts.repeated, 1);
            return;
        };
        let bytes = sample.payload().to_bytes();
        let sent = match self.facts.waits && !self.facts.reliable {
            true => publisher.send_bytes_timeout(&bytes, Duration::ZERO),
            false => publisher.send_bytes(&bytes),
        };
        match sent {
            Ok(()) => {
                add(&self.counts.messages, 1);
                add(&self.counts.bytes, bytes.len() as u64);
            }
            Err(DynError::Value(_) | DynError::TooLong { .. }) => {
                add(&self.counts.invalid, 1);
                return;
            }
            Err(error) => {
                add(&self.counts.refused, 1);
                if !std::mem::replace(&mut self.failed, true) {
                    note(&format!(
                        "a message from the network does not enter `{}`: {error}",
                        publisher.name()
                    ));
                }
            }
        }
        add(&self.counts.lost, lost);
        self.track.note(&head);
        if let Err(error) = self.track.store()
            && !std::mem::replace(&mut self.failed, true)
        {
            note(&format!("the state of `{}` cannot be written: {error}", publisher.name()));
        }
    }
}
