//! Request/reply: any number of requesters and repliers; every request gets its own answer or an error.
//!
//! The reply to a request is the message of the complementary number. A request whose replier died goes to no
//! other replier, except on the patient channel, where it is marked as redelivered.

use super::sets::Set;
use super::tasks::within;
use super::threads::Threads;
use super::{Pace, TURN, is_named, leaves_nothing, open};
use crate::life::{Life, Wrong, wrong};
use shmcomm::{
    Call, CallError, Channel, Opener, ReplyError, ReqRep, RequestError, RequestTimeoutError, Requester,
    ServeTimeoutError,
};
use shmcomm_tests::Small;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

type Service = ReqRep<Small, Small>;

/// Longest wait of a request, if there are repliers. They may all be dead or stopped for a while.
const LONGEST: Duration = Duration::from_secs(10);

fn channel(life: &mut Life) -> Result<Opener<Service>, Wrong> {
    const PATIENT: Channel<Service> = Channel::new("patient").redeliver(true).slots(16);
    const PLAIN: Channel<Service> = Channel::new("plain").slots(16);
    let (namespace, name) = life.channel.rsplit_once('/').unwrap_or(("", &life.channel));
    let channel = if name == PATIENT.name() { PATIENT } else { PLAIN };
    Ok(channel.open().namespace(namespace))
}

pub fn request(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = channel(life)?;
        let Some(requester) = open(life, || channel.clone().requester())? else { return Ok(()) };
        let mut threads = Threads::of(life)?;
        let mut pace = Pace::new(life);
        let mut calls = VecDeque::new();
        let at_once = 1 + life.random.below(4) as usize;
        // Some requesters cancel many of their requests, so that slots get new requests while a replier
        // works.
        let gives_up = if life.random.percent(25) { 40 } else { 2 };
        while !life.is_over() {
            threads.visit(life, || channel.clone().replier(), |end| is_named(&end.stats()))?;
            pace.next(life);
            while calls.len() < at_once {
                match ask(life, &requester)? {
                    Some(call) => calls.push_back((call, Instant::now())),
                    None => break,
                }
            }
            let Some(((number, mut call), since)) = calls.pop_front() else {
                life.rest(100);
                continue;
            };
            if life.random.percent(gives_up) {
                continue;
            }
            if life.tasks && life.random.percent(50) {
                // The request is cancelled if the reply does not arrive in time.
                match within(call.into_future(), TURN) {
                    Some(Ok(reply)) if reply != Small::new(!number) => {
                        return Err(format!(
                            "the reply to {:#x} for request {number:#x}, or torn",
                            !reply.number
                        )
                        .into());
                    }
                    Some(Ok(_)) => life.received(),
                    Some(Err(RequestError::PeerDied | RequestError::Unanswered)) | None => {
                        life.round().unanswered.fetch_add(1, Relaxed);
                    }
                    Some(Err(error)) => return Err(wrong("await", error)),
                }
                continue;
            }
            let told = life.sets && Set::of(life, &call)?.wait()?;
            match call.wait_timeout(if life.sets { Duration::ZERO } else { TURN }) {
                Err(RequestTimeoutError::Timeout) if told => {
                    return Err(format!(
                        "a set says that request {number:#x} has an answer, and it has none"
                    )
                    .into());
                }
                Ok(reply) if reply.number != !number => {
                    return Err(format!("the reply to {:#x} for request {number:#x}", !reply.number).into());
                }
                Ok(reply) if !reply.is_whole() => {
                    return Err(format!("torn: the reply to {number:#x}").into());
                }
                Ok(_) => life.received(),
                Err(RequestTimeoutError::PeerDied | RequestTimeoutError::Unanswered) => {
                    life.round().unanswered.fetch_add(1, Relaxed);
                }
                Err(RequestTimeoutError::Timeout) if since.elapsed() > LONGEST => {
                    return Err(format!("stuck: request {number:#x} has no answer for {LONGEST:?}").into());
                }
                Err(RequestTimeoutError::Timeout) => calls.push_back(((number, call), since)),
                Err(error) => return Err(wrong("wait", error)),
            }
            life.fork(|life| match requester.call(&Small::new(life.me as u64)) {
                Err(CallError::Forked) => Ok(()),
                other => Err(format!("a call in the child of a fork gave {other:?}").into()),
            })?;
        }
        Ok(())
    })
}

#[allow(clippy::type_complexity)]
fn ask<'r>(
    life: &Life,
    requester: &'r Requester<Small, Small>,
) -> Result<Option<(u64, Call<'r, Small>)>, Wrong> {
    let Some(number) = life.claim_job() else { return Ok(None) };
    match requester.call(&Small::new(number)) {
        Ok(call) => {
            life.sent();
            Ok(Some((number, call)))
        }
        Err(CallError::Full) => Ok(None),
        Err(error) => Err(wrong("call", error)),
    }
}

pub fn reply(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = channel(life)?;
        let Some(mut replier) = open(life, || channel.clone().replier())? else { return Ok(()) };
        let mut set = Set::of(life, &replier)?;
        let mut threads = Threads::of(life)?;
        while !life.is_over() {
            threads.visit(life, || channel.clone().replier(), |end| is_named(&end.stats()))?;
            let request = if life.tasks {
                match within(replier.recv_async(), TURN) {
                    Some(request) => request.map_err(ServeTimeoutError::from),
                    None => continue,
                }
            } else if life.sets {
                set.wait()?;
                replier.recv_timeout(Duration::ZERO)
            } else {
                replier.recv_timeout(TURN)
            };
            let request = match request {
                Ok(request) => request,
                Err(ServeTimeoutError::Timeout) => continue,
                Err(error) => return Err(wrong("receive", error)),
            };
            if !request.is_whole() {
                return Err(format!("torn: request {:#x}", request.number).into());
            }
            let number = request.number;
            life.job_served(number, request.redelivered())?;
            if life.random.percent(4) {
                life.rest(life.me as u64 * 300);
            }
            if life.random.percent(1) {
                request.decline();
                continue;
            }
            if !request.is_whole() {
                return Err(format!("torn: request {number:#x} changed while it was served").into());
            }
            match request.reply(&Small::new(!number)) {
                Ok(()) | Err(ReplyError::Cancelled) => life.worked(),
                Err(error) => return Err(wrong("reply", error)),
            }
        }
        Ok(())
    })
}

/// Checks a channel without other processes: it holds no request.
pub fn audit(life: &mut Life) -> Result<(), Wrong> {
    let channel = channel(life)?;
    let mut replier = channel.replier()?;
    if let Ok(request) = replier.try_recv() {
        return Err(format!("leaked: request {:#x} of a requester that left", request.number).into());
    }
    let stats = replier.stats();
    if stats.backlog.map_or(0, |backlog| backlog.used()) > 0 || stats.participants.len() != 1 {
        return Err(format!("leaked: slots or seats: {stats:?}").into());
    }
    Ok(())
}
