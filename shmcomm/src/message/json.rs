//! Schema as one line of JSON, written when a channel is opened or, for a program that names it as a constant,
//! during constant evaluation.
//!
//! Constant evaluation of a text takes the compiler milliseconds, so a channel does not need it. A generic type
//! cannot size an array by its own parameters. A constant text is therefore measured first, and then written into
//! the smallest sufficient buffer of a list; only that buffer reaches the binary.

use super::ShmMessage;
use super::schema::{Field, Kind, Prim, Schema};
use super::text::Digits;
use core::marker::PhantomData;

/// Size of the longest text in bytes.
const LONGEST: usize = 65536;

/// Text of a schema that would be too long. The fingerprint still tells its type from another.
const TOO_LONG: &str = r#"{"too_long":true}"#;

/// Returns the text of a schema.
#[cfg(not(loom))]
pub(crate) fn text(schema: &Schema) -> String {
    let mut bytes = vec![0; Writer::measure(schema)];
    if bytes.len() > LONGEST {
        return TOO_LONG.into();
    }
    Writer::write(&mut bytes, schema);
    String::from_utf8(bytes).unwrap_or_default()
}

/// JSON text of the schema of `M`, as a constant.
pub(crate) struct Text<M>(PhantomData<M>);

macro_rules! buffers {
    ($($name:ident $capacity:literal),*) => {
        impl<M: ShmMessage> Text<M> {
            const LEN: usize = Writer::measure(M::SCHEMA);
            $(const $name: [u8; $capacity] = Self::fill();)*

            pub(crate) const JSON: &'static str = match Self::LEN {
                $(..=$capacity => cut(&Self::$name, Self::LEN),)*
                _ => TOO_LONG,
            };
        }
    };
}
buffers!(B0 128, B1 256, B2 512, B3 1024, B4 2048, B5 4096, B6 8192, B7 16384, B8 32768, B9 65536);

impl<M: ShmMessage> Text<M> {
    /// Fills the buffer; returns zeros if another buffer fits better.
    const fn fill<const CAPACITY: usize>() -> [u8; CAPACITY] {
        let mut bytes = [0; CAPACITY];
        if Self::LEN <= CAPACITY && (CAPACITY <= 128 || Self::LEN > CAPACITY / 2) {
            Writer::write(&mut bytes, M::SCHEMA);
        }
        bytes
    }
}

const fn cut(bytes: &'static [u8], len: usize) -> &'static str {
    match core::str::from_utf8(bytes.split_at(len).0) {
        Ok(text) => text,
        Err(_) => panic!("a schema is made of text alone"),
    }
}

/// Writer that keeps what fits, and counts up to [`LONGEST`] bytes.
struct Writer<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

impl Writer<'_> {
    const fn measure(schema: &Schema) -> usize {
        let mut out = Writer { bytes: &mut [], len: 0 };
        out.schema(schema);
        out.len
    }

    const fn write(bytes: &mut [u8], schema: &Schema) {
        Writer { bytes, len: 0 }.schema(schema);
    }

    const fn schema(&mut self, schema: &Schema) {
        // A text that is already too long needs no more of the compiler's time.
        if self.len > LONGEST {
            return;
        }
        self.put("{\"size\":");
        self.number(schema.size as i128);
        match &schema.kind {
            Kind::Prim(p) => self.code(p.code()),
            Kind::Bool => self.code("|b1"),
            Kind::Char => {
                self.code(Prim::U32.code());
                self.put(",\"is\":\"char\"");
            }
            Kind::Timestamp => self.code(if cfg!(target_endian = "little") { "<M8[ns]" } else { ">M8[ns]" }),
            Kind::Pad => self.bytes_type(schema.size),
            Kind::Opaque { tag } => {
                self.bytes_type(schema.size);
                self.key("align", schema.align);
                self.put(",\"tag\":\"");
                self.number(*tag as i128);
                self.put("\"");
            }
            Kind::Enum { prim, variants } => {
                self.code(prim.code());
                self.name(schema.name);
                self.put(",\"enum\":{");
                let mut i = 0;
                while i < variants.len() {
                    if i > 0 {
                        self.put(",");
                    }
                    self.string(variants[i].name);
                    self.put(":");
                    self.number(variants[i].value);
                    i += 1;
                }
                self.put("}");
            }
            Kind::Choice { prim, variants } => {
                self.bytes_type(schema.size);
                self.name(schema.name);
                self.key("align", schema.align);
                self.put(",\"selector\":{\"size\":");
                self.number(prim.size() as i128);
                self.code(prim.code());
                self.put("},\"variants\":[");
                let mut i = 0;
                while i < variants.len() {
                    self.put(if i == 0 { "{\"name\":" } else { ",{\"name\":" });
                    self.string(variants[i].name);
                    self.put(",\"value\":");
                    self.number(variants[i].value);
                    self.fields(variants[i].fields);
                    self.put("}");
                    i += 1;
                }
                self.put("]");
            }
            Kind::Std(std) => {
                match std.prim() {
                    Some(prim) => self.code(prim.code()),
                    None => self.bytes_type(schema.size),
                }
                self.put(",\"is\":");
                self.string(std.word());
                self.key("align", schema.align);
            }
            Kind::Array { item, len } => {
                self.key("len", *len);
                self.item(item);
            }
            Kind::Str { capacity } => self.key("str", *capacity),
            Kind::List { item, capacity, offset } => {
                self.key("list", *capacity);
                self.key("offset", *offset);
                self.item(item);
                if let Some(codec) = schema.codec {
                    self.put(",\"codec\":");
                    self.string(codec);
                }
            }
            Kind::Maybe { item, offset } => {
                self.put(",\"option\":true");
                self.key("offset", *offset);
                self.item(item);
            }
            Kind::Struct { fields } => {
                self.name(schema.name);
                self.key("align", schema.align);
                self.fields(fields);
            }
        }
        self.put("}");
    }

    const fn fields(&mut self, fields: &[Field]) {
        self.put(",\"fields\":[");
        let (mut i, mut first) = (0, true);
        while i < fields.len() {
            if !matches!(fields[i].schema.kind, Kind::Pad) {
                self.put(if first { "{\"name\":" } else { ",{\"name\":" });
                self.string(fields[i].name);
                self.key("offset", fields[i].offset);
                self.put(",\"of\":");
                self.schema(fields[i].schema);
                self.put("}");
                first = false;
            }
            i += 1;
        }
        self.put("]");
    }

    const fn item(&mut self, item: &Schema) {
        self.put(",\"item\":");
        self.schema(item);
    }

    const fn code(&mut self, code: &str) {
        self.put(",\"type\":\"");
        self.put(code);
        self.put("\"");
    }

    const fn bytes_type(&mut self, size: usize) {
        self.put(",\"type\":\"|V");
        self.number(size as i128);
        self.put("\"");
    }

    const fn name(&mut self, name: &str) {
        self.put(",\"name\":");
        self.string(name);
    }

    const fn key(&mut self, key: &str, value: usize) {
        self.put(",\"");
        self.put(key);
        self.put("\":");
        self.number(value as i128);
    }

    const fn number(&mut self, value: i128) {
        let digits = Digits::new(value.unsigned_abs() as u64, value < 0);
        self.put(digits.as_str());
    }

    /// Writes `text` between quotes, escaped.
    const fn string(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.put("\"");
        let mut rest = text.as_bytes();
        let mut i = 0;
        while i < rest.len() {
            let b = rest[i];
            if b >= 0x20 && b != b'"' && b != b'\\' {
                i += 1;
                continue;
            }
            let (plain, escaped) = rest.split_at(i);
            self.raw(plain);
            match b {
                b'"' | b'\\' => self.raw(&[b'\\', b]),
                _ => self.raw(&[b'\\', b'u', b'0', b'0', HEX[b as usize >> 4], HEX[b as usize & 15]]),
            }
            rest = escaped.split_at(1).1;
            i = 0;
        }
        self.raw(rest);
        self.put("\"");
    }

    const fn put(&mut self, text: &str) {
        self.raw(text.as_bytes());
    }

    const fn raw(&mut self, bytes: &[u8]) {
        let capacity = self.bytes.len();
        if bytes.len() <= capacity && self.len <= capacity - bytes.len() {
            self.bytes.split_at_mut(self.len).1.split_at_mut(bytes.len()).0.copy_from_slice(bytes);
        }
        self.len += bytes.len();
    }
}
