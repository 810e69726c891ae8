//! Streams of replies: any number of requesters and repliers; each stream has its own replies, in order, without a gap.
//!
//! A request has a number, from which the number of its replies follows, and each of them. A stream that ends, ends
//! behind the last. A stream whose replier died has a first part of them.

use super::{Pace, TURN, leaves_nothing, open};
use crate::life::{Life, Wrong, wrong};
use shmcomm::{
    CallError, Channel, Opener, Replies, ReplyError, ReqStream, RequestTimeoutError, SendReplyTimeoutError,
    ServeTimeoutError, StreamRequester,
};
use shmcomm_tests::Small;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

type Service = ReqStream<Small, Small>;

/// Longest wait for the next reply, if there are repliers. They may all be dead or stopped for a while.
const LONGEST: Duration = Duration::from_secs(10);

fn channel(life: &Life) -> Opener<Service> {
    const STREAMS: Channel<Service> = Channel::new("streams").slots(16).window(4);
    let (namespace, _) = life.channel.rsplit_once('/').unwrap_or(("", &life.channel));
    STREAMS.open().namespace(namespace)
}

/// Returns the number of replies to a request: from none to three windows.
fn length(request: u64) -> u64 {
    request % 13
}

/// Returns the number of a reply, which no other reply has.
fn reply_number(request: u64, at: u64) -> u64 {
    !(request * 16 + at)
}

/// A stream that a requester receives.
struct Stream<'r> {
    number: u64,
    replies: Replies<'r, Small>,
    since: Instant,
}

pub fn request(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = channel(life);
        let Some(requester) = open(life, || channel.clone().requester())? else { return Ok(()) };
        let mut pace = Pace::new(life);
        let mut streams = VecDeque::new();
        let at_once = 1 + life.random.below(4) as usize;
        // Some requesters cancel many of their streams, so that slots get new requests while a replier sends.
        let gives_up = if life.random.percent(25) { 20 } else { 1 };
        while !life.is_over() {
            pace.next(life);
            while streams.len() < at_once {
                match ask(life, &requester)? {
                    Some(stream) => streams.push_back(stream),
                    None => break,
                }
            }
            let Some(mut stream) = streams.pop_front() else {
                life.rest(100);
                continue;
            };
            if !life.random.percent(gives_up) && receive(life, &mut stream)? {
                streams.push_back(stream);
            }
            life.fork(|life| match requester.call(&Small::new(life.me as u64)) {
                Err(CallError::Forked) => Ok(()),
                other => Err(format!("a call in the child of a fork gave {other:?}").into()),
            })?;
        }
        Ok(())
    })
}

fn ask<'r>(life: &Life, requester: &'r StreamRequester<Small, Small>) -> Result<Option<Stream<'r>>, Wrong> {
    let Some(number) = life.claim_job() else { return Ok(None) };
    match requester.call(&Small::new(number)) {
        Ok(replies) => {
            life.sent();
            Ok(Some(Stream { number, replies, since: Instant::now() }))
        }
        Err(CallError::Full) => Ok(None),
        Err(error) => Err(wrong("call", error)),
    }
}

/// Receives some replies of a stream. Returns `true` if it has more.
fn receive(life: &mut Life, stream: &mut Stream<'_>) -> Result<bool, Wrong> {
    let Stream { number, replies, since } = stream;
    for _ in 0..1 + life.random.below(6) {
        let at = replies.received();
        match replies.recv_timeout(TURN) {
            Ok(Some(reply)) if reply.number != reply_number(*number, at) || at >= length(*number) => {
                return Err(format!("reply {:#x} as number {at} of request {number:#x}", reply.number).into());
            }
            Ok(Some(reply)) if !reply.is_whole() => {
                return Err(format!("torn: reply {at} of request {number:#x}").into());
            }
            Ok(Some(_)) => {
                *since = Instant::now();
                life.received();
            }
            Ok(None) if at != length(*number) => {
                return Err(format!("lost: request {number:#x} ended after {at} replies").into());
            }
            Ok(None) => return Ok(false),
            Err(RequestTimeoutError::PeerDied | RequestTimeoutError::Unanswered) => {
                life.round().unanswered.fetch_add(1, Relaxed);
                return Ok(false);
            }
            Err(RequestTimeoutError::Timeout) if since.elapsed() > LONGEST => {
                return Err(format!("stuck: request {number:#x} has no reply {at} for {LONGEST:?}").into());
            }
            Err(RequestTimeoutError::Timeout) => return Ok(true),
            Err(error) => return Err(wrong("receive a reply", error)),
        }
    }
    Ok(true)
}

pub fn reply(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let channel = channel(life);
        let Some(mut replier) = open(life, || channel.clone().replier())? else { return Ok(()) };
        'requests: while !life.is_over() {
            let mut request = match replier.recv_timeout(TURN) {
                Ok(request) => request,
                Err(ServeTimeoutError::Timeout) => continue,
                Err(error) => return Err(wrong("receive", error)),
            };
            if !request.is_whole() {
                return Err(format!("torn: request {:#x}", request.number).into());
            }
            let number = request.number;
            life.job_served(number, false)?;
            for at in 0..length(number) {
                if life.random.percent(1) {
                    request.decline();
                    continue 'requests;
                }
                loop {
                    match request.send_timeout(&Small::new(reply_number(number, at)), TURN) {
                        Ok(()) => break,
                        // The round may end while a requester is stopped.
                        Err(SendReplyTimeoutError::Timeout) if life.is_over() => return Ok(()),
                        Err(SendReplyTimeoutError::Timeout) => {}
                        Err(SendReplyTimeoutError::Cancelled) => continue 'requests,
                        Err(error) => return Err(wrong("send a reply", error)),
                    }
                }
            }
            match request.end() {
                Ok(()) | Err(ReplyError::Cancelled) => life.worked(),
                Err(error) => return Err(wrong("end", error)),
            }
        }
        Ok(())
    })
}

/// Checks a channel without other processes: it holds no request.
pub fn audit(life: &mut Life) -> Result<(), Wrong> {
    let mut replier = channel(life).replier()?;
    if let Ok(request) = replier.try_recv() {
        return Err(format!("leaked: request {:#x} of a requester that left", request.number).into());
    }
    let stats = replier.stats();
    if stats.backlog.map_or(0, |backlog| backlog.used()) > 0 || stats.participants.len() != 1 {
        return Err(format!("leaked: slots or seats: {stats:?}").into());
    }
    Ok(())
}
