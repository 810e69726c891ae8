//! Push/pull: any number of pushers and pullers; every sent job is received.
//!
//! A job is marked in the ledger before it is acknowledged. A kill between the two delivers it again, and no
//! kill can lose it.

use super::sets::Set;
use super::tasks::within;
use super::threads::Threads;
use super::{Pace, TURN, is_named, leaves_nothing, open};
use crate::ledger::WORK;
use crate::life::{Life, Wrong, wrong};
use shmcomm::{Channel, Opener, PullTimeoutError, PushPull, PushTimeoutError, TryPushError};
use shmcomm_tests::Small;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Number of bits of a job's number in a stamp; the bits above hold the number of its pusher.
pub(super) const SENDER: u32 = 32;

/// Returns the channel with a varying number of slots: if no process uses it, the segment is replaced.
fn channel(life: &mut Life) -> Result<Opener<PushPull<Small>>, Wrong> {
    let channel = Channel::<PushPull<Small>>::try_new(life.channel.clone())?;
    Ok(channel.namespace("").slots(*life.random.pick(&[8, 64, 64])))
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
            let job = Small::new(sender | number);
            let sent = match life.random.below(4) {
                _ if life.tasks => within(pusher.send_async(&job), TURN).transpose()?.is_some(),
                0 => match pusher.try_send(&job) {
                    Err(TryPushError::Full) => false,
                    outcome => outcome.map(|()| true)?,
                },
                _ if life.sets => match pusher.try_send(&job) {
                    // The next turn tries again.
                    Err(TryPushError::Full) => set.wait().map(|_| false)?,
                    outcome => outcome.map(|()| true)?,
                },
                1 => match pusher.try_loan() {
                    Err(TryPushError::Full) => false,
                    Err(error) => return Err(wrong("loan", error)),
                    // The loan is dropped, and no job is sent.
                    Ok(_) if life.random.percent(5) => false,
                    Ok(mut loan) => {
                        *loan = job;
                        loan.send().map(|()| true)?
                    }
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

/// Checks that a job that comes for the first time has a higher number than the jobs of its pusher before it.
pub(super) fn check_order(last: &mut HashMap<u64, u64>, sender: u64, number: u64) -> Result<(), Wrong> {
    match last.insert(sender, number) {
        Some(before) if number <= before => {
            Err(format!("reordered: job {number} of pusher {sender} after {before}").into())
        }
        _ => Ok(()),
    }
}

/// Waits for the end of the round after the last counted job.
pub(super) fn idle(life: &mut Life) -> Result<(), Wrong> {
    while !life.is_over() {
        life.rest(1000);
    }
    Ok(())
}

pub fn pull(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = channel(life)?;
        let Some(mut puller) = open(life, || channel.clone().puller())? else { return Ok(()) };
        let mut set = Set::of(life, &puller)?;
        let mut threads = Threads::of(life)?;
        let mut last = HashMap::new();
        while !life.is_over() {
            threads.visit(life, || channel.clone().pusher(), |end| is_named(&end.stats()))?;
            // By value, a job is acknowledged before it can be marked in the ledger.
            if life.is_safe() && life.random.percent(30) {
                match puller.recv_timeout(TURN) {
                    Ok(job) if !job.is_whole() => return Err(format!("torn: job {:#x}", job.number).into()),
                    Ok(job) => life.job_received(job.number & ((1 << SENDER) - 1), true)?,
                    Err(PullTimeoutError::Timeout) => {}
                    Err(error) => return Err(wrong("receive", error)),
                }
                continue;
            }
            let claimed = if life.tasks {
                match within(puller.claim_async(), TURN) {
                    Some(claimed) => claimed.map_err(PullTimeoutError::from),
                    None => continue,
                }
            } else if life.sets {
                set.wait()?;
                puller.claim_timeout(Duration::ZERO)
            } else {
                puller.claim_timeout(TURN)
            };
            let job = match claimed {
                Ok(job) => job,
                Err(PullTimeoutError::Timeout) => continue,
                Err(error) => return Err(wrong("claim", error)),
            };
            if !job.is_whole() {
                return Err(format!("torn: job {:#x}", job.number).into());
            }
            if life.random.percent(1) && life.round().order.load(Relaxed) == WORK {
                job.put_back();
                continue;
            }
            let (sender, number) = (job.number >> SENDER, job.number & ((1 << SENDER) - 1));
            if !job.redelivered() {
                check_order(&mut last, sender, number)?;
            }
            life.job_received(number, job.redelivered())?;
            if life.random.percent(2) {
                life.rest(life.me as u64 * 300);
            }
            if !job.is_whole() {
                return Err(format!("torn: job {number} changed while it was claimed").into());
            }
            job.done();
        }
        Ok(())
    })
}

/// Checks a channel without other processes: it holds only jobs of pushers that died before they could record
/// them as sent.
pub fn audit(life: &mut Life) -> Result<(), Wrong> {
    let channel = channel(life)?;
    let mut puller = channel.puller()?;
    while let Ok(job) = puller.try_claim() {
        if !job.is_whole() {
            return Err(format!("torn: job {:#x}", job.number).into());
        }
        life.job_received(job.number & ((1 << SENDER) - 1), job.redelivered())?;
        job.done();
    }
    let stats = puller.stats();
    let used = stats.backlog.map_or(0, |backlog| backlog.used());
    if used > 0 || stats.participants.len() != 1 {
        return Err(format!("leaked: slots or seats: {stats:?}").into());
    }
    let again = life.round().again.load(Relaxed);
    // A puller that leaves may put a job back, as a dead one does, and marks it.
    let excuses = life.round().receiver_deaths.load(Relaxed);
    if again > excuses {
        return Err(format!("{again} duplicates, and {excuses} pullers died").into());
    }
    Ok(())
}
