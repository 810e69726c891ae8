//! [`Served`]: a request/reply channel of this host that answers requests of other hosts.
//!
//! Owns requesters in threads of their own, and the queue of requests from the network. The bytes come from the network
//! and may be hostile: the library checks each request against its layout. Never opens a replier.

use crate::config::Rule;
use crate::context::Context;
use crate::counts::{Counts, Direction, add, note};
use crate::keys::{Kind, Offer};
use crate::local::Local;
use crate::offers::Announcement;
use crate::wire::{Facts, Head};
use shmcomm::{DynError, DynRequester, StopHandle, describe};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use zenoh::Wait;
use zenoh::query::{Query, Queryable};

/// Requests from the network that wait for a thread. More are refused.
const WAITING: usize = 256;
/// Longest time for which a request of another host waits for its reply.
const LONGEST: Duration = Duration::from_secs(600);

/// A running service.
pub struct Served {
    pub segment: u64,
    announcement: Announcement,
    requests: Queryable<()>,
    stops: Vec<StopHandle>,
    threads: Vec<JoinHandle<()>>,
}

impl Served {
    /// Opens the service. An error is the reason why it is refused.
    pub fn open(
        context: &Context<'_>,
        local: &Local,
        rule: &Rule,
        incarnation: u64,
    ) -> Result<Served, String> {
        let full = &local.info.channel;
        let what = describe(full).map_err(|error| error.to_string())?.ok_or("the channel has gone")?;
        let facts = Facts::of(&what, true, context.route(&local.channel))?;
        let offer =
            Offer { channel: local.channel.clone(), origin: context.session.zid().to_string(), incarnation };
        let counts = context.registry.counts(Direction::Export, &local.channel);
        let (queue, requests) = sync_channel::<Query>(WAITING);
        let requests = Arc::new(Mutex::new(requests));
        let key = context.keys.of(Kind::Requests, &offer);
        let (mut stops, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..rule.workers {
            let requester = DynRequester::open(full).map_err(|error| error.to_string())?;
            stops.push(requester.stop_handle());
            let (facts, counts, key) = (facts.clone(), counts.clone(), key.clone());
            let worker = Worker { requester, requests: requests.clone(), facts, counts, key, incarnation };
            let thread = std::thread::Builder::new().name(format!("ask {}", local.channel));
            threads.push(thread.spawn(move || worker.run()).map_err(|error| error.to_string())?);
        }
        let requests = context.session.declare_queryable(key).callback(enqueue(queue, counts)).wait();
        let requests = requests.map_err(|error| format!("zenoh refuses it: {error}"))?;
        let announcement = Announcement::make(context, &offer, &facts)?;
        note(&format!("exports the service `{}`", local.channel));
        Ok(Served { segment: facts.segment, announcement, requests, stops, threads })
    }

    /// Ends the service. Requests that wait get no reply.
    pub fn close(self) {
        self.announcement.end();
        // The queue of the callback ends with it, and the threads with the queue.
        let _ = self.requests.undeclare().wait();
        self.stops.iter().for_each(StopHandle::stop);
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn enqueue(queue: SyncSender<Query>, counts: Arc<Counts>) -> impl Fn(Query) + Send + Sync + 'static {
    move |query| {
        if let Err(error) = queue.try_send(query) {
            add(&counts.refused, 1);
            let (std::sync::mpsc::TrySendError::Full(query)
            | std::sync::mpsc::TrySendError::Disconnected(query)) = error;
            let _ = query.reply_err("too many requests wait").wait();
        }
    }
}

struct Worker {
    requester: DynRequester,
    requests: Arc<Mutex<Receiver<Query>>>,
    facts: Facts,
    counts: Arc<Counts>,
    key: String,
    incarnation: u64,
}

impl Worker {
    fn run(mut self) {
        loop {
            let query = self.requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(query) = query else { break };
            let sent = match self.answer(&query) {
                Ok(reply) => {
                    add(&self.counts.messages, 1);
                    add(&self.counts.bytes, reply.len() as u64);
                    query.reply(self.key.as_str(), reply).wait()
                }
                Err(why) => query.reply_err(why).wait(),
            };
            if sent.is_err() {
                add(&self.counts.lost, 1);
            }
        }
    }

    fn answer(&mut self, query: &Query) -> Result<Vec<u8>, String> {
        let head = query.attachment().and_then(|bytes| Head::parse(&bytes.to_bytes()));
        let head = head.filter(|head| head.is_of(&self.facts, self.incarnation));
        let (Some(head), Some(payload)) = (head, query.payload()) else {
            add(&self.counts.invalid, 1);
            return Err("the request has no head of this service".into());
        };
        // The number of a request is the time that its requester waits.
        let patience = Duration::from_millis(head.number).min(LONGEST);
        self.requester.request_bytes(&payload.to_bytes(), patience).map(|reply| reply.into_bytes()).map_err(
            |error| {
                let hostile = matches!(error, DynError::Value(_) | DynError::TooLong { .. });
                add(if hostile { &self.counts.invalid } else { &self.counts.refused }, 1);
                error.to_string()
            },
        )
    }
}
