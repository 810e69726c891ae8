//! Values of Python's standard library and numpy's other arrays over live channels with Python. Python
//! receives equal objects of the same types, at every protocol, with numpy 1 and 2. Rust receives its own types, and
//! opaque values in place of unknown types.

use serde::{Deserialize, Serialize};
use shmcomm::codec::{DateTime, Msgpack, Pickle, Uuid, Value};
use shmcomm::python::{Incoming, Options, Outgoing, RecvTimeoutError, Replier, Subscriber};
use shmcomm_tests::python::{self, Python};
use shmcomm_tests::wire::{LONG, Name, Talker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Carried<T> {
    v: T,
}

/// Answers each request with itself, or with the error as a text, as long as `asks` runs.
fn echoing<C>(options: Options, asks: impl FnOnce())
where
    C: Outgoing<Value> + Incoming<Value> + 'static,
{
    let mut replier = Replier::<Value, Value, C>::open(options).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            match replier.recv_timeout(Duration::from_millis(50)) {
                Ok(value) => {
                    if let Err(error) = replier.send(&value) {
                        replier.send(&format!("{error} of {value:?}").into()).unwrap();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(error) => replier.send(&error.to_string().into()).unwrap(),
            }
        }
    });
    asks();
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
}

#[track_caller]
fn come_back<C>(
    python: &Python,
    test: &str,
    codec: &str,
    options: impl FnOnce(Options) -> Options,
    values: &[&str],
) where
    C: Outgoing<Value> + Incoming<Value> + 'static,
{
    let name = Name::new(test);
    let options = options(Options { slot_size: 65536, ..name.reqrep() });
    let mut wrong = Vec::new();
    echoing::<C>(options, || {
        let mut snake = Talker::python(python, "standard.py", &[&name.0, codec]);
        snake.expect("ready");
        for value in values {
            snake.say(value);
            let line = snake.line();
            if line != "same" {
                wrong.push(format!("{value}: {line}"));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const STANDARD: &[&str] = &[
    "datetime.datetime(2024, 1, 2, 3, 4, 5, 6)",
    "datetime.datetime(1, 1, 1)",
    "datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)",
    "datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)",
    "datetime.datetime(2024, 1, 2, 3, tzinfo=fixed(hours=-2, minutes=-30))",
    "datetime.datetime(2024, 1, 2, 3, tzinfo=fixed(seconds=1, microseconds=2), fold=1)",
    "datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=1), 'Cet (x)~'))",
    "datetime.datetime(2024, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo('UTC'), fold=1)",
    "datetime.date(2024, 1, 2)",
    "datetime.time(1, 2, 3)",
    "datetime.time(23, 59, 59, 999999, tzinfo=fixed(hours=5), fold=1)",
    "datetime.timedelta(1, 2, 3)",
    "datetime.timedelta(-999999999)",
    "datetime.timedelta(microseconds=-1)",
    "datetime.timezone.utc",
    "fixed(hours=23, minutes=59)",
    "zoneinfo.ZoneInfo('UTC')",
    "[decimal.Decimal(t) for t in ['1.50', '-0', '1E+30', 'NaN', 'sNaN12', '-Infinity', '0.1' * 1, '1' * 90]]",
    "[fractions.Fraction(1, 3), fractions.Fraction(-10**40, 7), fractions.Fraction(0)]",
    "[uuid.UUID(int=5), uuid.UUID(int=2**128 - 1), uuid.NAMESPACE_DNS]",
    "[pathlib.PurePosixPath('/a/b'), pathlib.Path('a/ü'), pathlib.Path('/'), pathlib.Path('.')]",
    "[pathlib.PureWindowsPath('c:/a/b'), pathlib.PureWindowsPath('c:a'), pathlib.PureWindowsPath('//h/s/x')]",
    "[ipaddress.ip_address(a) for a in ['1.2.3.4', '::1', 'fe80::1%eth0']]",
    "[ipaddress.ip_network(a) for a in ['10.0.0.0/8', '2001:db8::/32']]",
    "[ipaddress.ip_interface(a) for a in ['10.1.2.3/8', '2001:db8::7/32']]",
    "[collections.Counter('aab'), collections.Counter()]",
    "[collections.deque([1, 2], maxlen=5), collections.deque(), collections.deque(range(3000))]",
    "[collections.OrderedDict(b=1, a=2), collections.OrderedDict()]",
    "[collections.defaultdict(t, {'a': t(), 1: 2}) for t in (list, dict, set, int, float, str, bytes, tuple, bool, None) if t]",
    "collections.defaultdict(None, a=[1])",
    "[bytearray(b'ab'), bytearray(), bytearray(70000)[:300]]",
    "[range(3), range(10**30, 0, -7), range(0)]",
    "[slice(1, 2), slice(None, 'a', [1])]",
    "[array.array(t, [1, 2, 100]) for t in 'bBhHiIlLqQfd']",
    "[array.array('d'), array.array('d', [1.5, -0.0, math.inf]), array.array('q', [-2**63, 2**63 - 1])]",
    "[array.array('Q', [2**64 - 1]), array.array('f', [0.1]), array.array('b', [-128])]",
    "{datetime.date(2024, 1, 2): 1, decimal.Decimal('1.5'): 2, uuid.UUID(int=1): 3, pathlib.Path('a'): 4}",
    "{datetime.timedelta(1), fractions.Fraction(1, 2), ipaddress.ip_address('::1'), range(3)}",
    "collections.deque([collections.OrderedDict(a=collections.Counter(b=1)), datetime.date(1, 1, 1)])",
    "[Point(datetime.time(1)), Pair(decimal.Decimal(1), Point(None)), slotted(1, datetime.date(1, 1, 1))]",
    "[msgpack.Timestamp(5, 6), msgpack.Timestamp(-5, 999999999), msgpack.ExtType(42, b'zz')]",
    "[set(), {1, 'a'}, frozenset({1}), 1 + 2j, {'k': [datetime.datetime(2024, 1, 1)] * 3}]",
];

const NUMPY: &[&str] = &[
    "np.array(['ab', 'c', 'grün🦀'])",
    "np.array([['a', 'bc'], ['', 'd']]).T",
    "np.array(['ab', 'c'], dtype='>U3')",
    "np.array([b'ab', b'c\\0d'])",
    "np.array([b'abcd'], dtype='V4')",
    "np.array(['2024-01-01'], dtype='M8[D]')",
    "np.array([(1.5, 2, b'ab')], dtype=[('a', 'f4'), ('b', 'i2'), ('c', 'S4')])",
    "np.zeros(2, dtype=[('p', [('x', 'f8'), ('y', '>f8')]), ('m', 'u1', (2, 2)), ('n', 'U3', 2)])",
    "np.zeros((2, 3), dtype=np.dtype([('a', 'u1'), ('b', 'f8')], align=True))",
    "np.asfortranarray(np.zeros((2, 3), dtype=[('a', 'i4')]))",
    "np.zeros((0, 3), dtype=[('a', 'i4')])",
    "np.zeros((), dtype=[('a', 'M8[us]'), ('ü', '?')])",
    "np.zeros(3, dtype={'names': ['b', 'a'], 'formats': ['i4', 'i2'], 'offsets': [8, 2], 'itemsize': 16})",
    "np.array([None, 1, 'x', [2], datetime.date(2024, 1, 2)], dtype=object)",
    "np.array([[1, 'a'], [None, 2.5]], dtype=object)",
    "np.asfortranarray(np.array([[1, 'a', b'x'], [None, 2.5, (1,)]], dtype=object))",
    "np.array(np.arange(3), dtype=object).reshape(3, 1)",
    "np.empty((0, 2), dtype=object)",
    "np.array({'a': 1}, dtype=object)",
    "[np.arange(3.0), np.array(['x']), np.zeros(1, [('a', 'f8')])]",
    "np.array([np.array(['a']), collections.deque([1]), None], dtype=object)",
];

const ENUMS: &[&str] = &[
    "[Color.RED, Color.PAIR, Level.HIGH, Bits.A, Bits.A | Bits.B, Outer.Inner.X]",
    "{Color.RED: Level.HIGH}",
];

const IN_MSGPACK: &[&str] = &[
    "[msgpack.Timestamp(5, 6), msgpack.Timestamp(-5, 6), msgpack.Timestamp(2**33), msgpack.Timestamp(2**40, 1)]",
    "[msgpack.ExtType(42, b'zz'), msgpack.ExtType(0, b''), msgpack.ExtType(127, b'x' * 300)]",
    "datetime.datetime(2024, 1, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)",
    "datetime.datetime(1901, 1, 1, tzinfo=datetime.timezone.utc)",
    "{'a': [msgpack.ExtType(1, bytes(n)) for n in (1, 2, 3, 4, 5, 8, 16, 17)]}",
];

#[test]
fn standard_library_values_return_as_equal_objects() {
    let Some(python) = python::latest() else { return };
    come_back::<Pickle>(python, "standard", "pickle", |options| options, STANDARD);
}

#[test]
fn other_arrays_come_back_from_both_numpys() {
    for (python, test) in [(python::latest(), "other-2"), (python::with_numpy_1(), "other-1")] {
        let Some(python) = python else { return };
        come_back::<Pickle>(python, test, "pickle", |options| options, NUMPY);
    }
}

#[test]
fn extensions_of_msgpack_come_back() {
    let Some(python) = python::latest() else { return };
    come_back::<Msgpack>(python, "extensions", "msgpack", |options| options, IN_MSGPACK);
}

#[test]
fn enums_that_are_named_come_back() {
    let Some(python) = python::latest() else { return };
    let classes = ["Color", "Level", "Bits", "Outer.Inner"].map(|class| format!("__main__.{class}").into());
    let options = |options| Options { enums: classes.into(), ..options };
    come_back::<Pickle>(python, "enums", "pickle", options, ENUMS);
}

fn received(
    python: &Python,
    test: &str,
    options: impl FnOnce(Options) -> Options,
    expression: &str,
) -> String {
    let name = Name::new(test);
    let mut snake = Talker::python(python, "publish.py", &[&name.0, "pickle"]);
    snake.expect("ready");
    let mut subscriber = Subscriber::<Value, Pickle>::open(options(name.pubsub())).unwrap();
    snake.say(expression);
    match subscriber.recv_timeout(LONG) {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn unknown_object_is_an_error_or_opaque() {
    let Some(python) = python::latest() else { return };
    let error = received(python, "unknown", |options| options, "ValueError('x', 1)");
    assert!(error.contains("builtins.ValueError") && error.contains("python::Options"), "{error}");
    let error = received(python, "subclass", |options| options, "numpy.rec.array([(1, 2.0)])");
    assert!(error.contains("recarray`") && error.contains("asarray"), "{error}");
    let opaque = |options| Options { opaque: true, ..options };
    let text = received(python, "opaque-args", opaque, "[ValueError('x', 1), numpy.ma.array([1]).mask]");
    assert!(text.contains("<builtins.ValueError (\"x\", 1) None>"), "{text}");
    let with_state = "setattr(globals().setdefault('e', KeyError('k')), 'note', [1]) or e";
    let text = received(python, "opaque-state", opaque, with_state);
    assert_eq!(text, "<builtins.KeyError (\"k\",) {\"note\": [1]}>");
}

/// The types that a program may declare for the same fields.
#[derive(Debug, PartialEq, Deserialize)]
struct Order {
    id: Uuid,
    at: DateTime,
    due: String,
    unix: f64,
    seconds: i64,
    took: Duration,
    delta: f64,
    price: String,
    rate: f64,
    pieces: u32,
    half: f64,
    from: std::net::IpAddr,
    mask: String,
    file: std::path::PathBuf,
    tags: Vec<String>,
    points: Vec<Point>,
    counts: std::collections::BTreeMap<String, u64>,
    level: u8,
    samples: Vec<i16>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Point {
    x: f32,
    name: String,
}

#[test]
fn values_of_python_arrive_as_declared_types() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("declared");
    let mut snake = Talker::python(python, "standard.py", &[&name.0, "pickle"]);
    let enums = vec!["__main__.Level".into()];
    let options = Options { slot_size: 65536, enums, ..name.reqrep() };
    let mut replier = Replier::<Carried<Order>, Value, Pickle>::open(options).unwrap();
    snake.expect("ready");
    let utc = "datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=fixed(hours=2))";
    snake.say(&format!(
        "{{'id': uuid.UUID(int=7), 'at': {utc}, 'due': {utc}, 'unix': {utc}, 'seconds': {utc}, \
         'took': datetime.timedelta(seconds=1.5), 'delta': datetime.timedelta(seconds=-1.5), \
         'price': decimal.Decimal('1.50'), 'rate': decimal.Decimal('0.25'), 'pieces': decimal.Decimal('12.00'), \
         'half': fractions.Fraction(1, 2), 'from': ipaddress.ip_address('10.0.0.1'), \
         'mask': ipaddress.ip_network('10.0.0.0/8'), 'file': pathlib.Path('/a/b'), 'tags': np.array(['a', 'bc']), \
         'points': np.array([(1.5, 'p')], dtype=[('x', 'f4'), ('name', 'U4')]), \
         'counts': collections.Counter('aab'), 'level': Level.HIGH, 'samples': array.array('h', [-1, 2])}}"
    ));
    let mut order = None;
    for _ in 0..4 {
        let received = replier.recv_timeout(LONG).unwrap().v;
        assert_eq!(*order.get_or_insert_with(|| format!("{received:?}")), format!("{received:?}"));
        let want = Order {
            id: "00000000-0000-0000-0000-000000000007".parse().unwrap(),
            at: "2024-01-02T03:04:05+02:00".parse().unwrap(),
            due: "2024-01-02T03:04:05+02:00".into(),
            unix: 1_704_157_445.0,
            seconds: 1_704_157_445,
            took: Duration::from_millis(1500),
            delta: -1.5,
            price: "1.50".into(),
            rate: 0.25,
            pieces: 12,
            half: 0.5,
            from: [10, 0, 0, 1].into(),
            mask: "10.0.0.0/8".into(),
            file: "/a/b".into(),
            tags: vec!["a".into(), "bc".into()],
            points: vec![Point { x: 1.5, name: "p".into() }],
            counts: [("a".to_owned(), 2), ("b".to_owned(), 1)].into(),
            level: 3,
            samples: vec![-1, 2],
        };
        assert_eq!(received, want);
        replier.send(&Value::from("received")).unwrap();
    }
    drop(snake);
}
