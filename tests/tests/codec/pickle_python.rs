//! The pickle codec against real CPython, both ways, on generated values.

use shmcomm::codec::Value;
use shmcomm::codec::pickle::{self, Protocol};
use shmcomm_tests::canon::{CANON_PY, Rng, canon, hex, unhex};
use shmcomm_tests::python::{self, Python};

/// Prints `protocol, pickle, text` for fixed and for generated values.
const WRITE: &str = r#"
r = random.Random(int(sys.argv[1]))

def integer():
    return r.choice([0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, -2**31, 2**31, 2**63 - 1, -2**63, 2**63, 2**64,
                     r.getrandbits(r.randrange(1, 80)), -r.getrandbits(70), r.getrandbits(3000)])

def floating():
    return r.choice([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, r.uniform(-1e6, 1e6), 0.1])

def text():
    return "".join(r.choice("abcXYZ_ \\\n\0é\xa0\u1234語🦀") for _ in range(r.choice([0, 3, 12, 300])))

def key():
    return r.choice([integer, text, lambda: text().encode(), lambda: (integer(), text()), lambda: None])()

def array():
    code = r.choice(["<f8", "<f4", "<f2", "<i4", "<i8", "|u1", "|i1", "<u2", "|b1", ">f8", ">i4", "<c16", "<c8", "<M8[ns]", "<m8[D]"])
    shape = r.choice([(), (0,), (5,), (2, 3), (0, 3), (2, 3, 4)])
    n = int(np.prod(shape)) * np.dtype(code).itemsize
    data = bytes(r.getrandbits(8) & (1 if code == "|b1" else 255) for _ in range(n))
    a = np.frombuffer(data, code).reshape(shape)
    return r.choice([lambda: a, lambda: np.asfortranarray(a), lambda: a.T, lambda: a[..., ::2] if shape else a,
                     lambda: np.moveaxis(a, 0, -1) if shape else a, lambda: a.copy()])()

def scalar():
    return r.choice([np.float64(1.5), np.float32(0.1), np.int32(-7), np.uint8(200), np.bool_(True), np.int64(2**62),
                     np.uint64(2**64 - 1), np.float16(1.5), np.complex128(1 + 2j), np.datetime64("2024-01-02T03", "h")])

def instance(depth):
    kind = r.randrange(8)
    if kind == 0:
        return Point(value(depth), value(depth), text())
    if kind == 1:
        s = Slotted(); s.x = value(depth); s.label = text(); return s
    if kind == 2:
        m = Mixed(); m.a = 1; m.x = value(depth); m.label = text(); return m
    if kind == 3:
        return Frozen(value(depth), text())
    if kind == 4:
        return Pair(value(depth), value(depth))
    if kind == 5:
        return Stack([value(depth), 2])
    if kind == 6:
        return Table({text(): value(depth)})
    return Empty()

def value(depth=0):
    leaves = [lambda: None, lambda: True, lambda: False, integer, integer, floating, text, lambda: text().encode(),
              lambda: bytearray(text().encode()), lambda: complex(floating(), floating()), array, scalar]
    nodes = [lambda: [value(depth + 1) for _ in range(r.randrange(8))],
             lambda: tuple(value(depth + 1) for _ in range(r.randrange(6))),
             lambda: {key(): value(depth + 1) for _ in range(r.randrange(6))},
             lambda: {key() for _ in range(r.randrange(6))},
             lambda: frozenset(key() for _ in range(r.randrange(6))),
             lambda: collections.OrderedDict((text(), value(depth + 1)) for _ in range(3)),
             lambda: collections.defaultdict(list, {text(): [value(depth + 1)]}),
             lambda: collections.deque([value(depth + 1)], 5),
             lambda: (lambda row: [row, row, (row, {"again": row})])([value(depth + 1)]),
             lambda: instance(depth + 1)]
    return r.choice(leaves if depth > 3 else leaves + nodes + nodes)()

fixed = [list(range(3000)), {str(i): i for i in range(2500)}, [["x"] * 5] * 4, "k" * 70000, b"b" * 70000,
         set(range(1500)), np.arange(20000.0), [np.arange(3)] * 3, (), [], {}, set(), frozenset(), b"", "", bytearray(),
         [np.float64(i) for i in range(5)], np.arange(24).reshape(2, 3, 4).transpose(1, 2, 0)]
for v in fixed + [value() for _ in range(400)]:
    for protocol in range(6):
        try:
            p = pickle.dumps(v, protocol)
        except Exception:
            assert protocol < 2
            continue
        print(protocol, p.hex(), canon(v))
"#;

/// Reads `pickle text` and compares.
const READ: &str = r#"
n = 0
for line in sys.stdin:
    p, want = line.rstrip("\n").split(" ", 1)
    got = canon(pickle.loads(bytes.fromhex(p)))
    assert got == want, "python read\n%s\nfrom what rust wrote of\n%s" % (got, want)
    n += 1
print(n)
"#;

fn what_python_writes(python: &Python, seed: &str) {
    let output = python.program(&format!("{CANON_PY}\n{WRITE}")).arg(seed).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).expect("ASCII");
    let mut count = 0;
    for line in output.lines() {
        let (protocol, rest) = line.split_once(' ').expect("three columns");
        let (bytes, want) = rest.split_once(' ').expect("three columns");
        let value: Value = pickle::from_slice(&unhex(bytes)).unwrap_or_else(|error| {
            panic!("protocol {protocol}: {error}\nin {bytes:.2000}\nof {want:.2000}")
        });
        assert_eq!(canon(&value), want, "protocol {protocol}");
        // What was read can be sent again, and is then the same.
        let again: Value =
            pickle::from_slice(&pickle::to_vec(&value).expect("it encodes")).expect("it decodes");
        assert_eq!(canon(&again), want);
        count += 1;
    }
    assert!(count > 2000, "only {count} pickles were compared");
}

fn what_rust_writes(python: &Python, seed: u64) {
    let mut rng = Rng(seed);
    let mut input = String::new();
    const COUNT: usize = 1500;
    for i in 0..COUNT {
        let value = rng.value(0);
        let protocol = if i % 3 == 0 { Protocol::V4 } else { Protocol::V5 };
        let bytes = protocol.encode_vec(&value).expect("it encodes");
        let back: Value = pickle::from_slice(&bytes).expect("it decodes");
        assert_eq!(canon(&back), canon(&value));
        input += &format!("{} {}\n", hex(&bytes), canon(&value));
    }
    let read = python.run(&format!("{CANON_PY}\n{READ}"), input.as_bytes());
    assert_eq!(String::from_utf8_lossy(&read).trim(), COUNT.to_string());
}

#[test]
fn rust_reads_what_python_with_numpy_2_writes() {
    let Some(python) = python::latest() else { return };
    what_python_writes(python, "1");
    what_python_writes(python, "2");
}

#[test]
fn rust_reads_what_python_with_numpy_1_writes() {
    let Some(python) = python::with_numpy_1() else { return };
    what_python_writes(python, "3");
}

#[test]
fn python_with_numpy_2_reads_what_rust_writes() {
    let Some(python) = python::latest() else { return };
    what_rust_writes(python, 4);
}

#[test]
fn python_with_numpy_1_reads_what_rust_writes() {
    let Some(python) = python::with_numpy_1() else { return };
    what_rust_writes(python, 5);
}
