//! The other process of the tests: `peer ROLE ARGUMENTS…`, on the channels of the namespace in
//! `SHMCOMM_NAMESPACE`. Prints `ready` when its end is open.

use shmcomm::{CallError, RecvError, RequestError};
use shmcomm_tests::{
    Jobs, Large, LargeFeed, PatientService, Plan, Service, SharedFeed, SharedLargeFeed, SharedState, Small,
    SmallFeed, State,
};
use std::io::{BufRead, Write};
use std::time::Duration;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["publish-small", first, count, pause] => {
            publish_small(first.parse()?, count.parse()?, pause.parse()?)
        }
        ["publish-large", first, count, pause] => {
            publish_large(first.parse()?, count.parse()?, pause.parse()?)
        }
        ["publish-shared", publisher, count, pause] => {
            publish_shared(publisher.parse()?, count.parse()?, pause.parse()?)
        }
        ["publish-shared-large", publisher, count, pause] => {
            publish_shared_large(publisher.parse()?, count.parse()?, pause.parse()?)
        }
        ["store", "small"] => store_small(),
        ["store", "large"] => store_large(),
        ["store", "shared"] => store_shared(),
        ["wait-table"] => wait_table(),
        ["count-small", until] => count_small(until.parse()?),
        ["hold-large"] => hold_large(),
        ["wait-small"] => wait_small(),
        // Windows has no fork.
        #[cfg(unix)]
        ["fork-small"] => fork_small(),
        ["push", pusher, count] => push(pusher.parse()?, count.parse()?),
        ["pull"] => pull(),
        ["claim"] => claim(),
        ["serve"] => serve(),
        ["stream", count] => stream(count.parse()?),
        ["ask-stream", count] => ask_stream(count.parse()?),
        ["take"] => take(),
        ["take-patiently"] => take_patiently(),
        ["ask", requester, count] => ask(requester.parse()?, count.parse()?),
        ["ask-and-hold", count] => ask_and_hold(count.parse()?),
        // Counts open files in `/proc`.
        #[cfg(unix)]
        ["attach-small", count] => attach_small(count.parse()?),
        _ => Err(format!("no such role: {arguments:?}").into()),
    }
}

fn ready() {
    println!("ready");
}

/// Sends `count` messages from number `first` on, pausing for `pause` microseconds. Then stays until its
/// input ends.
fn publish_small(first: u64, count: u64, pause: u64) -> Result {
    let mut feed = SmallFeed::publisher()?;
    ready();
    for number in first..first.saturating_add(count) {
        feed.send(&Small::new(number))?;
        rest(pause);
    }
    println!("sent");
    wait_for_end()
}

fn publish_large(first: u64, count: u64, pause: u64) -> Result {
    let mut feed = LargeFeed::publisher()?;
    ready();
    for number in first..first.saturating_add(count) {
        let mut loan = feed.loan()?;
        *loan = Large::new(number);
        loan.send()?;
        rest(pause);
    }
    println!("sent");
    wait_for_end()
}

/// Sends `count` messages whose numbers begin with its own, after a line on its input. Then stays until its
/// input ends.
fn publish_shared(publisher: u64, count: u64, pause: u64) -> Result {
    let mut feed = SharedFeed::publisher()?;
    ready();
    std::io::stdin().lock().read_line(&mut String::new())?;
    for number in 0..count {
        feed.send(&Small::new(publisher << 32 | number))?;
        rest(pause);
    }
    println!("sent");
    wait_for_end()
}

fn publish_shared_large(publisher: u64, count: u64, pause: u64) -> Result {
    let mut feed = SharedLargeFeed::publisher()?;
    ready();
    std::io::stdin().lock().read_line(&mut String::new())?;
    for number in 0..count {
        let mut loan = feed.loan()?;
        *loan = Large::new(publisher << 32 | number);
        loan.send()?;
        rest(pause);
    }
    println!("sent");
    wait_for_end()
}

/// Stores rising numbers in the small key of the table, until it is killed.
fn store_small() -> Result {
    let mut writer = State::writer(State::SMALL)?;
    ready();
    for number in writer.version().. {
        writer.store(&Small::new(number))?;
    }
    Ok(())
}

fn store_large() -> Result {
    let mut writer = State::writer(State::LARGE)?;
    ready();
    for number in writer.version().. {
        writer.store(&Large::new(number))?;
    }
    Ok(())
}

/// Stores rising numbers in the key that other processes store too, until it is killed.
fn store_shared() -> Result {
    let mut writer = SharedState::writer(SharedState::LARGE)?;
    ready();
    for number in 0.. {
        writer.store(&Large::new(number))?;
    }
    Ok(())
}

/// Waits for the small key of the table again and again, and loads it, until it is killed.
fn wait_table() -> Result {
    let mut reader = State::reader()?;
    ready();
    loop {
        reader.wait(State::SMALL)?;
        if let Some(found) = reader.load(State::SMALL)? {
            found.value.check();
        }
    }
}

/// Answers each request with `count` messages from its number on, and ends the stream; for 0 it sends until it is killed.
fn stream(count: u64) -> Result {
    let mut replier = Plan::replier()?;
    ready();
    loop {
        let mut request = replier.recv()?;
        let first = request.number;
        let until = if count == 0 { u64::MAX } else { first + count };
        let sent = (first..until).try_for_each(|number| request.send(&Small::new(number)));
        match sent {
            Ok(()) => drop(request.end()),
            Err(error) => println!("{error}"),
        }
    }
}

/// Asks for a stream, receives `count` messages of it and checks them. Then stays until its input ends.
fn ask_stream(count: u64) -> Result {
    let requester = Plan::requester()?;
    let mut replies = requester.request(&Small::new(0))?;
    for number in 0..count {
        let reply = replies.recv()?.ok_or("the stream has ended")?;
        reply.check();
        assert_eq!(reply.number, number);
    }
    ready();
    wait_for_end()
}

/// Receives until message `until`, checking each message. Prints the number of received and lost messages.
fn count_small(until: u64) -> Result {
    let mut feed = SmallFeed::subscriber()?;
    ready();
    let mut last = None;
    loop {
        match feed.recv() {
            Ok(message) => {
                message.check();
                assert!(last.is_none_or(|last| last < message.number), "message {} again", message.number);
                last = Some(message.number);
                if message.number >= until {
                    break;
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Disconnected) => {
                feed.wait_for_publisher(Duration::from_secs(10));
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("received {} lost {}", feed.received(), feed.lost());
    Ok(())
}

/// Receives one message in place and holds it until it is killed.
fn hold_large() -> Result {
    let mut feed = LargeFeed::subscriber()?;
    ready();
    let sample = feed.recv_ref()?;
    sample.check();
    println!("holding {}", sample.number);
    wait_for_end()
}

/// Blocks in `recv` until a message arrives.
fn wait_small() -> Result {
    let mut feed = SmallFeed::subscriber()?;
    ready();
    loop {
        match feed.recv() {
            Ok(message) => println!("got {}", message.number),
            Err(error) => {
                println!("{error:?}");
                return Ok(());
            }
        }
    }
}

/// Opens and drops a subscriber `count` times. Prints the number of its open files and mappings in `/proc` at the end.
#[cfg(unix)]
fn attach_small(count: u64) -> Result {
    let census = || -> Result<(usize, usize)> {
        let files = std::fs::read_dir("/proc/self/fd")?.count();
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        Ok((files, maps.lines().filter(|l| l.contains("shmcomm")).count()))
    };
    drop(SmallFeed::subscriber()?);
    let before = census()?;
    for _ in 0..count {
        drop(SmallFeed::subscriber()?);
    }
    assert_eq!(census()?, before, "files and maps after {count} attachments");
    println!("done");
    Ok(())
}

/// Forks with both ends open. The child must get an error, and must not disturb the parent's ends when it
/// drops its own. Windows has no fork.
#[cfg(unix)]
fn fork_small() -> Result {
    let mut publisher = SmallFeed::publisher()?;
    let mut subscriber = SmallFeed::subscriber()?;
    publisher.send(&Small::new(0))?;
    subscriber.recv()?;
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let sent = publisher.send(&Small::new(1));
        let received = subscriber.recv();
        let waited = subscriber.recv_timeout(Duration::from_millis(10));
        println!("child: {sent:?} {received:?} {waited:?} {}", subscriber.is_connected());
        println!("child: {} {} {}", subscriber.lag(), publisher.stats().messages, publisher.subscribers());
        println!("child: {} {} {}", subscriber.received(), subscriber.lost(), subscriber.skipped());
        drop((publisher, subscriber));
        // A newly opened end works: a third participant besides the parent's two.
        let again = SmallFeed::subscriber()?;
        println!("child: {} subscribers", again.stats().subscribers().filter(|s| s.alive).count());
        return Ok(());
    }
    let mut status = 0;
    // SAFETY: waits for this process's child and writes to a local variable.
    unsafe { libc::waitpid(child, &mut status, 0) };
    publisher.send(&Small::new(2))?;
    println!("parent: {:?}", subscriber.recv()?.number);
    println!("parent: {} subscribers, {} received", publisher.subscribers(), subscriber.received());
    Ok(())
}

/// Sends `count` jobs whose numbers begin with its own, and prints a line when all of them are acknowledged.
fn push(pusher: u64, count: u64) -> Result {
    let mut jobs = Jobs::pusher()?;
    ready();
    for number in 0..count {
        jobs.send(&Small::new(pusher << 32 | number))?;
    }
    println!("sent");
    jobs.flush(Duration::from_secs(300))?;
    println!("flushed");
    Ok(())
}

/// Receives jobs until it is killed or its output is closed. Prints the number of each job before it
/// acknowledges it, so a number may be printed twice but is never missing.
fn pull() -> Result {
    let mut jobs = Jobs::puller()?;
    ready();
    let out = std::io::stdout();
    let mut out = std::io::BufWriter::with_capacity(1 << 16, out.lock());
    loop {
        match jobs.claim_timeout(Duration::from_millis(200)) {
            Ok(job) => {
                job.check();
                let again = if job.redelivered() { "again" } else { "first" };
                writeln!(out, "{} {again}", job.number)?;
                // Without the flush, a killed worker would lose the lines of acknowledged jobs.
                out.flush()?;
                job.done();
            }
            Err(shmcomm::PullTimeoutError::Timeout) => {
                writeln!(out, "idle")?;
                out.flush()?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes one job and holds it until it is killed.
fn claim() -> Result {
    let mut jobs = Jobs::puller()?;
    ready();
    let job = jobs.claim()?;
    println!("claimed {}", job.number);
    wait_for_end()
}

/// Answers requests until it is killed.
fn serve() -> Result {
    let mut service = Service::replier()?;
    ready();
    service.serve(|request| {
        request.check();
        Small::new(!request.number)
    })?;
    Ok(())
}

/// Takes one request and holds it until it is killed.
fn take() -> Result {
    let mut service = Service::replier()?;
    ready();
    let request = service.recv()?;
    println!("taken {}", request.number);
    wait_for_end()
}

/// Takes one request like `take`, on the channel that redelivers.
fn take_patiently() -> Result {
    let mut service = PatientService::replier()?;
    let request = service.recv()?;
    println!("taken {}", request.number);
    wait_for_end()
}

/// Sends `count` requests whose numbers begin with its own, up to four at a time. Repeats a request if its
/// replier died, and cancels one in 50. Prints the number of replies, and the number of requests whose
/// replier died.
fn ask(requester: u64, count: u64) -> Result {
    let service = Service::requester()?;
    ready();
    let (mut next, mut answered, mut given_up, mut died) = (0, 0, 0, 0);
    let mut again = Vec::new();
    let mut pending = std::collections::VecDeque::new();
    while answered + given_up < count {
        while pending.len() < 4 {
            let number = match again.pop() {
                Some(number) => number,
                None if next < count => {
                    next += 1;
                    requester << 32 | (next - 1)
                }
                None => break,
            };
            match service.call(&Small::new(number)) {
                Ok(call) => pending.push_back((number, call)),
                Err(CallError::Full) => {
                    again.push(number);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let Some((number, call)) = pending.pop_front() else { continue };
        if number % 50 == 7 {
            drop(call);
            given_up += 1;
            continue;
        }
        match call.wait() {
            Ok(reply) => {
                reply.check();
                assert_eq!(reply.number, !number, "the reply to another request");
                answered += 1;
            }
            Err(RequestError::PeerDied) => {
                died += 1;
                again.push(number);
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("answered {answered} died {died}");
    wait_for_end()
}

/// Sends `count` requests and waits for no reply.
fn ask_and_hold(count: u64) -> Result {
    let service = Service::requester()?;
    ready();
    let calls = (0..count)
        .map(|number| service.call(&Small::new(number)))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    println!("asked {}", calls.len());
    wait_for_end()
}

fn rest(pause: u64) {
    if pause > 0 {
        std::thread::sleep(Duration::from_micros(pause));
    }
}

fn wait_for_end() -> Result {
    for line in std::io::stdin().lock().lines() {
        line?;
    }
    Ok(())
}
