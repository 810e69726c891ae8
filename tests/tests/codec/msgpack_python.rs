//! The msgpack codec against Python's own `msgpack`, both ways, on generated values.

use shmcomm::codec::{NdArray, Value, msgpack};
use shmcomm_tests::canon::{CANON_PY, Rng, canon, hex, unhex};
use shmcomm_tests::python;

const WRITE: &str = r#"
import msgpack
r = random.Random(6)

def text():
    return "".join(r.choice("abcXYZ_ \\\n\0é\u1234🦀") for _ in range(r.choice([0, 3, 31, 32, 300])))

def key():
    return r.choice([text, lambda: text().encode(), lambda: r.randrange(9), lambda: None])()

def value(depth=0):
    leaves = [lambda: None, lambda: True, lambda: False, text, lambda: text().encode(), lambda: bytes(300),
              lambda: r.choice([0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]),
              lambda: -r.choice([1, 32, 33, 128, 129, 32768, 32769, 2**31, 2**31 + 1, 2**63]),
              lambda: r.choice([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, r.uniform(-1e6, 1e6)])]
    nodes = [lambda: [value(depth + 1) for _ in range(r.choice([0, 1, 5, 15, 16]))],
             lambda: {key(): value(depth + 1) for _ in range(r.choice([0, 1, 5, 20]))}]
    return r.choice(leaves if depth > 2 else leaves + nodes * 2)()

for v in [list(range(70000)), {str(i): i for i in range(70000)}, "x" * 70000, bytes(70000)] + [value() for _ in range(600)]:
    print(msgpack.packb(v, use_bin_type=True).hex(), canon(v))
"#;

const READ: &str = r#"
import msgpack
n = 0
for line in sys.stdin:
    p, want = line.rstrip("\n").split(" ", 1)
    got = canon(msgpack.unpackb(bytes.fromhex(p), raw=False))
    assert got == want, "python read\n%s\nfrom what rust wrote of\n%s" % (got, want)
    n += 1
print(n)
"#;

/// Returns the part of a value that msgpack can hold.
fn plain(value: &Value) -> Value {
    let list = |items: &[Value]| Value::List(items.iter().map(plain).collect());
    match value {
        Value::BigInt(n) => n.to_u64().unwrap_or(n.bits() as u64).into(),
        Value::Complex(re, _) => (*re).into(),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => list(items),
        Value::Array(array) => vec![array.len() as u64].into(),
        Value::Object(object) => plain(&object.state),
        Value::Dict(dict) => {
            let key = |key: &Value| match key {
                Value::Str(_) | Value::Bytes(_) => key.clone(),
                other => canon(other).into(),
            };
            let mut plain_dict = shmcomm::codec::Dict::new();
            dict.iter().for_each(|(k, v)| {
                plain_dict.insert(key(k), plain(v));
            });
            plain_dict.into()
        }
        other => other.clone(),
    }
}

#[test]
fn rust_reads_what_python_writes() {
    let Some(python) = python::latest() else { return };
    let output = String::from_utf8(python.run(&format!("{CANON_PY}\n{WRITE}"), b"")).unwrap();
    let mut count = 0;
    for line in output.lines() {
        let (bytes, want) = line.split_once(' ').unwrap();
        let value: Value =
            msgpack::from_slice(&unhex(bytes)).unwrap_or_else(|error| panic!("{error} of {want:.2000}"));
        assert_eq!(canon(&value), want);
        count += 1;
    }
    assert_eq!(count, 604);
}

#[test]
fn python_reads_what_rust_writes() {
    let Some(python) = python::latest() else { return };
    let mut rng = Rng(7);
    let mut input = String::new();
    for _ in 0..1500 {
        let value = plain(&rng.value(0));
        let bytes = msgpack::to_vec(&value).unwrap();
        assert_eq!(canon(&msgpack::from_slice::<Value>(&bytes).unwrap()), canon(&value));
        input += &format!("{} {}\n", hex(&bytes), canon(&value));
    }
    assert_eq!(python.run(&format!("{CANON_PY}\n{READ}"), input.as_bytes()), b"1500\n");
}

#[test]
fn an_array_becomes_one_in_python_as_documented() {
    let Some(python) = python::latest() else { return };
    let array = NdArray::from_bytes(
        shmcomm::codec::DType::I16,
        shmcomm::codec::Endian::Big,
        &[2, 3],
        true,
        &[0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6],
    )
    .unwrap();
    let bytes = msgpack::to_vec(&array).unwrap();
    assert_eq!(msgpack::from_slice::<NdArray>(&bytes).unwrap(), array);
    let code = "import sys, msgpack, numpy as np\n\
                m = msgpack.unpackb(sys.stdin.buffer.read())\n\
                a = np.frombuffer(m['data'], m['dtype']).reshape(m['shape'], order=m['order'])\n\
                print(a.tolist())";
    assert_eq!(python.run(code, &bytes), b"[[1, 2, 3], [4, 5, 6]]\n");
}

/// What Rust refuses to write is exactly what Python refuses to load.
#[test]
fn refused_keys_are_those_that_python_refuses() {
    let Some(python) = python::latest() else { return };
    let code = "import msgpack\nfor k in [1, None, True, 1.5, 'a', b'a']:\n\
                \x20   try:\n        msgpack.unpackb(msgpack.packb({k: 0})); print('y', end='')\n\
                \x20   except ValueError:\n        print('n', end='')\n";
    let keys = [1i64.into(), Value::None, true.into(), 1.5.into(), "a".into(), Value::bytes(*b"a")];
    let rust: Vec<u8> = keys
        .into_iter()
        .map(|key| if msgpack::to_vec(&Value::from_iter([(key, 0i64)])).is_ok() { b'y' } else { b'n' })
        .collect();
    assert_eq!(String::from_utf8(python.run(code, b"")), String::from_utf8(rust));
}
