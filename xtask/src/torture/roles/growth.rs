//! Publish/subscribe with slots that grow: messages of all lengths, one publisher, any number of subscribers.
//!
//! Messages are numbered over all publishers of the round, as in `pubsub`. The length of a message follows from its stamp.

use super::pubsub::{Losses, SENDER, Seen, as_timeout};
use super::sets::Set;
use super::tasks::within;
use super::threads::Threads;
use super::{Pace, TURN, leaves_nothing, open};
use crate::life::{Life, Wrong, wrong};
use shmcomm::codec::Bytes;
use shmcomm::{
    Channel, Observed, Observer, Opener, Overflow, PubSub, RecvTimeoutError, SendError, SendTimeoutError,
    Subscriber,
};
use shmcomm_tests::word;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

type Blobs = PubSub<[u8], Bytes>;

/// Largest slot size: eight steps from the first one.
pub(super) const LIMIT: usize = 16 << 10;

fn channel(life: &Life) -> Result<Opener<Blobs>, Wrong> {
    let channel = Channel::<Blobs>::try_new(life.channel.clone())?;
    Ok(channel.namespace("").slots(16).slot_size(64).grow(LIMIT).connect_timeout(TURN))
}

/// Returns the number of words of a message: the later in the life of its sender, the longer the longest are.
fn words(stamp: u64) -> usize {
    let most = 8 << ((stamp & ((1 << SENDER) - 1)) / 32).min(8);
    word(stamp, 0) as usize % most.min(LIMIT / 8) + 1
}

pub(super) fn message(stamp: u64) -> Vec<u8> {
    let words = (1..words(stamp)).map(|place| word(stamp, place));
    std::iter::once(stamp).chain(words).flat_map(u64::to_ne_bytes).collect()
}

/// Returns the stamp of a message, if it is whole.
pub(super) fn stamp(bytes: &[u8]) -> Result<u64, Wrong> {
    let stamp = bytes.first_chunk().map(|word| u64::from_ne_bytes(*word)).ok_or("an empty message")?;
    if bytes != message(stamp) { Err(format!("torn: message {stamp:#x}").into()) } else { Ok(stamp) }
}

/// Publishes messages of rising lengths.
pub fn publish(life: &mut Life) -> Result<(), Wrong> {
    publish_to(life, |channel| channel)
}

/// Publishes like [`publish`], with `overflow: Wait`, so that none is lost.
pub fn publish_waiting(life: &mut Life) -> Result<(), Wrong> {
    publish_to(life, |channel| channel.overflow(Overflow::Wait))
}

fn publish_to(life: &mut Life, shape: fn(Opener<Blobs>) -> Opener<Blobs>) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = shape(channel(life)?);
        let Some(mut publisher) = open(life, || channel.clone().publisher())? else { return Ok(()) };
        let mut pace = Pace::new(life);
        let sender = life.sender() << SENDER;
        let mut number = life.round().next.fetch_add(1, Relaxed);
        while !life.is_over() {
            pace.next(life);
            match publisher.send_timeout(&message(sender | number), TURN) {
                // The caller tries again.
                Err(SendTimeoutError::Timeout) => {}
                Ok(()) => {
                    life.message_sent(number);
                    number = life.round().next.fetch_add(1, Relaxed);
                }
                // Another process keeps the registration lock: dead participants are not recovered yet, or the slots
                // have not grown.
                Err(SendTimeoutError::Refused(SendError::AllSlotsHeld | SendError::NotGrown(_))) => {
                    life.rest(100)
                }
                Err(error) => return Err(wrong("send", error)),
            }
            life.fork(|_| match publisher.send(&message(0)) {
                Err(SendError::Forked) => Ok(()),
                other => Err(format!("a send in the child of a fork gave {other:?}").into()),
            })?;
        }
        Ok(())
    })
}

/// Receives messages, also the newest, and observes.
pub fn subscribe(life: &mut Life) -> Result<(), Wrong> {
    subscribe_to(life, Losses::Counted)
}

/// Receives from a publisher with `overflow: Wait`.
pub fn subscribe_gapless(life: &mut Life) -> Result<(), Wrong> {
    subscribe_to(life, Losses::None)
}

fn subscribe_to(life: &mut Life, losses: Losses) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = channel(life)?.patience(Duration::from_secs(60));
        let Some(mut subscriber) = open(life, || channel.clone().subscriber())? else { return Ok(()) };
        let mut seen = Seen::new(losses);
        let mut set = Set::of(life, &subscriber)?;
        let mut threads = Threads::of(life)?;
        let mut observer = if life.random.percent(30) { Observer::open(&life.channel).ok() } else { None };
        // The publisher does not wait for an end that receives no messages.
        let visitor = channel.clone().patience(Duration::ZERO).connect_timeout(Duration::ZERO);
        while !life.is_over() {
            threads.visit(life, || visitor.clone().subscriber(), |_| Ok(()))?;
            if let Some(Observed::Message(message)) = observer.as_mut().map(Observer::next) {
                stamp(message.bytes())?;
            }
            set.wait()?;
            let outcome = receive(life, &mut subscriber, losses == Losses::None)?;
            if seen.outcome(life, outcome, subscriber.lost() + subscriber.skipped())? {
                subscriber.wait_for_publisher(TURN / 10);
            }
            // Some subscribers are segments behind.
            if life.random.percent(1) {
                life.rest(10_000);
            }
            life.fork(|_| match subscriber.recv_timeout(Duration::ZERO) {
                Err(RecvTimeoutError::Forked) => Ok(()),
                other => Err(format!("a receive in the child of a fork gave {other:?}").into()),
            })?;
        }
        Ok(())
    })
}

/// Returns the stamp of the next message, received in one of all ways, if that message is new.
#[allow(clippy::type_complexity)]
fn receive(
    life: &mut Life,
    subscriber: &mut Subscriber<[u8], Bytes>,
    gapless: bool,
) -> Result<Result<Option<u64>, RecvTimeoutError>, Wrong> {
    let received = match life.random.below(4) {
        _ if life.tasks => match within(subscriber.recv_async(), TURN) {
            Some(result) => result.map_err(RecvTimeoutError::from),
            None => Err(RecvTimeoutError::Timeout),
        },
        0 => match subscriber.try_recv() {
            Ok(message) => Ok(message),
            Err(error) => Err(as_timeout(error)?),
        },
        1 if !gapless => {
            let before = subscriber.received();
            let latest = subscriber.latest().map_err(|error| wrong("latest", error))?;
            let stamp = latest.map(|message| stamp(&message)).transpose()?;
            return Ok(Ok(stamp.filter(|_| subscriber.received() > before)));
        }
        _ => subscriber.recv_timeout(TURN),
    };
    match received {
        Ok(message) => Ok(Ok(Some(stamp(&message)?))),
        Err(error) => Ok(Err(error)),
    }
}

/// Checks a channel without other processes: every slot can be used, and no seat is taken.
pub fn audit(life: &mut Life) -> Result<(), Wrong> {
    audit_of(channel(life)?, life)
}

/// Makes the same check on a channel with `overflow: Wait`.
pub fn audit_waiting(life: &mut Life) -> Result<(), Wrong> {
    audit_of(channel(life)?.overflow(Overflow::Wait), life)
}

fn audit_of(channel: Opener<Blobs>, life: &mut Life) -> Result<(), Wrong> {
    let mut publisher = channel.clone().publisher()?;
    let mut subscriber = channel.subscriber()?;
    let number = life.round().next.load(Relaxed);
    for number in number..number + 64 {
        publisher.send(&message(number))?;
        let received = stamp(&subscriber.recv_timeout(TURN)?)?;
        if received != number {
            return Err(format!("the auditor sent {number} and received {received}").into());
        }
    }
    let after = publisher.stats();
    if after.participants.iter().filter(|participant| participant.alive).count() != 2 {
        return Err(format!("leaked: seats of {:?}", after.participants).into());
    }
    Ok(())
}
