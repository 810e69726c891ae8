//! Text built during constant evaluation, for compile errors that contain numbers.

pub(crate) struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Text { bytes: [0; 1024], len: 0 }
    }

    /// Appends `text`; what does not fit is cut, at a character boundary, by [`Text::as_str`].
    pub(crate) const fn str(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() && self.len < self.bytes.len() {
            self.bytes[self.len] = bytes[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    /// Appends a character, given as its ASCII byte.
    pub(crate) const fn ascii(self, byte: u8) -> Self {
        match core::str::from_utf8(&[byte]) {
            Ok(text) => self.str(text),
            Err(_) => self,
        }
    }

    /// Appends `text` between backticks.
    pub(crate) const fn code(self, text: &str) -> Self {
        self.str("`").str(text).str("`")
    }

    pub(crate) const fn num(self, value: usize) -> Self {
        let digits = Digits::new(value as u64, false);
        self.str(digits.as_str())
    }

    /// Appends a number of bytes: `1 byte`, `2 bytes`.
    pub(crate) const fn bytes(self, count: usize) -> Self {
        self.num(count).str(if count == 1 { " byte" } else { " bytes" })
    }

    pub(crate) const fn as_str(&self) -> &str {
        let mut len = self.len;
        loop {
            match core::str::from_utf8(self.bytes.split_at(len).0) {
                Ok(text) => return text,
                Err(_) => len -= 1,
            }
        }
    }

    #[track_caller]
    pub(crate) const fn panic(&self) -> ! {
        panic!("{}", self.as_str())
    }
}

/// A decimal number.
pub(crate) struct Digits {
    bytes: [u8; 21],
    start: usize,
}

impl Digits {
    pub(crate) const fn new(mut value: u64, negative: bool) -> Self {
        let mut digits = Digits { bytes: [0; 21], start: 21 };
        loop {
            digits.start -= 1;
            digits.bytes[digits.start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        if negative {
            digits.start -= 1;
            digits.bytes[digits.start] = b'-';
        }
        digits
    }

    pub(crate) const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.start).1) {
            Ok(digits) => digits,
            Err(_) => "",
        }
    }
}
