//! Values of all kinds over live channels with Python, there and back: arrays in every shape, type, order
//! and byte order, with both numpys; all that pickle and msgpack have besides.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shmcomm::codec::{DType, Endian, Msgpack, NdArray, Pickle, Value};
use shmcomm::python::{
    Incoming, Options, Outgoing, Publisher, RecvTimeoutError, Replier, Requester, Subscriber,
};
use shmcomm_tests::canon::{Rng, canon};
use shmcomm_tests::python::{self, Python};
use shmcomm_tests::wire::{LONG, Name, Talker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A value on its way: Python's `None` alone would be skipped.
#[derive(Serialize, Deserialize)]
struct Carried<T> {
    v: T,
}

fn options(name: &Name) -> Options {
    Options { slot_size: 65536, ..name.reqrep() }
}

fn talker(python: &Python, name: &Name, codec: &str, role: &str) -> Talker {
    let canon = concat!(env!("CARGO_MANIFEST_DIR"), "/python/canon.py");
    let mut talker = Talker::python(python, "echo.py", &[canon, &name.0, codec, role]);
    talker.expect("ready");
    talker
}

/// Answers each request with itself, as long as `asks` runs.
fn echoing<C>(name: &Name, asks: impl FnOnce())
where
    C: Outgoing<Carried<Value>> + Incoming<Carried<Value>> + 'static,
{
    let mut replier = Replier::<Carried<Value>, Carried<Value>, C>::open(options(name)).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            match replier.recv_timeout(Duration::from_millis(50)) {
                Ok(value) => replier.send(&value).unwrap(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    asks();
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
}

/// numpy's names of the types that must work, in both byte orders.
const TYPES: [&str; 8] = ["<f4", ">f4", "<f8", ">f8", "<i4", ">i4", "|u1", "|b1"];

#[track_caller]
fn arrays_come_back(python: &Python, test: &str) {
    let name = Name::new(test);
    echoing::<Pickle>(&name, || {
        let mut snake = talker(python, &name, "pickle", "ask");
        for dtype in TYPES {
            for shape in ["()", "(0,)", "(5,)", "(2, 3)", "(3, 0)", "(2, 3, 4)"] {
                let array = format!("(np.arange(24) % 7 - 2)[:int(np.prod({shape}))].astype('{dtype}')");
                for order in ["C", "F"] {
                    snake.say(&format!("{array}.reshape({shape}, order='{order}').copy(order='{order}')"));
                    assert_eq!(snake.line(), "same", "{dtype} {shape} {order}");
                }
            }
            // Neither the one order nor the other, and not all of its memory.
            for view in ["[::2]", "[:, ::-1]", "[..., 1:].T"] {
                snake.say(&format!("np.arange(24).reshape(4, 6).astype('{dtype}'){view}"));
                assert_eq!(snake.line(), "same", "{dtype} {view}");
            }
        }
    });
}

#[test]
fn arrays_of_numpy_2_come_back_as_they_went() {
    let Some(python) = python::latest() else { return };
    arrays_come_back(python, "arrays-2");
}

#[test]
fn arrays_of_numpy_1_come_back_as_they_went() {
    let Some(python) = python::with_numpy_1() else { return };
    arrays_come_back(python, "arrays-1");
}

fn answered<C>(name: &Name, values: impl Iterator<Item = Value>)
where
    C: Outgoing<Carried<Value>> + Incoming<Carried<Value>>,
{
    let mut requester = Requester::<Carried<Value>, Carried<Value>, C>::open(options(name)).unwrap();
    for value in values {
        let sent = Carried { v: value };
        let back = requester.request(&sent, LONG).unwrap();
        assert_eq!(canon(&back.v), canon(&sent.v));
        if let (Some(sent), Some(back)) = (sent.v.as_array(), back.v.as_array()) {
            let parts = |array: &NdArray| (array.dtype(), array.endian(), array.shape().to_vec());
            assert_eq!(parts(back), parts(sent));
            // The same values from the same bytes: the order is the same wherever there are two.
            assert_eq!(back.as_bytes(), sent.as_bytes());
        }
    }
}

/// Arrays that Rust makes: as the process with either numpy sees them, and back.
fn arrays() -> impl Iterator<Item = Value> {
    const TYPES: [DType; 5] = [DType::F32, DType::F64, DType::I32, DType::U8, DType::Bool];
    let shapes: [&[usize]; 5] = [&[], &[0], &[5], &[2, 3], &[2, 3, 4]];
    TYPES.into_iter().flat_map(move |dtype| {
        shapes.into_iter().flat_map(move |shape| {
            [Endian::Little, Endian::Big].into_iter().flat_map(move |endian| {
                [false, true].into_iter().map(move |fortran| {
                    let len = shape.iter().product::<usize>() * dtype.size();
                    let bytes: Vec<u8> =
                        (0..len).map(|i| if dtype == DType::Bool { i as u8 & 1 } else { i as u8 }).collect();
                    let array = NdArray::from_bytes(dtype, endian, shape, fortran, &bytes);
                    Value::Array(Box::new(array.expect("the bytes are as many as the shape says")))
                })
            })
        })
    })
}

#[test]
fn arrays_of_rust_come_back_from_both_numpys() {
    for (python, test) in [(python::latest(), "nd-2"), (python::with_numpy_1(), "nd-1")] {
        let Some(python) = python else { return };
        let name = Name::new(test);
        let _snake = talker(python, &name, "pickle", "serve");
        answered::<Pickle>(&name, arrays());
    }
}

/// The values that the page promises to carry, as Python writes them. The first part can be sent in msgpack, too.
const VALUES: [&str; 15] = [
    "{'id': 7, 'name': 'arm', 'x': 1.5, 'ok': True, 'note': None}",
    "[[[[{'a': [1, {'b': [2, []]}]}]]]]",
    "[0, -1, 255, 256, 65535, 2**31 - 1, -2**31, 2**63 - 1, -2**63]",
    "2**64 - 1",
    "[0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308]",
    "[None, True, False]",
    "['', 'größe', '語', '🦀' * 100, chr(0)]",
    "[b'', bytes(range(256)) * 9]",
    "list(range(3000))",
    // From here on pickle only.
    "[2**64, -2**63 - 1, 2**3000, -2**3000]",
    "((), (1,), (1, 2), (1, 2, 3), (1, (2, [3])))",
    "[set(), {1, 'a', (2, b'b')}, frozenset({None, 1.5})]",
    "[Point(1, [2.5], 'p'), Pair('l', 2**70), Empty()]",
    "{1: 'int', (2, 3): 'tuple', None: 'none', b'k': 'bytes', 'nested': {'a': {2: 3}}}",
    "1 + 2j",
];
const FOR_MSGPACK: usize = 9;

#[test]
fn values_of_python_come_back_as_they_went() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("values-pickle");
    echoing::<Pickle>(&name, || {
        let mut snake = talker(python, &name, "pickle", "ask");
        for value in VALUES {
            snake.say(value);
            assert_eq!(snake.line(), "same", "{value}");
        }
    });
    let name = Name::new("values-msgpack");
    echoing::<Msgpack>(&name, || {
        let mut snake = talker(python, &name, "msgpack", "ask");
        for value in &VALUES[..FOR_MSGPACK] {
            snake.say(value);
            assert_eq!(snake.line(), "same", "{value}");
        }
    });
}

#[test]
fn values_of_rust_come_back_as_they_went() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("values-rust");
    let _snake = talker(python, &name, "pickle", "serve");
    let mut rng = Rng(0x5eed);
    let values = std::iter::repeat_with(move || rng.value(0));
    let small = values.filter(|value| shmcomm::codec::pickle::to_vec(value).unwrap().len() < 60_000);
    answered::<Pickle>(&name, small.take(500));
}

/// The types that a program would declare, in place of `Value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Scan<A> {
    frame: String,
    ranges: A,
}

fn published<A: Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned + Send>(
    python: &Python,
    expression: &str,
    ranges: A,
) {
    let name = Name::new("scan");
    let mut snake = Talker::python(python, "publish.py", &[&name.0, "pickle"]);
    snake.expect("ready");
    let mut subscriber = Subscriber::<Scan<A>, Pickle>::open(name.pubsub()).unwrap();
    snake.say(&format!("{{'frame': 'laser', 'ranges': {expression}}}"));
    assert_eq!(subscriber.recv_timeout(LONG).unwrap(), Scan { frame: "laser".into(), ranges });
}

#[test]
fn an_array_arrives_as_the_type_that_was_declared() {
    let Some(python) = python::latest() else { return };
    published(python, "numpy.arange(3, dtype='>f4')", vec![0.0, 1.0, 2.0]);
    published(python, "numpy.arange(4, dtype='i4').reshape(2, 2)", vec![[0u8, 1], [2, 3]]);
    published(python, "numpy.array(1.5, dtype='<f8')", 1.5);
    let array = NdArray::from_slice(&[2, 3], &[0i32, 1, 2, 3, 4, 5]).unwrap();
    published(python, "numpy.arange(6, dtype='<i4').reshape(2, 3)", array);
}

#[test]
fn an_array_is_one_for_a_python_subscriber() {
    for (python, test) in [(python::latest(), "out-2"), (python::with_numpy_1(), "out-1")] {
        let Some(python) = python else { return };
        let name = Name::new(test);
        let mut publisher = Publisher::<NdArray, Pickle>::open(name.pubsub()).unwrap();
        let mut snake = Talker::python(python, "subscribe.py", &[&name.0, "pickle"]);
        snake.expect("ready");
        publisher.send(&NdArray::from_slice(&[2, 2], &[1.5f32, 2.0, -3.0, 0.5]).unwrap()).unwrap();
        assert_eq!(snake.line(), "array([[ 1.5,  2. ],");
        assert_eq!(snake.line(), "       [-3. ,  0.5]], dtype=float32)");
        publisher.send(&NdArray::from_slice(&[], &[true]).unwrap()).unwrap();
        snake.expect("array(True)");
    }
}
