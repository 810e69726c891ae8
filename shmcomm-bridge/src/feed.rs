//! [`Fed`]: a push/pull channel of another host whose jobs this host's pullers do.
//!
//! Owns a pusher, which is an ordinary one. Answers a job when it is in the queue of this host, and pushes a job that
//! comes again with the same number once. The bytes may be hostile: the library checks each job against the layout.

use crate::context::Context;
use crate::counts::{Counts, Direction, add, note};
use crate::keys::{Offer, Taker};
use crate::offers::announce;
use crate::resolve::Ways;
use crate::wire::{Facts, Head};
use shmcomm::{DynError, DynPusher};
use std::sync::{Arc, Mutex, PoisonError};
use zenoh::Wait;
use zenoh::liveliness::LivelinessToken;
use zenoh::query::{Query, Queryable};

/// Start of the answer for a job that was not pushed.
pub const REFUSED: &[u8] = b"refused: ";

/// A running import of jobs.
pub struct Fed {
    state: Arc<Mutex<Option<State>>>,
    jobs: Queryable<()>,
    token: LivelinessToken,
}

struct State {
    pusher: DynPusher,
    ways: Ways,
    facts: Facts,
    incarnation: u64,
    /// Number of the last job that was pushed.
    last: u64,
    counts: Arc<Counts>,
}

impl Fed {
    /// Opens the pusher. An error is the reason why the channel is refused.
    pub fn open(
        context: &Context<'_>,
        offer: &Offer,
        facts: &Facts,
        full: &str,
        ways: Ways,
    ) -> Result<Fed, String> {
        let pusher = DynPusher::create(full, &ways.declaration).map_err(|error| error.to_string())?;
        let taker = Taker { offer: offer.clone(), taker: context.session.zid().to_string() };
        let state = Arc::new(Mutex::new(Some(State {
            pusher,
            ways,
            facts: facts.clone(),
            incarnation: offer.incarnation,
            last: 0,
            counts: context.registry.counts(Direction::Import, &offer.channel),
        })));
        let (shared, key) = (state.clone(), context.keys.jobs(&taker));
        let answer_key = key.clone();
        let jobs = context
            .session
            .declare_queryable(key)
            .callback(move |query| {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let pushed = match state.as_mut() {
                    Some(state) => state.push(&query),
                    None => Err("the import has ended".into()),
                };
                let _ = match pushed {
                    Ok(()) => query.reply(answer_key.as_str(), "pushed").wait(),
                    Err(why) => query.reply_err([REFUSED, why.as_bytes()].concat()).wait(),
                };
            })
            .wait()
            .map_err(|error| format!("zenoh refuses it: {error}"))?;
        let token = announce(context.session, context.keys.takes(&taker))?;
        note(&format!("imports the jobs of {offer}"));
        Ok(Fed { state, jobs, token })
    }

    /// Ends the import. Jobs that were pushed stay in the queue of this host.
    pub fn close(self) {
        let _ = self.token.undeclare().wait();
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = self.jobs.undeclare().wait();
    }
}

impl State {
    fn push(&mut self, query: &Query) -> Result<(), String> {
        let head = query.attachment().and_then(|bytes| Head::parse(&bytes.to_bytes()));
        let head = head.filter(|head| head.is_of(&self.facts, self.incarnation));
        let (Some(head), Some(payload)) = (head, query.payload()) else {
            add(&self.counts.invalid, 1);
            return Err("the job has no head of this channel".into());
        };
        if head.number <= self.last {
            add(&self.counts.repeated, 1);
            return Ok(());
        }
        let bytes = self.ways.incoming(payload.to_bytes()).inspect_err(|_| add(&self.counts.invalid, 1))?;
        match self.pusher.try_send_bytes(&bytes) {
            Ok(()) => {
                self.last = head.number;
                add(&self.counts.messages, 1);
                add(&self.counts.bytes, bytes.len() as u64);
                Ok(())
            }
            Err(error) => {
                let hostile = matches!(error, DynError::Value(_) | DynError::TooLong { .. });
                add(if hostile { &self.counts.invalid } else { &self.counts.refused }, 1);
                Err(error.to_string())
            }
        }
    }
}
