//! Publish/subscribe: one publisher, any number of subscribers, copied and in place.
//!
//! Messages are numbered over all publishers of the round. Each subscriber therefore receives rising numbers,
//! never an unsent one, and the library reports how many it missed.

use super::observers::Sight;
use super::sets::Set;
use super::tasks::within;
use super::threads::Threads;
use super::{Pace, TURN, leaves_nothing, open};
use crate::life::{Life, Wrong, wrong};
use shmcomm::{
    Channel, Opener, Overflow, PubSub, Publisher, RecvTimeoutError, SendError, SendTimeoutError, Subscriber,
    TryRecvError,
};
use shmcomm_tests::{Proof, Small};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Number of bits of a message's number in a stamp; the bits above hold the number of its sender.
pub(super) const SENDER: u32 = 40;

/// Words of a message of 256 KiB: the writer of such messages makes short laps.
const FRAME: usize = (256 << 10) / 8 - 1;

fn channel<const W: usize>(life: &Life) -> Result<Opener<PubSub<Proof<W>>>, Wrong> {
    let channel = Channel::<PubSub<Proof<W>>>::try_new(life.channel.clone())?;
    // Pinned slots seat two subscribers fewer than there are slots. Up to four processes have two ends each.
    let slots = if W > 512 { 16 } else { 64 };
    Ok(channel.namespace("").slots(slots).connect_timeout(TURN))
}

/// Publishes small messages.
pub fn publish_copied(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| publish(life, |channel| channel, send))
}

/// Publishes large messages, built in their slots.
pub fn publish_pinned(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| publish::<2047>(life, |channel| channel, send_loan))
}

/// Publishes messages so large that laps may be short, built in their slots.
pub fn publish_frames(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| publish::<FRAME>(life, |channel| channel, send_loan))
}

/// Publishes small messages with `overflow: Wait`, so that none is lost.
pub fn publish_waiting(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        publish(life, |channel| channel.slots(16).overflow(Overflow::Wait), send_waiting)
    })
}

fn send_waiting(publisher: &mut Publisher<Small>, number: u64, life: &mut Life) -> Result<(), SendError> {
    let message = Small::new(number);
    if life.tasks {
        return within(publisher.send_async(&message), TURN).unwrap_or(Err(SendError::AllSlotsHeld));
    }
    match publisher.send_timeout(&message, TURN) {
        Ok(()) => Ok(()),
        // The caller tries again, as for `AllSlotsHeld`.
        Err(SendTimeoutError::Timeout) => Err(SendError::AllSlotsHeld),
        Err(SendTimeoutError::Refused(error)) => Err(error),
    }
}

/// Publishes small messages, with several publishers at a time.
pub fn publish_shared(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| publish(life, |channel| channel.publishers(4), send))
}

/// Publishes small messages, each life with another number of slots, so that the segment is replaced.
pub fn publish_replacing(life: &mut Life) -> Result<(), Wrong> {
    let slots = *life.random.pick(&[8, 32, 64]);
    publish(life, |channel| channel.slots(slots), send)?;
    // As in a clean-up by hand.
    if life.random.percent(60) {
        shmcomm::force_unlink(&life.channel)?;
    }
    Ok(())
}

fn send(publisher: &mut Publisher<Small>, number: u64, _: &mut Life) -> Result<(), SendError> {
    publisher.send(&Small::new(number))
}

fn send_loan<const W: usize>(
    publisher: &mut Publisher<Proof<W>>,
    number: u64,
    life: &mut Life,
) -> Result<(), SendError> {
    if life.random.percent(3) {
        // The loan is dropped, and no message is sent.
        publisher.loan()?.number = u64::MAX;
    }
    let mut loan = publisher.loan()?;
    *loan = Proof::new(number);
    loan.send()
}

fn publish<const W: usize>(
    life: &mut Life,
    shape: impl FnOnce(Opener<PubSub<Proof<W>>>) -> Opener<PubSub<Proof<W>>>,
    send: fn(&mut Publisher<Proof<W>>, u64, &mut Life) -> Result<(), SendError>,
) -> Result<(), Wrong> {
    let channel = shape(channel::<W>(life)?);
    let Some(mut publisher) = open(life, || channel.clone().publisher())? else { return Ok(()) };
    let mut pace = Pace::new(life);
    let sender = life.sender() << SENDER;
    let mut number = life.round().next.fetch_add(1, Relaxed);
    while !life.is_over() {
        pace.next(life);
        match send(&mut publisher, sender | number, life) {
            Ok(()) => {
                life.message_sent(number);
                number = life.round().next.fetch_add(1, Relaxed);
            }
            // Another process keeps the registration lock, so dead participants are not recovered yet.
            Err(SendError::AllSlotsHeld) => life.rest(100),
            Err(error) => return Err(wrong("send", error)),
        }
        life.fork(|life| match send(&mut publisher, 0, life) {
            Err(SendError::Forked) => Ok(()),
            other => Err(format!("a send in the child of a fork gave {other:?}").into()),
        })?;
    }
    Ok(())
}

/// State of a subscriber's checks.
pub(super) struct Seen {
    /// Number of the last message, and the count of missed messages until then.
    last: Option<(u64, u64)>,
    losses: Losses,
    /// Last number of each sender, if there are several at a time.
    senders: HashMap<u64, u64>,
}

/// Messages that may be missing between two received ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Losses {
    /// None, with `overflow: Wait`.
    None,
    /// The number that the library reports, and numbers that were never sent.
    Counted,
    /// Several publishers at a time, each with its own order.
    Shared,
    /// Whole segments too, which were replaced before the subscriber reached them.
    Segments,
}

impl Seen {
    pub(super) fn new(losses: Losses) -> Self {
        Seen { last: None, losses, senders: HashMap::new() }
    }

    /// Checks the outcome of a receive; `missed` messages were missed since the subscriber began. Returns `true` if no
    /// publisher is alive.
    pub(super) fn outcome(
        &mut self,
        life: &Life,
        outcome: Result<Option<u64>, RecvTimeoutError>,
        missed: u64,
    ) -> Result<bool, Wrong> {
        match outcome {
            Ok(Some(stamp)) => self.message(life, stamp, missed)?,
            Ok(None) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Lagged(_)) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(true),
            Err(error) => return Err(wrong("receive", error)),
        }
        Ok(false)
    }

    /// Checks a received message; `missed` messages were missed since the subscriber began.
    fn message(&mut self, life: &Life, stamp: u64, missed: u64) -> Result<(), Wrong> {
        let (sender, number) = (stamp >> SENDER, stamp & ((1 << SENDER) - 1));
        let end = life.round().next.load(Relaxed);
        if number >= end || sender > life.round().senders.load(Relaxed) {
            return Err(format!("invented: message {number} of {end} from sender {sender}").into());
        }
        if self.losses == Losses::Shared {
            return match self.senders.insert(sender, number) {
                Some(last) if number <= last => {
                    Err(format!("reordered or repeated: message {number} after {last} of sender {sender}")
                        .into())
                }
                _ => {
                    life.received();
                    Ok(())
                }
            };
        }
        if let Some((last, missed_before)) = self.last.replace((stamp, missed)) {
            if stamp <= last {
                return Err(format!("reordered or repeated: message {stamp:#x} after {last:#x}").into());
            }
            let (before, missed) = (last & ((1 << SENDER) - 1), missed - missed_before);
            let gap = number - before - 1;
            // Messages that a dead sender had not sent, or had not recorded as sent, need not be missed.
            let certain = match self.losses {
                _ if stamp >> SENDER == last >> SENDER => gap,
                Losses::Segments => 0,
                _ => life.count_sent(before + 1..number),
            };
            if self.losses == Losses::None && missed > 0 {
                return Err(
                    format!("lost: {missed} messages of a publisher that waits, before {stamp:#x}").into()
                );
            }
            if missed > gap || missed < certain {
                return Err(format!(
                    "miscounted: {gap} messages between {last:#x} and {stamp:#x}, {certain} of them certainly sent, \
                     of which {missed} were said to be missed"
                )
                .into());
            }
        }
        life.received();
        Ok(())
    }
}

/// Receives small messages by value, in all ways.
pub fn subscribe_copied(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| subscribe::<7>(life, Losses::Counted))
}

/// Receives large messages in place.
pub fn subscribe_pinned(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| subscribe::<2047>(life, Losses::Counted))
}

/// Receives messages that are so large that laps may be short.
pub fn subscribe_frames(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| subscribe::<FRAME>(life, Losses::Counted))
}

/// Receives from several publishers.
pub fn subscribe_shared(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| subscribe::<7>(life, Losses::Shared))
}

/// Receives from segments that are replaced, of which it may reach none or several.
pub fn subscribe_following(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| subscribe::<7>(life, Losses::Segments))
}

/// Stall timeout of a subscriber that may be evicted.
const PATIENCE: Duration = Duration::from_millis(5);

/// Receives from a publisher with `overflow: Wait`; with a short stall timeout, the subscriber may be
/// evicted.
pub fn subscribe_gapless(life: &mut Life) -> Result<(), Wrong> {
    let losses = if life.random.percent(70) { Losses::None } else { Losses::Counted };
    leaves_nothing(life, |life| subscribe::<7>(life, losses))
}

fn subscribe<const W: usize>(life: &mut Life, losses: Losses) -> Result<(), Wrong> {
    let patience = if losses == Losses::None { Duration::from_secs(60) } else { PATIENCE };
    let channel = channel::<W>(life)?.patience(patience);
    let Some(mut subscriber) = open(life, || channel.clone().subscriber())? else { return Ok(()) };
    let mut seen = Seen::new(losses);
    let mut set = Set::of(life, &subscriber)?;
    let mut threads = Threads::of(life)?;
    let mut sight = Sight::of(life);
    // The publisher does not wait for an end that receives no messages.
    let visitor = channel.clone().patience(Duration::ZERO).connect_timeout(Duration::ZERO);
    let slow = life.random.percent(if patience == PATIENCE { 60 } else { 30 });
    while !life.is_over() {
        threads.visit(life, || visitor.clone().subscriber(), |_| Ok(()))?;
        sight.check::<W>()?;
        set.wait()?;
        let outcome = receive(life, &mut subscriber, losses == Losses::None)?;
        if seen.outcome(life, outcome, subscriber.lost() + subscriber.skipped())? {
            subscriber.wait_for_publisher(TURN / 10);
        }
        if slow && life.random.percent(1) {
            // Sometimes twice as long as the stall timeout.
            let micros = if life.random.percent(70) { 10_000 } else { 3000 };
            life.rest(micros);
        }
        life.fork(|_| match subscriber.recv_timeout(Duration::ZERO) {
            Err(RecvTimeoutError::Forked) => Ok(()),
            other => {
                Err(format!("a receive in the child of a fork gave {:?}", other.map(|m| m.number)).into())
            }
        })?;
    }
    Ok(())
}

/// Returns the stamp of the next message, received in one of all ways, if that message is new.
#[allow(clippy::type_complexity)]
fn receive<const W: usize>(
    life: &mut Life,
    subscriber: &mut Subscriber<Proof<W>>,
    gapless: bool,
) -> Result<Result<Option<u64>, RecvTimeoutError>, Wrong> {
    let whole = |message: &Proof<W>| {
        if message.is_whole() {
            Ok(message.number)
        } else {
            Err(format!("torn: message {:#x}", message.number))
        }
    };
    let received = match life.random.below(9) {
        _ if life.tasks => match within(subscriber.recv_ref_async(), TURN) {
            Some(Ok(sample)) => Ok(whole(&sample)?),
            Some(Err(error)) => Err(error.into()),
            None => Err(RecvTimeoutError::Timeout),
        },
        _ if life.sets => poll(subscriber, 1, whole)?,
        0 => match subscriber.try_recv() {
            Ok(message) => Ok(whole(&message)?),
            Err(error) => Err(as_timeout(error)?),
        },
        1 if !gapless => {
            let before = subscriber.received();
            let latest = subscriber.latest().map_err(|error| wrong("latest", error))?;
            let stamp = latest.as_ref().map(whole).transpose()?;
            return Ok(Ok(stamp.filter(|_| subscriber.received() > before)));
        }
        2 => poll(subscriber, 8, whole)?,
        3..5 => match subscriber.recv_timeout(TURN) {
            Ok(message) => Ok(whole(&message)?),
            Err(error) => Err(error),
        },
        _ => match subscriber.recv_ref_timeout(TURN) {
            Ok(sample) => {
                let stamp = whole(&sample)?;
                let rest = life.random.below(4) * 20;
                life.rest(rest);
                whole(&sample).map_err(|why| format!("{why} changed while it was held"))?;
                Ok(stamp)
            }
            Err(error) => Err(error),
        },
    };
    Ok(received.map(Some))
}

/// Returns the stamp of a message that arrives within `looks` polls, read in place. Repeated polls pin the
/// slot of the next message.
fn poll<const W: usize>(
    subscriber: &mut Subscriber<Proof<W>>,
    looks: u32,
    whole: impl Fn(&Proof<W>) -> Result<u64, String>,
) -> Result<Result<u64, RecvTimeoutError>, Wrong> {
    for _ in 0..looks {
        match subscriber.try_recv_ref() {
            Ok(sample) => return Ok(Ok(whole(&sample)?)),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(error) => return Ok(Err(as_timeout(error)?)),
        }
    }
    Ok(Err(RecvTimeoutError::Timeout))
}

/// Returns the error that a waiting call would return.
pub(super) fn as_timeout(error: TryRecvError) -> Result<RecvTimeoutError, Wrong> {
    match error {
        TryRecvError::Empty => Ok(RecvTimeoutError::Timeout),
        TryRecvError::Lagged(missed) => Ok(RecvTimeoutError::Lagged(missed)),
        TryRecvError::Disconnected => Ok(RecvTimeoutError::Disconnected),
        other => Err(wrong("try_recv", other)),
    }
}

/// Checks a channel without other processes: no seat is taken and no slot is pinned.
pub fn audit_copied(life: &mut Life) -> Result<(), Wrong> {
    audit(life, channel::<7>(life)?)
}

/// Makes the same check on a channel of several publishers.
pub fn audit_shared(life: &mut Life) -> Result<(), Wrong> {
    audit(life, channel::<7>(life)?.publishers(4))
}

/// Makes the same check on a channel with `overflow: Wait`.
pub fn audit_waiting(life: &mut Life) -> Result<(), Wrong> {
    audit(life, channel::<7>(life)?.overflow(Overflow::Wait))
}

/// Makes the same check on a channel whose slots are pinned.
pub fn audit_pinned(life: &mut Life) -> Result<(), Wrong> {
    audit(life, channel::<2047>(life)?)
}

/// Makes the same check on a channel whose laps may be short.
pub fn audit_frames(life: &mut Life) -> Result<(), Wrong> {
    audit(life, channel::<FRAME>(life)?)
}

fn audit<const W: usize>(life: &mut Life, channel: Opener<PubSub<Proof<W>>>) -> Result<(), Wrong> {
    let mut publisher = channel.clone().publisher()?;
    let mut subscriber = channel.subscriber()?;
    let mut before = publisher.stats();
    let number = life.round().next.load(Relaxed);
    for number in number..number + 4 * before.slots {
        // In the first lap the publisher reaches the slots that dead subscribers pin, and reclaims them.
        if number == life.round().next.load(Relaxed) + before.slots {
            before = publisher.stats();
        }
        publisher.send(&Proof::new(number))?;
        let message = subscriber.recv_timeout(Duration::ZERO)?;
        if message.number != number || !message.is_whole() {
            return Err(format!("the auditor sent {number} and received {}", message.number).into());
        }
    }
    let after = publisher.stats();
    // A short lap makes two holes less than there are slots, and a leaked pin one.
    let of_lap = if W == FRAME { after.slots - 2 } else { u64::MAX };
    if (after.holes - before.holes) % of_lap != 0 {
        return Err(format!("leaked: {} pins of readers that are gone", after.holes - before.holes).into());
    }
    // The entry of a dead participant without a pin stays until another participant needs its seat.
    if after.participants.iter().filter(|participant| participant.alive).count() != 2 {
        return Err(format!("leaked: seats of {:?}", after.participants).into());
    }
    Ok(())
}
