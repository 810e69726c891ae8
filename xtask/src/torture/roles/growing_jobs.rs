//! Push/pull with slots that grow: jobs of all lengths, any number of pushers and pullers.
//!
//! Every sent job is received whole, as in `pushpull`. The length of a job follows from its stamp, as in `growth`.

use super::growth::{LIMIT, message, stamp};
use super::pushpull::{SENDER, check_order, idle};
use super::sets::Set;
use super::tasks::within;
use super::threads::Threads;
use super::{Pace, TURN, is_named, leaves_nothing, open};
use crate::life::{Life, Wrong, wrong};
use shmcomm::codec::Bytes;
use shmcomm::{
    Channel, DynError, DynPuller, Opener, PullTimeoutError, PushPull, PushTimeoutError, TryPullError,
    TryPushError,
};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

fn channel(life: &mut Life) -> Result<Opener<PushPull<[u8], Bytes>>, Wrong> {
    let channel = Channel::<PushPull<[u8], Bytes>>::try_new(life.channel.clone())?;
    // If no process uses the queue, the segment is replaced.
    Ok(channel.namespace("").slots(*life.random.pick(&[8, 64, 64])).slot_size(64).grow(LIMIT))
}

pub fn push(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = channel(life)?;
        let Some(mut pusher) = open(life, || channel.clone().pusher())? else { return Ok(()) };
        let mut set = Set::of(life, &pusher)?;
        let mut threads = Threads::of(life)?;
        let mut pace = Pace::new(life);
        let sender = life.sender() << SENDER;
        let Some(mut number) = life.claim_job() else { return idle(life) };
        while !life.is_over() {
            threads.visit(life, || channel.clone().puller(), |end| is_named(&end.stats()))?;
            pace.next(life);
            if life.random.percent(2) {
                // A job beyond the limit is refused, and its slot is given back.
                match pusher.try_send(&vec![0; LIMIT + 1]) {
                    Err(TryPushError::Full | TryPushError::Unencodable(_)) => {}
                    other => return Err(format!("a send beyond the limit gave {other:?}").into()),
                }
            }
            let job = message(sender | number);
            let sent = match life.random.below(2) {
                _ if life.tasks => within(pusher.send_async(&job), TURN).transpose()?.is_some(),
                _ if life.sets => match pusher.try_send(&job) {
                    // The next turn tries again.
                    Err(TryPushError::Full) => set.wait().map(|_| false)?,
                    outcome => outcome.map(|()| true)?,
                },
                0 => match pusher.try_send(&job) {
                    Err(TryPushError::Full) => false,
                    outcome => outcome.map(|()| true)?,
                },
                _ => match pusher.send_timeout(&job, TURN) {
                    Err(PushTimeoutError::Timeout) => false,
                    outcome => outcome.map(|()| true)?,
                },
            };
            if sent {
                life.job_sent(number);
                let Some(next) = life.claim_job() else { return idle(life) };
                number = next;
            }
            life.fork(|_| match pusher.try_send(&job) {
                Err(TryPushError::Forked) => Ok(()),
                other => Err(format!("a send in the child of a fork gave {other:?}").into()),
            })?;
        }
        Ok(())
    })
}

pub fn pull(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = channel(life)?;
        // A job that is claimed is in the ledger before it is acknowledged. That takes an end without the type.
        let end = match open(life, || channel.clone().puller())? {
            Some(first) => open(life, || DynPuller::open(&life.channel))?.map(|end| (first, end)),
            None => None,
        };
        let Some((mut safe, mut puller)) = end else { return Ok(()) };
        let mut last = HashMap::new();
        while !life.is_over() {
            if life.is_safe() && life.random.percent(30) {
                match safe.recv_timeout(TURN) {
                    Ok(job) => life.job_received(stamp(&job)? & ((1 << SENDER) - 1), true)?,
                    Err(PullTimeoutError::Timeout) => {}
                    Err(error) => return Err(wrong("receive", error)),
                }
                continue;
            }
            let job = match puller.claim_timeout(TURN) {
                Ok(job) => job,
                Err(DynError::Timeout) => continue,
                Err(error) => return Err(wrong("claim", error)),
            };
            let stamp = stamp(job.message().bytes())?;
            let (sender, number) = (stamp >> SENDER, stamp & ((1 << SENDER) - 1));
            if !job.redelivered() {
                check_order(&mut last, sender, number)?;
            }
            life.job_received(number, job.redelivered())?;
            if life.random.percent(2) {
                life.rest(life.me as u64 * 300);
            }
            job.done();
        }
        Ok(())
    })
}

/// Checks a channel without other processes: it holds only jobs of pushers that died before they could record them as
/// sent, and every slot takes the longest job.
pub fn audit(life: &mut Life) -> Result<(), Wrong> {
    let channel = channel(life)?;
    let mut puller = channel.clone().puller()?;
    loop {
        match puller.try_recv() {
            Ok(job) => life.job_received(stamp(&job)? & ((1 << SENDER) - 1), true)?,
            Err(TryPullError::Empty) => break,
            Err(error) => return Err(wrong("receive", error)),
        }
    }
    let stats = puller.stats();
    let used = stats.backlog.map_or(0, |backlog| backlog.used());
    if used > 0 || stats.participants.len() != 1 {
        return Err(format!("leaked: slots or seats: {stats:?}").into());
    }
    let again = life.round().again.load(Relaxed);
    let excuses = life.round().receiver_deaths.load(Relaxed);
    if again > excuses {
        return Err(format!("{again} duplicates, and {excuses} pullers died").into());
    }
    let mut pusher = channel.pusher()?;
    for _ in 0..stats.slots {
        pusher.try_send(&vec![0; LIMIT])?;
    }
    for _ in 0..stats.slots {
        if puller.recv_timeout(TURN)?.len() != LIMIT {
            return Err("torn: a job of the auditor".into());
        }
    }
    Ok(())
}
