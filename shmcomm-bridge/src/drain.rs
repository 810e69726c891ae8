//! [`Drained`]: a push/pull channel of this host whose jobs go to other hosts.
//!
//! Owns a puller and its thread. A job is claimed, sent to one importing bridge, and acknowledged when that bridge has
//! pushed it. A job without an answer is sent to the same bridge again with the same number, which it pushes once. Never
//! claims a job while no bridge imports the channel.

use crate::context::Context;
use crate::counts::{Counts, Direction, add, note};
use crate::keys::{Keys, Offer, Taker};
use crate::local::Local;
use crate::offers::Announcement;
use crate::wire::{Facts, Head};
use shmcomm::{DynError, DynPuller, StopHandle, describe};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use zenoh::pubsub::Subscriber;
use zenoh::qos::CongestionControl;
use zenoh::query::ConsolidationMode;
use zenoh::sample::SampleKind;
use zenoh::{Session, Wait};

/// Longest sleep of the thread, and the time after a refusal.
const PERIOD: Duration = Duration::from_millis(50);
/// Time after which a job without an answer is sent again.
const ANSWER: Duration = Duration::from_secs(1);
/// Largest number of importing bridges that are known at a time.
const MOST: usize = 1024;

/// Bridges that import the channel.
type Takers = Arc<Mutex<BTreeSet<String>>>;

/// A running export of jobs.
pub struct Drained {
    pub segment: u64,
    stop: Arc<AtomicBool>,
    handle: StopHandle,
    thread: JoinHandle<()>,
    announcement: Announcement,
    takers: Subscriber<()>,
}

impl Drained {
    /// Opens the puller. An error is the reason why the channel is refused.
    pub fn open(context: &Context<'_>, local: &Local, incarnation: u64) -> Result<Drained, String> {
        let full = &local.info.channel;
        let what = describe(full).map_err(|error| error.to_string())?.ok_or("the channel has gone")?;
        let facts = Facts::of(&what, true, context.route(&local.channel))?;
        let puller = DynPuller::open(full).map_err(|error| error.to_string())?;
        let offer =
            Offer { channel: local.channel.clone(), origin: context.session.zid().to_string(), incarnation };
        let takers = Takers::default();
        let (set, keys) = (takers.clone(), context.keys.clone());
        let subscriber = context
            .session
            .liveliness()
            .declare_subscriber(context.keys.all_takers(&offer))
            .history(true)
            .callback(move |sample| {
                let Some(taker) = keys.taker(sample.key_expr().as_str()) else { return };
                let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
                match sample.kind() {
                    SampleKind::Put if set.len() < MOST => drop(set.insert(taker)),
                    SampleKind::Put => {}
                    SampleKind::Delete => drop(set.remove(&taker)),
                }
            })
            .wait()
            .map_err(|error| format!("zenoh refuses it: {error}"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let handle = puller.stop_handle();
        let sender = Sender {
            session: context.session.clone(),
            keys: context.keys.clone(),
            offer: offer.clone(),
            takers,
            head: Head::of(&facts, incarnation),
            counts: context.registry.counts(Direction::Export, &local.channel),
            stop: stop.clone(),
            turn: 0,
        };
        let thread = std::thread::Builder::new().name(format!("out {}", local.channel));
        let thread = thread.spawn(move || sender.run(puller)).map_err(|error| error.to_string())?;
        let announcement = Announcement::make(context, &offer, &facts)?;
        note(&format!("exports the jobs of `{}`", local.channel));
        Ok(Drained { segment: facts.segment, stop, handle, thread, announcement, takers: subscriber })
    }

    /// Returns `true` if the puller has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the export. A job without an answer returns to its queue.
    pub fn close(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.handle.stop();
        let _ = self.thread.join();
        let _ = self.takers.undeclare().wait();
        self.announcement.end();
    }
}

struct Sender {
    session: Session,
    keys: Keys,
    offer: Offer,
    takers: Takers,
    head: Head,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    turn: usize,
}

/// Fate of a job.
enum Fate {
    Done,
    /// The other bridge has not pushed it, and says why.
    Refused,
    /// The other bridge has died, and may have pushed it.
    Unknown,
}

impl Sender {
    fn run(mut self, mut puller: DynPuller) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(taker) = self.next_taker() else {
                std::thread::sleep(PERIOD);
                continue;
            };
            let job = match puller.claim_timeout(PERIOD) {
                Ok(job) => job,
                Err(DynError::Timeout | DynError::Empty) => continue,
                Err(_) => break,
            };
            self.head.number += 1;
            let bytes = job.message().bytes();
            match self.send(&taker, bytes) {
                Fate::Done => {
                    add(&self.counts.messages, 1);
                    add(&self.counts.bytes, bytes.len() as u64);
                    job.done();
                }
                Fate::Refused => {
                    add(&self.counts.refused, 1);
                    job.put_back();
                    std::thread::sleep(PERIOD);
                }
                Fate::Unknown => {
                    add(&self.counts.uncertain, 1);
                    job.put_back();
                }
            }
        }
    }

    /// Returns the importing bridges in turn.
    fn next_taker(&mut self) -> Option<Taker> {
        let takers = self.takers.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn = self.turn.wrapping_add(1);
        let taker = takers.iter().nth(self.turn.checked_rem(takers.len())?)?.clone();
        Some(Taker { offer: self.offer.clone(), taker })
    }

    fn is_alive(&self, taker: &Taker) -> bool {
        self.takers.lock().unwrap_or_else(PoisonError::into_inner).contains(&taker.taker)
    }

    fn send(&self, taker: &Taker, bytes: &[u8]) -> Fate {
        let key = self.keys.jobs(taker);
        loop {
            let asked = self
                .session
                .get(key.as_str())
                .payload(bytes)
                .attachment(self.head.to_bytes())
                .congestion_control(CongestionControl::Block)
                .consolidation(ConsolidationMode::None)
                .timeout(ANSWER)
                .wait();
            let reply = asked.ok().and_then(|replies| replies.recv().ok());
            match reply.as_ref().map(|reply| reply.result()) {
                Some(Ok(_)) => return Fate::Done,
                // Zenoh reports a timeout as an error without the mark of a bridge.
                Some(Err(error)) if error.payload().to_bytes().starts_with(crate::feed::REFUSED) => {
                    return Fate::Refused;
                }
                _ => {}
            }
            if !self.is_alive(taker) || self.stop.load(Ordering::Relaxed) {
                return Fate::Unknown;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
