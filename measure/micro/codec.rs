//! Measures the codecs on a struct of ten fields and on an array of 1 MiB, and CPython on the same.
//!
//! `cargo bench -p shmcomm-measure-micro --bench codec` prints a table beside the report of criterion: the shortest of
//! several rounds on both sides, in one run. Each side does what it does before a send and after a receive: this crate
//! writes into an existing slot, CPython into an object that it makes. `SHMCOMM_PYTHON` names the interpreter, which
//! needs numpy and msgpack. Without it, the interpreter is that of the tests, or `python3`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use shmcomm::codec::{Decode, Encode, Msgpack, NdArray, NdView, Pickle, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Status {
    id: u64,
    stamp: f64,
    name: String,
    x: f64,
    y: f64,
    z: f64,
    ok: bool,
    count: i32,
    mode: String,
    note: Option<String>,
}

fn status() -> Status {
    Status {
        id: 12_345_678,
        stamp: 1.7e9,
        name: "robot/arm".into(),
        x: 1.0,
        y: 2.0,
        z: 3.0,
        ok: true,
        count: -7,
        mode: "auto".into(),
        note: None,
    }
}

const FLOATS: usize = (1 << 20) / 8;

const PYTHON: &str = r#"
import pickle, timeit
status = dict(id=12345678, stamp=1.7e9, name="robot/arm", x=1.0, y=2.0, z=3.0, ok=True, count=-7, mode="auto", note=None)

def best(name, call, n):
    print(name, min(timeit.repeat(call, number=n, repeat=9)) / n * 1e9)

p = pickle.dumps(status, 5)
best("pickle status encode", lambda: pickle.dumps(status, 5), 20000)
best("pickle status decode", lambda: pickle.loads(p), 20000)
try:
    import msgpack
    m = msgpack.packb(status)
    best("msgpack status encode", lambda: msgpack.packb(status), 20000)
    best("msgpack status decode", lambda: msgpack.unpackb(m), 20000)
except ImportError:
    pass
try:
    import numpy as np
    a = np.full(131072, 1.5)
    q = pickle.dumps(a, 5)
    best("pickle array encode", lambda: pickle.dumps(a, 5), 200)
    best("pickle array decode", lambda: pickle.loads(q), 200)
except ImportError:
    pass
"#;

/// The shortest time of one call, in nanoseconds.
fn best<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut shortest = f64::INFINITY;
    let mut count = 1u32;
    while count < 1 << 16 {
        let start = Instant::now();
        (0..count).for_each(|_| drop(black_box(call())));
        let took = start.elapsed();
        shortest = shortest.min(took.as_nanos() as f64 / f64::from(count));
        if took > Duration::from_millis(20) {
            break;
        }
        count *= 2;
    }
    for _ in 0..8 {
        let start = Instant::now();
        (0..count).for_each(|_| drop(black_box(call())));
        shortest = shortest.min(start.elapsed().as_nanos() as f64 / f64::from(count));
    }
    shortest
}

fn encoded<C: Encode<M>, M>(message: &M) -> Vec<u8> {
    let mut slot = vec![0; 2 << 20];
    let n = C::encode(message, &mut slot).expect("it fits");
    slot.truncate(n);
    slot
}

fn rust() -> BTreeMap<&'static str, f64> {
    let status = status();
    let floats = vec![1.5; FLOATS];
    let shape = [FLOATS];
    let view = NdView::new(&shape, &floats).expect("the shape fits");
    let mut slot = vec![0; 2 << 20];
    let (pickled, packed, array) =
        (encoded::<Pickle, _>(&status), encoded::<Msgpack, _>(&status), encoded::<Pickle, _>(&view));
    BTreeMap::from([
        ("pickle status encode", best(|| Pickle::encode(&status, &mut slot))),
        ("pickle status decode", best(|| <Pickle as Decode<Status>>::decode(&pickled))),
        ("msgpack status encode", best(|| Msgpack::encode(&status, &mut slot))),
        ("msgpack status decode", best(|| <Msgpack as Decode<Status>>::decode(&packed))),
        ("pickle array encode", best(|| Pickle::encode(&view, &mut slot))),
        ("pickle array decode", best(|| <Pickle as Decode<NdArray>>::decode(&array))),
    ])
}

fn python() -> Option<BTreeMap<String, f64>> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/numpy2/bin/python");
    let exe = std::env::var_os("SHMCOMM_PYTHON")
        .or_else(|| made.exists().then(|| made.into_os_string()))
        .unwrap_or_else(|| "python3".into());
    let output =
        Command::new(exe).arg("-c").arg(PYTHON).output().ok().filter(|output| output.status.success())?;
    let line =
        |line: &str| line.rsplit_once(' ').and_then(|(name, ns)| Some((name.to_owned(), ns.parse().ok()?)));
    Some(String::from_utf8_lossy(&output.stdout).lines().filter_map(line).collect())
}

fn beside_python(_: &mut Criterion) {
    let python = python().unwrap_or_default();
    println!("{:24} {:>12} {:>12} {:>16}", "", "shmcomm", "CPython", "CPython/shmcomm");
    for (name, ours) in rust() {
        match python.get(name) {
            Some(theirs) => println!("{name:24} {ours:9.0} ns {theirs:9.0} ns {:15.1}x", theirs / ours),
            None => println!("{name:24} {ours:9.0} ns {:>12} {:>16}", "-", "-"),
        }
    }
}

fn codecs(c: &mut Criterion) {
    let status = status();
    let mut slot = vec![0; 2 << 20];
    let (pickled, packed) = (encoded::<Pickle, _>(&status), encoded::<Msgpack, _>(&status));
    let mut group = c.benchmark_group("codec/status");
    group.bench_function("pickle/encode", |b| b.iter(|| Pickle::encode(black_box(&status), &mut slot)));
    group.bench_function("pickle/decode", |b| {
        b.iter(|| <Pickle as Decode<Status>>::decode(black_box(&pickled)))
    });
    group.bench_function("pickle/decode_value", |b| {
        b.iter(|| <Pickle as Decode<Value>>::decode(black_box(&pickled)))
    });
    group.bench_function("msgpack/encode", |b| b.iter(|| Msgpack::encode(black_box(&status), &mut slot)));
    group.bench_function("msgpack/decode", |b| {
        b.iter(|| <Msgpack as Decode<Status>>::decode(black_box(&packed)))
    });
    group.finish();

    let floats = vec![1.5; FLOATS];
    let shape = [FLOATS];
    let view = NdView::new(&shape, &floats).expect("the shape fits");
    let array = encoded::<Pickle, _>(&view);
    let mut group = c.benchmark_group("codec/array_1_mib");
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("pickle/encode", |b| b.iter(|| Pickle::encode(black_box(&view), &mut slot)));
    group.bench_function("pickle/decode", |b| {
        b.iter(|| <Pickle as Decode<NdArray>>::decode(black_box(&array)))
    });
    group.bench_function("pickle/decode_vec", |b| {
        b.iter(|| <Pickle as Decode<Vec<f64>>>::decode(black_box(&array)))
    });
    group.finish();
}

criterion_group!(benches, beside_python, codecs);
criterion_main!(benches);
