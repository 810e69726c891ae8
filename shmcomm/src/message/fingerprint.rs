//! The hash behind the fingerprint of a layout (FNV-1a, 64 bits).
//!
//! Owns the state of the hash. Calls nothing.

/// FNV-1a hash, 64 bits.
#[derive(Clone, Copy)]
pub(crate) struct Fnv(pub(crate) u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
    const fn byte(self, b: u8) -> Self {
        Fnv((self.0 ^ b as u64).wrapping_mul(0x0000_0100_0000_01b3))
    }
    pub(crate) const fn num(mut self, n: u64) -> Self {
        let b = n.to_le_bytes();
        let mut i = 0;
        while i < 8 {
            self = self.byte(b[i]);
            i += 1;
        }
        self
    }
    /// Hashes the length first, so that neighbouring names cannot run into each other.
    pub(crate) const fn str(mut self, s: &str) -> Self {
        self = self.num(s.len() as u64);
        let b = s.as_bytes();
        let mut i = 0;
        while i < b.len() {
            self = self.byte(b[i]);
            i += 1;
        }
        self
    }
}
