//! Measures a load and a store of a table beside a sequence lock in plain memory, in one process:
//! `cargo bench -p shmcomm-measure-micro --bench table`.
//!
//! Everything stays in one processor's cache here, so this is the work itself, without the transfer between processors.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shmcomm::channel;
use std::hint::black_box;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

channel! {
    Values: Table { name: "bench/table", first: [u64; 8], second: [u64; 8], large: [u64; 512] }
}

fn namespace(test: &str) -> String {
    format!("bench-table-{}-{test}", std::process::id())
}

/// A sequence lock (Boehm 2012) around one value, without a time, a death, or a second process.
struct SequenceLock<const N: usize> {
    sequence: AtomicU64,
    words: [AtomicU64; N],
}

impl<const N: usize> SequenceLock<N> {
    fn new() -> Self {
        SequenceLock { sequence: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; N] }
    }

    fn store(&self, value: &[u64; N]) {
        let sequence = self.sequence.load(Relaxed);
        self.sequence.store(sequence + 1, Relaxed);
        fence(Release);
        for (word, value) in self.words.iter().zip(value) {
            word.store(*value, Relaxed);
        }
        self.sequence.store(sequence + 2, Release);
    }

    fn load(&self) -> [u64; N] {
        loop {
            let before = self.sequence.load(Acquire);
            let value = std::array::from_fn(|i| self.words[i].load(Relaxed));
            fence(Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Relaxed) == before {
                return value;
            }
        }
    }
}

fn stores(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Elements(1));
    let open = || Values::open().namespace(namespace("store"));
    let (mut small, mut large) =
        (open().writer(Values::FIRST).unwrap(), open().writer(Values::LARGE).unwrap());
    group.bench_function("64 bytes, table", |b| b.iter(|| small.store(black_box(&[1; 8]))));
    let lock = SequenceLock::<8>::new();
    group.bench_function("64 bytes, sequence lock", |b| b.iter(|| lock.store(black_box(&[1; 8]))));
    group.bench_function("4 KiB, table", |b| b.iter(|| large.store(black_box(&[1; 512]))));
    let lock = SequenceLock::<512>::new();
    group.bench_function("4 KiB, sequence lock", |b| b.iter(|| lock.store(black_box(&[1; 512]))));
}

fn loads(c: &mut Criterion) {
    let mut group = c.benchmark_group("load");
    group.throughput(Throughput::Elements(1));
    let open = || Values::open().namespace(namespace("load"));
    let mut first = open().writer(Values::FIRST).unwrap();
    let mut second = open().writer(Values::SECOND).unwrap();
    let mut large = open().writer(Values::LARGE).unwrap();
    first.store(&[1; 8]).unwrap();
    second.store(&[2; 8]).unwrap();
    large.store(&[3; 512]).unwrap();
    let mut reader = open().reader().unwrap();
    group.bench_function("64 bytes, table", |b| b.iter(|| reader.load(Values::FIRST)));
    let lock = SequenceLock::<8>::new();
    lock.store(&[1; 8]);
    group.bench_function("64 bytes, sequence lock", |b| b.iter(|| lock.load()));
    group.bench_function("2 × 64 bytes of one instant, table", |b| {
        b.iter(|| reader.load_set((Values::FIRST, Values::SECOND)))
    });
    group.bench_function("4 KiB, table", |b| b.iter(|| reader.load(Values::LARGE)));
    let lock = SequenceLock::<512>::new();
    group.bench_function("4 KiB, sequence lock", |b| b.iter(|| lock.load()));
    group.bench_function("version, table", |b| b.iter(|| reader.version(Values::FIRST)));
}

criterion_group!(benches, stores, loads);
criterion_main!(benches);
