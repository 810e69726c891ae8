//! Instructions of a call, a send, a reply of a stream, a job, and a value of a table, both ends in one thread. Messages
//! have 64 bytes, or 8 bytes, or 64 KiB in place. Other load on the machine does not matter: callgrind counts them.
//! Linux on x86-64, and needs valgrind.
//!
//! `RUSTFLAGS="--cfg rustix_use_libc" cargo run --release --example instructions`. Without the flag, rustix looks for
//! system calls in a page of the kernel that valgrind does not show.
//!
//! The program runs itself under callgrind, with two numbers of rounds for each work. The difference of the counts
//! belongs to the additional rounds, so the start and the end of a process do not count.

use shmcomm::{Channel, PubSub, PushPull, ReqRep, Timestamp, channel};
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
type Words = [u64; 8];

const CALLS: Channel<ReqRep<Words, Words>> = Channel::new("instructions/calls");
const SENDS: Channel<PubSub<Words>> = Channel::new("instructions/sends");
const NUMBERS: Channel<PubSub<u64>> = Channel::new("instructions/numbers");
const JOBS: Channel<PushPull<Words>> = Channel::new("instructions/jobs");
const FRAMES: Channel<PubSub<[u64; 8192]>> = Channel::new("instructions/frames");

channel! {
    Rows: ReqRep<Words, Words> { name: "instructions/rows", replies: Stream }
}

channel! {
    Values: Table { name: "instructions/values", words: Words }
}

/// The works, with what one round does.
const WORKS: [(&str, &str); 19] = [
    ("ring-send", "send, slot ring"),
    ("ring-both", "send and receive, slot ring"),
    ("ring-both-8", "send and receive, slot ring, 8 bytes"),
    ("ping-pong", "round trip, two counters"),
    ("call", "call, try_recv, reply and poll"),
    ("send-1", "send to one subscriber that polls"),
    ("send-4", "send to four subscribers that poll"),
    ("both", "send and try_recv"),
    ("both-wait", "send and try_recv, overflow: Wait"),
    ("both-8-wait", "send and try_recv, Wait, 8 bytes"),
    ("both-16-wait", "send and 16 try_recv, overflow: Wait"),
    ("both-4", "send and try_recv, publishers: 4"),
    ("send-of-4", "send, publishers: 4"),
    ("in-place", "loan and try_recv_ref of 64 KiB"),
    ("stream", "send and try_recv of a stream"),
    ("job", "push and try_recv"),
    ("table-store", "store in a table"),
    ("table-store-at", "store_at in a table"),
    ("table-load", "load from a table"),
];
const ROUNDS: [u64; 2] = [20_000, 60_000];

fn main() -> Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [work, rounds] = &arguments[..] {
        return run(work, rounds.parse()?);
    }
    for (work, what) in WORKS {
        let counts = [count(work, ROUNDS[0])?, count(work, ROUNDS[1])?];
        let each = (counts[1] - counts[0]) as f64 / (ROUNDS[1] - ROUNDS[0]) as f64;
        println!("{what:36} {each:8.1} instructions");
    }
    Ok(())
}

/// Does the work in this process.
fn run(work: &str, rounds: u64) -> Result {
    let ns = format!("instructions-{}", std::process::id());
    let words = |round| black_box([round; 8]);
    match work {
        "ring-send" | "ring-both" => {
            let mut ring = SlotRing::<8, 7>::new();
            for round in 0..rounds {
                ring.send(&words(round));
                if work == "ring-both" {
                    black_box(ring.receive().ok_or("no message")?);
                }
            }
        }
        "ring-both-8" => {
            // Four slots in each line.
            let mut ring = SlotRing::<1, 0>::new();
            for round in 0..rounds {
                ring.send(&[black_box(round)]);
                black_box(ring.receive().ok_or("no message")?);
            }
        }
        "both-8-wait" => {
            let open = || NUMBERS.open().namespace(&*ns).overflow(shmcomm::Overflow::Wait);
            let (mut publisher, mut subscriber) = (open().publisher()?, open().subscriber()?);
            for round in 0..rounds {
                publisher.send(&black_box(round))?;
                black_box(subscriber.try_recv()?);
            }
        }
        "ping-pong" => {
            let counters = black_box([const { AtomicU64::new(0) }; 2]);
            for round in 0..rounds {
                for counter in &counters {
                    counter.store(black_box(round), Ordering::Release);
                    black_box(counter.load(Ordering::Acquire));
                }
            }
        }
        "call" => {
            let requester = CALLS.open().namespace(&*ns).requester()?;
            let mut replier = CALLS.open().namespace(&*ns).replier()?;
            for round in 0..rounds {
                let mut call = requester.call(&words(round))?;
                let request = replier.try_recv()?;
                let reply = *request;
                request.reply(&reply)?;
                black_box(call.poll().ok_or("no reply")??);
            }
        }
        "send-1" | "send-4" => {
            let mut publisher = SENDS.open().namespace(&*ns).publisher()?;
            let number = if work == "send-1" { 1 } else { 4 };
            let _subscribers = (0..number)
                .map(|_| SENDS.open().namespace(&*ns).subscriber())
                .collect::<std::result::Result<Vec<_>, _>>()?;
            for round in 0..rounds {
                publisher.send(&words(round))?;
            }
        }
        "both" | "both-wait" | "both-16-wait" | "both-4" | "send-of-4" => {
            let open = || match work {
                "both-wait" | "both-16-wait" => {
                    SENDS.open().namespace(&*ns).overflow(shmcomm::Overflow::Wait)
                }
                "both-4" | "send-of-4" => SENDS.open().namespace(&*ns).publishers(4),
                _ => SENDS.open().namespace(&*ns),
            };
            let mut publisher = open().publisher()?;
            let number = match work {
                "both-16-wait" => 16,
                "send-of-4" => 0,
                _ => 1,
            };
            let mut subscribers =
                (0..number).map(|_| open().subscriber()).collect::<std::result::Result<Vec<_>, _>>()?;
            for round in 0..rounds {
                publisher.send(&words(round))?;
                for subscriber in &mut subscribers {
                    black_box(subscriber.try_recv()?);
                }
            }
        }
        "in-place" => {
            let mut publisher = FRAMES.open().namespace(&*ns).publisher()?;
            let mut subscriber = FRAMES.open().namespace(&*ns).subscriber()?;
            for round in 0..rounds {
                let mut loan = publisher.loan()?;
                loan[0] = black_box(round);
                loan.send()?;
                black_box(subscriber.try_recv_ref()?[0]);
            }
        }
        "stream" => {
            let requester = Rows::open().namespace(&*ns).requester()?;
            let mut replier = Rows::open().namespace(&*ns).replier()?;
            let mut replies = requester.request(&words(0))?;
            let mut request = replier.try_recv()?;
            for round in 0..rounds {
                request.send(&words(round))?;
                black_box(replies.try_recv()?);
            }
        }
        "job" => {
            let mut puller = JOBS.open().namespace(&*ns).puller()?;
            let mut pusher = JOBS.open().namespace(&*ns).pusher()?;
            for round in 0..rounds {
                pusher.send(&words(round))?;
                black_box(puller.try_recv()?);
            }
        }
        "table-store" | "table-store-at" | "table-load" => {
            let mut writer = Values::open().namespace(&*ns).writer(Values::WORDS)?;
            let mut reader = Values::open().namespace(&*ns).reader()?;
            writer.store(&words(0))?;
            match work {
                "table-store" => {
                    for round in 0..rounds {
                        writer.store(&words(round))?;
                    }
                }
                "table-store-at" => {
                    for round in 0..rounds {
                        writer.store_at(&words(round), Timestamp::from_nanos(round as i64))?;
                    }
                }
                _ => {
                    for _ in 0..rounds {
                        let latest = reader.load(Values::WORDS)?.ok_or("no value was stored")?;
                        black_box(latest.value);
                    }
                }
            }
        }
        _ => return Err(format!("no work `{work}`").into()),
    }
    Ok(())
}

/// A ring without any guarantee, the lower bound in `benches-compare`. It has no death, no fork, no length, no count and no
/// waiter.
struct SlotRing<const N: usize, const REST: usize> {
    slots: Box<[Slot<N, REST>]>,
    sent: u64,
    received: u64,
}

/// A stamp, the `N` words of the message, and unused words.
struct Slot<const N: usize, const REST: usize> {
    stamp: AtomicU64,
    payload: [AtomicU64; N],
    _rest: [u64; REST],
}

impl<const N: usize, const REST: usize> SlotRing<N, REST> {
    fn new() -> Self {
        let slot = |_| Slot {
            stamp: AtomicU64::new(0),
            payload: [const { AtomicU64::new(0) }; N],
            _rest: [0; REST],
        };
        SlotRing { slots: black_box((0..64).map(slot).collect()), sent: 0, received: 0 }
    }

    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) {
        let slot = &self.slots[self.sent as usize % self.slots.len()];
        for (to, word) in slot.payload.iter().zip(message) {
            to.store(*word, Ordering::Relaxed);
        }
        self.sent += 1;
        slot.stamp.store(self.sent, Ordering::Release);
    }

    #[inline(always)]
    fn receive(&mut self) -> Option<[u64; N]> {
        let slot = &self.slots[self.received as usize % self.slots.len()];
        if slot.stamp.load(Ordering::Acquire) != self.received + 1 {
            return None;
        }
        self.received += 1;
        Some(std::array::from_fn(|at| slot.payload[at].load(Ordering::Relaxed)))
    }
}

/// Returns the number of instructions of a process that does the work.
fn count(work: &str, rounds: u64) -> Result<u64> {
    let program = std::env::current_exe()?;
    let valgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let out = Command::new("valgrind")
        .args(valgrind)
        .arg(program)
        .args([work, &rounds.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start: {error}; Debian's package is valgrind"))?;
    let text = String::from_utf8_lossy(&out.stderr);
    let found = text.lines().find_map(|line| line.split_once("Collected : "));
    match found {
        Some((_, number)) if out.status.success() => Ok(number.trim().parse()?),
        _ => Err(format!("{work} does not run under valgrind:\n{text}").into()),
    }
}
