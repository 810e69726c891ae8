//! The Python wire, with this library at both ends: one sender of each channel; a restarted sender continues
//! in the same segment.
//!
//! The checks require only the promises of the format. A puller that dies may lose the job that it had just
//! taken, and a request of a replier that died may get no answer.

use super::{Pace, TURN, leaves_nothing, open};
use crate::life::{Life, Wrong, wrong};
use shmcomm::Fixed;
use shmcomm::codec::Msgpack;
use shmcomm::python::{
    Options, Publisher, Puller, Pusher, RecvTimeoutError, Replier, RequestError, Requester, SendTimeoutError,
    Subscriber, TrySendError,
};
use shmcomm_tests::{Small, word};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Returns the options of the channels; pushers that cannot send their jobs leave them.
fn options(life: &Life) -> Options {
    Options {
        slots: 32,
        slot_size: 128,
        connect_timeout: TURN,
        lock_path: std::env::var_os("SHMCOMM_DIR").map(|dir| std::path::Path::new(&dir).join("python.lock")),
        linger: Duration::ZERO,
        ..Options::pubsub(life.channel.replace('/', "-"))
    }
}

pub fn publish(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        // Another shape than before, so that the segment is replaced.
        let slots = if life.random.percent(20) { 16 } else { 32 };
        let options = Options { slots, ..options(life) };
        let Some(mut publisher) = open(life, || Publisher::<Small, Fixed>::open(options.clone()))? else {
            return Ok(());
        };
        let mut pace = Pace::new(life);
        while !life.is_over() {
            pace.next(life);
            publisher.send(&Small::new(life.round().next.fetch_add(1, Relaxed)))?;
            life.sent();
        }
        Ok(())
    })
}

pub fn subscribe(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let options = options(life);
        let Some(mut subscriber) = open(life, || Subscriber::<Small, Fixed>::open(options.clone()))? else {
            return Ok(());
        };
        let mut last = None;
        while !life.is_over() {
            let message = match subscriber.recv_timeout(TURN) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Lagged(_)) => continue,
                Err(error) => return Err(wrong("receive", error)),
            };
            if !message.is_whole() {
                return Err(format!("torn: message {}", message.number).into());
            }
            if message.number >= life.round().next.load(Relaxed) {
                return Err(format!("invented: message {}", message.number).into());
            }
            if last.is_some_and(|last| message.number <= last) {
                return Err(
                    format!("reordered or repeated: message {} after {last:?}", message.number).into()
                );
            }
            last = Some(message.number);
            life.received();
        }
        // Every process of Python that attached does this: its resource tracker removes the name.
        let _ = std::fs::remove_file(format!("/dev/shm/shmcomm_pub_{}", options.name));
        Ok(())
    })
}

pub fn push(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let options = options(life);
        let Some(mut pusher) = open(life, || Pusher::<Small, Fixed>::open(options.clone()))? else {
            return Ok(());
        };
        let mut pace = Pace::new(life);
        while !life.is_over() {
            let Some(number) = life.claim_job() else { break };
            loop {
                pace.next(life);
                match pusher.send_timeout(&Small::new(number), TURN) {
                    Ok(()) => break life.job_sent(number),
                    Err(SendTimeoutError::Timeout) if life.is_over() => break,
                    Err(SendTimeoutError::Timeout) => {}
                    Err(error) => return Err(wrong("send", error)),
                }
            }
        }
        Ok(())
    })
}

pub fn pull(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let options = options(life);
        let Some(mut puller) = open(life, || Puller::<Small, Fixed>::open(options.clone()))? else {
            return Ok(());
        };
        let mut last = None;
        while !life.is_over() {
            let job = match puller.recv_timeout(TURN) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(error) => return Err(wrong("receive", error)),
            };
            if !job.is_whole() {
                return Err(format!("torn: job {}", job.number).into());
            }
            if last.is_some_and(|last| job.number <= last) {
                return Err(format!("reordered: job {} after {last:?}", job.number).into());
            }
            last = Some(job.number);
            life.job_received(job.number, false)?;
        }
        Ok(())
    })
}

/// A number, and a word that follows from it.
type Pair = (u64, u64);

fn pair(number: u64) -> Pair {
    (number, word(number, 0))
}

pub fn request(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let options = options(life);
        let Some(mut requester) = open(life, || Requester::<Pair, Pair, Msgpack>::open(options.clone()))?
        else {
            return Ok(());
        };
        let mut pace = Pace::new(life);
        while !life.is_over() {
            pace.next(life);
            let number = life.round().next.fetch_add(1, Relaxed);
            match requester.request(&pair(number), TURN / 2) {
                Ok(reply) if reply == pair(!number) => life.received(),
                Ok((reply, _)) => {
                    return Err(format!("the reply to {:#x} for request {number:#x}, or torn", !reply).into());
                }
                Err(
                    RequestError::Timeout | RequestError::Send(TrySendError::Full) | RequestError::Restarted,
                ) => {
                    life.round().unanswered.fetch_add(1, Relaxed);
                }
                Err(error) => return Err(wrong("request", error)),
            }
        }
        Ok(())
    })
}

pub fn reply(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let options = options(life);
        let Some(mut replier) = open(life, || Replier::<Pair, Pair, Msgpack>::open(options.clone()))? else {
            return Ok(());
        };
        while !life.is_over() {
            let (number, proof) = match replier.recv_timeout(TURN) {
                Ok(request) => request,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(error) => return Err(wrong("receive", error)),
            };
            if proof != word(number, 0) {
                return Err(format!("torn: request {number}").into());
            }
            replier.send(&pair(!number))?;
            life.sent();
        }
        Ok(())
    })
}

/// Checks a channel without other processes: after an owner opened and closed it, no file is left.
pub fn audit_pubsub(life: &mut Life) -> Result<(), Wrong> {
    drop(Publisher::<Small, Fixed>::open(options(life))?);
    gone(life)
}

/// Checks that the auditor receives the remaining jobs.
pub fn audit_pushpull(life: &mut Life) -> Result<(), Wrong> {
    let pusher = Pusher::<Small, Fixed>::open(options(life))?;
    let mut puller = Puller::<Small, Fixed>::open(options(life))?;
    // The copy of the lock in a forked child of a killed puller goes when that child runs: a poll may find it held.
    while let Ok(job) = puller.recv_timeout(10 * TURN) {
        if !job.is_whole() {
            return Err(format!("torn: job {}", job.number).into());
        }
        life.job_received(job.number, false)?;
    }
    drop(pusher);
    gone(life)
}

pub fn audit_reqrep(life: &mut Life) -> Result<(), Wrong> {
    drop(Replier::<Pair, Pair, Msgpack>::open(options(life))?);
    gone(life)
}

/// Removes the files of an interrupted run.
pub fn clean(channel: &str) {
    let _ = shmcomm::python::force_unlink(&channel.replace('/', "-"));
}

fn gone(life: &Life) -> Result<(), Wrong> {
    let name = life.channel.replace('/', "-");
    for entry in std::fs::read_dir("/dev/shm")? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if file.contains(&name) {
            return Err(format!("leaked: /dev/shm/{file}").into());
        }
    }
    Ok(())
}
