//! Measures the cost of a send and a receive in one process: `cargo bench -p shmcomm-measure-micro --bench pubsub`.
//!
//! Everything stays in one processor's cache here, so this is the work itself, without the transfer
//! between processors; for that see `cargo run --release --example latency`.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shmcomm::{Channel, PubSub, Publisher, ShmMessage, Subscriber, TryRecvError};
use std::hint::black_box;

const SMALL: Channel<PubSub<[u64; 8]>> = Channel::new("bench/small");

/// One of several that may publish; the others are not there.
const SHARED: Channel<PubSub<[u64; 8]>> = Channel::new("bench/shared").publishers(4);

fn namespace(test: &str) -> String {
    format!("bench-{}-{test}", std::process::id())
}

fn small(test: &str) -> (Publisher<[u64; 8]>, Subscriber<[u64; 8]>) {
    let publisher = SMALL.open().namespace(namespace(test)).publisher().unwrap();
    let subscriber = SMALL.open().namespace(namespace(test)).subscriber().unwrap();
    (publisher, subscriber)
}

fn shared(test: &str) -> (Publisher<[u64; 8]>, Subscriber<[u64; 8]>) {
    let publisher = SHARED.open().namespace(namespace(test)).publisher().unwrap();
    let subscriber = SHARED.open().namespace(namespace(test)).subscriber().unwrap();
    (publisher, subscriber)
}

fn sends(c: &mut Criterion) {
    let mut group = c.benchmark_group("send 64 bytes");
    group.throughput(Throughput::Elements(1));
    let (mut publisher, subscriber) = small("send");
    drop(subscriber);
    group.bench_function("no subscriber", |b| b.iter(|| publisher.send(black_box(&[1; 8]))));
    let subscribers: Vec<_> =
        (0..16).map(|_| SMALL.open().namespace(namespace("send")).subscriber().unwrap()).collect();
    group.bench_function("16 subscribers that poll", |b| b.iter(|| publisher.send(black_box(&[1; 8]))));
    drop(subscribers);
    group.bench_function("loan", |b| {
        b.iter(|| {
            let mut loan = publisher.loan().unwrap();
            loan[0] = black_box(1);
            loan.send()
        })
    });
    let (mut publisher, _subscriber) = shared("send");
    group.bench_function("of several publishers", |b| b.iter(|| publisher.send(black_box(&[1; 8]))));
    let (mut other, _subscriber) = shared("send");
    group.bench_function("two publishers in turn", |b| {
        b.iter(|| {
            publisher.send(black_box(&[1; 8])).unwrap();
            other.send(black_box(&[1; 8]))
        })
    });
}

fn receives(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive 64 bytes");
    group.throughput(Throughput::Elements(1));
    let (mut publisher, mut subscriber) = small("receive");
    group.bench_function("nothing there", |b| b.iter(|| black_box(subscriber.try_recv())));
    group.bench_function("send and try_recv", |b| {
        b.iter(|| {
            publisher.send(black_box(&[1; 8])).unwrap();
            black_box(subscriber.try_recv())
        })
    });
    group.bench_function("send and recv_ref", |b| {
        b.iter(|| {
            publisher.send(black_box(&[1; 8])).unwrap();
            black_box(subscriber.recv_ref().unwrap()[0])
        })
    });
    group.bench_function("send and latest", |b| {
        b.iter(|| {
            publisher.send(black_box(&[1; 8])).unwrap();
            black_box(subscriber.latest())
        })
    });
    let (mut publisher, mut subscriber) = shared("receive");
    group.bench_function("of several publishers: nothing there", |b| {
        b.iter(|| black_box(subscriber.try_recv()))
    });
    group.bench_function("of several publishers: send and try_recv", |b| {
        b.iter(|| {
            publisher.send(black_box(&[1; 8])).unwrap();
            black_box(subscriber.try_recv())
        })
    });
}

/// By value and in place, around the size where messages are no longer copied into their slots.
fn sizes(c: &mut Criterion) {
    fn size<const BYTES: usize>(c: &mut Criterion)
    where
        [u8; BYTES]: ShmMessage,
    {
        let name = namespace(&format!("size-{BYTES}"));
        let channel = Channel::<PubSub<[u8; BYTES]>>::new("bench/size");
        let mut publisher = channel.open().namespace(&name).slots(8).publisher().unwrap();
        let mut subscriber = channel.open().namespace(&name).subscriber().unwrap();
        let mut group = c.benchmark_group("send and receive");
        group.throughput(Throughput::Bytes(BYTES as u64));
        let message = Box::new([7; BYTES]);
        group.bench_function(BenchmarkId::new("by value", BYTES), |b| {
            b.iter_batched_ref(
                || (),
                |()| {
                    publisher.send(black_box(&message)).unwrap();
                    match subscriber.try_recv() {
                        Ok(message) => black_box(message)[BYTES - 1],
                        Err(TryRecvError::Empty) => 0,
                        Err(error) => panic!("{error}"),
                    }
                },
                BatchSize::SmallInput,
            )
        });
        group.bench_function(BenchmarkId::new("in place", BYTES), |b| {
            b.iter(|| {
                let mut loan = publisher.loan().unwrap();
                loan[0] = 1;
                loan.send().unwrap();
                black_box(subscriber.recv_ref().unwrap()[0])
            })
        });
    }
    size::<8>(c);
    size::<64>(c);
    size::<256>(c);
    size::<1024>(c);
    size::<4096>(c);
    size::<4104>(c);
    size::<16384>(c);
    size::<65536>(c);
}

criterion_group!(benches, sends, receives, sizes);
criterion_main!(benches);
