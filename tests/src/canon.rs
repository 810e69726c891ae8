//! One text for one value, the same from Rust and from Python; and values made from a seed.

use shmcomm::codec::{BigInt, DType, Dict, Endian, NdArray, Object, Scalar, Value};

/// The canonical text of a value. Its counterpart is `canon` in `canon.py`.
pub fn canon(value: &Value) -> String {
    let all = |items: &[Value]| items.iter().map(canon).collect::<Vec<_>>().join(",");
    let sorted = |items: &[Value]| {
        let mut texts: Vec<_> = items.iter().map(canon).collect();
        texts.sort();
        texts.join(",")
    };
    match value {
        Value::None => "N".into(),
        Value::Bool(truth) => if *truth { "T" } else { "F" }.into(),
        Value::Int(n) => format!("i{n}"),
        Value::BigInt(n) => format!("i{n}"),
        Value::Float(x) => float(*x),
        Value::Complex(re, im) => format!("c({},{})", float(*re), float(*im)),
        Value::Str(text) => format!("s{}", hex(text.as_bytes())),
        Value::Bytes(bytes) => format!("b{}", hex(bytes)),
        Value::List(items) => format!("[{}]", all(items)),
        Value::Tuple(items) => format!("({})", all(items)),
        Value::Set(items) => format!("{{{}}}", sorted(items)),
        Value::FrozenSet(items) => format!("<{}>", sorted(items)),
        Value::ByteArray(bytes) => format!("B{}", hex(bytes)),
        Value::Dict(dict) => format!("D{}", pairs(dict)),
        Value::OrderedDict(dict) => format!("O{}", pairs(dict)),
        Value::Counter(dict) => format!("C{}", pairs(dict)),
        Value::DefaultDict(default) => {
            format!(
                "DD({}){}",
                default.factory.map_or("None", |factory| factory.name()),
                pairs(&default.dict)
            )
        }
        Value::Deque(deque) => {
            let most = deque.maxlen.map_or("None".into(), |most| most.to_string());
            format!("Q{most}[{}]", all(&deque.items))
        }
        Value::Array(array) => canon_array(array),
        Value::Object(object) => format!("O({}.{} {})", object.module, object.name, canon(&object.state)),
        Value::Opaque(opaque) => format!("?({}.{} {})", opaque.module, opaque.name, canon(&opaque.args)),
        other => panic!("no text for {other:?}"),
    }
}

fn pairs(dict: &Dict) -> String {
    let pairs: Vec<_> = dict.iter().map(|(k, v)| format!("{}:{}", canon(k), canon(v))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn canon_array(array: &NdArray) -> String {
    let shape: Vec<_> = array.shape().iter().map(ToString::to_string).collect();
    let mut texts = Vec::new();
    let mut index = vec![0; array.shape().len()];
    for _ in 0..array.len() {
        texts.push(match array.scalar(&index).expect("in range") {
            Scalar::Bool(truth) => canon(&Value::Bool(truth)),
            Scalar::Int(n) => format!("i{n}"),
            Scalar::UInt(n) => format!("i{n}"),
            Scalar::Float(x) => float(x),
            Scalar::Complex(re, im) => canon(&Value::Complex(re, im)),
        });
        for (i, n) in index.iter_mut().zip(array.shape()).rev() {
            *i += 1;
            if *i < *n {
                break;
            }
            *i = 0;
        }
    }
    format!("A({};{};{})", array.dtype().code(array.endian()), shape.join("x"), texts.join(","))
}

fn float(x: f64) -> String {
    if x.is_nan() { "fnan".into() } else { format!("f{:016x}", x.to_bits()) }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

pub const CANON_PY: &str = include_str!("../python/canon.py");

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    fn int(&mut self) -> Value {
        let width = self.below(64) + 1;
        let n = (self.draw() >> (64 - width)) as i64;
        match self.below(6) {
            0 => {
                [0, 255, 256, 65535, 65536, -1, i64::MIN, i64::MAX, i64::from(i32::MIN), i64::from(i32::MAX)]
                    [self.below(10) as usize]
                    .into()
            }
            1 => n.wrapping_neg().into(),
            2 => BigInt::from((i128::from(n) << self.below(60)).wrapping_sub(i128::from(self.draw() as i64)))
                .into(),
            3 => {
                let bytes: Vec<u8> = (0..self.below(300)).map(|_| self.draw() as u8).collect();
                BigInt::from_le_bytes(&bytes).into()
            }
            _ => n.into(),
        }
    }

    fn float(&mut self) -> f64 {
        match self.below(4) {
            0 => [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX]
                [self.below(7) as usize],
            1 => f64::from_bits(self.draw()),
            _ => self.draw() as i32 as f64 / 64.0,
        }
    }

    fn text(&mut self) -> String {
        let len = match self.below(8) {
            0 => 0,
            1 => 300,
            _ => self.below(20),
        };
        (0..len)
            .map(|_| match self.below(5) {
                0 => char::from_u32(0x80 + self.below(0x700) as u32).unwrap_or('x'),
                1 => ['\0', '\n', '\\', '語', '🦀', '\u{ffff}'][self.below(6) as usize],
                _ => char::from(b' ' + self.below(95) as u8),
            })
            .collect()
    }

    fn array(&mut self) -> NdArray {
        const TYPES: [DType; 12] = [
            DType::F64,
            DType::F32,
            DType::F16,
            DType::I32,
            DType::I64,
            DType::U8,
            DType::I8,
            DType::U16,
            DType::U32,
            DType::U64,
            DType::Bool,
            DType::C128,
        ];
        let dtype = TYPES[self.below(12) as usize];
        let shape: Vec<usize> = (0..self.below(4)).map(|_| self.below(5) as usize).collect();
        let len = shape.iter().product::<usize>() * dtype.size();
        let bytes: Vec<u8> = (0..len)
            .map(|_| if dtype == DType::Bool { self.draw() as u8 & 1 } else { self.draw() as u8 })
            .collect();
        let endian = if self.below(3) == 0 { Endian::Big } else { Endian::Little };
        NdArray::from_bytes(dtype, endian, &shape, self.below(2) == 0, &bytes).expect("the shape fits")
    }

    /// Something that Python can hash.
    fn key(&mut self) -> Value {
        match self.below(6) {
            0 => self.int(),
            1 => Value::bytes(self.text()),
            2 => Value::Tuple((0..self.below(5)).map(|_| self.key()).collect()),
            _ => self.text().into(),
        }
    }

    fn distinct(&mut self) -> Vec<Value> {
        let mut items: Vec<Value> = Vec::new();
        for _ in 0..self.below(5) {
            let item = self.key();
            if !items.contains(&item) {
                items.push(item);
            }
        }
        items
    }

    /// Any value; smaller the deeper it stands.
    pub fn value(&mut self, depth: u32) -> Value {
        let kinds = if depth >= 4 { 8 } else { 16 };
        match self.below(kinds) {
            0 => Value::None,
            1 => (self.below(2) == 0).into(),
            2 | 3 => self.int(),
            4 => self.float().into(),
            5 => self.text().into(),
            6 => Value::bytes((0..self.below(400)).map(|_| self.draw() as u8).collect::<Vec<_>>()),
            7 => Value::Complex(self.float(), self.float()),
            8 | 9 => Value::List((0..self.below(8)).map(|_| self.value(depth + 1)).collect()),
            10 => Value::Tuple((0..self.below(6)).map(|_| self.value(depth + 1)).collect()),
            11 => Value::Set(self.distinct()),
            12 => Value::FrozenSet(self.distinct()),
            13 => Value::Array(Box::new(self.array())),
            14 => {
                let fields: Dict =
                    ["x", "y", "label"].into_iter().map(|name| (name, self.value(depth + 1))).collect();
                Object::new("__main__", "Point", fields).into()
            }
            _ => {
                let keys = self.distinct();
                Value::Dict(keys.into_iter().map(|key| (key, self.value(depth + 1))).collect())
            }
        }
    }
}
